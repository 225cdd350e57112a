"""Moves slots between living masters: from all sources at once, within the rate, until done, stopped or late."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

from reconciler.actions import Move
from reconciler.copying import Copy
from reconciler.expiring import Expire
from reconciler.link import Link, LinkError, Network, ReplyError, text
from reconciler.observe import client_names
from reconciler.pace import Bound, Progress
from reconciler.peers import Peer, TargetFullError
from reconciler.slot_move import SlotMove, Surroundings
from reconciler.slots import count
from reconciler.topology import Desired
from reconciler.views import Observed

MAX_SOURCES_AT_ONCE = 64


class Mover:
    """One set of moves, carried out against the nodes of one observation.

    Connections carry `name`, by which other runs see that moves are under way; they vanish with the process.
    """

    def __init__(
        self,
        network: Network,
        observed: Observed,
        desired: Desired,
        log: Callable[[str], None],
        deadline: float,
        name: str,
        password: str | None = None,
        sources_at_once: int = MAX_SOURCES_AT_ONCE,
    ) -> None:
        self._network = network
        self._views = {view.node_id: view for view in observed.views}
        self._desired = desired
        self._log = log
        self._deadline = deadline
        self._name = name
        self._password = password
        self._sources_at_once = sources_at_once
        self._stop = threading.Event()
        self._rate = Bound(network, desired.move.bytes_per_second)
        self._misses = Bound(network, desired.move.extra_misses_per_second)

    def move(self, moves: Sequence[Move]) -> list[str]:
        """Carry out the moves. Returns what failed; slots in flight then are served by both sides."""
        by_source: dict[str, list[Move]] = {}
        for move in moves:
            by_source.setdefault(move.source, []).append(move)
        progress = Progress(self._network, self._log, sum(count(move.slots) for move in moves))
        failures = self._introduce(moves, progress)
        if failures:
            return failures
        with ThreadPoolExecutor(min(self._sources_at_once, len(by_source))) as threads:
            futures = [threads.submit(self._from_source, mine, progress) for mine in by_source.values()]
            try:
                wait(futures)
            except BaseException:
                # Interrupted: let every thread end the part it is at, so that nothing stays half moved without need.
                self._stop.set()
                raise
        progress.last_word()
        return [failure for future in futures for failure in future.result()]

    def _stopped(self) -> bool:
        return self._stop.is_set() or self._network.now() >= self._deadline

    def _from_source(self, moves: list[Move], progress: Progress) -> list[str]:
        failures = []
        links: dict[str, Link] = {}
        try:
            for move in moves:
                if self._stopped():
                    break
                try:
                    self._slot_move(move, links, progress).move(move.slots)
                except (LinkError, ReplyError, TargetFullError) as error:
                    failures.append(f"{move.why}: {error}")
        finally:
            for link in links.values():
                link.close()
        return failures

    def _link(self, node_id: str, links: dict[str, Link]) -> Link:
        if node_id not in links:
            view = self._views[node_id]
            links[node_id] = self._network.connect((view.ip, view.port))
        return links[node_id]

    def _peer(self, node_id: str, links: dict[str, Link]) -> Peer:
        view = self._views[node_id]
        address = (view.me.ip or view.ip, view.port)
        return Peer(node_id, view.name, address, self._link(node_id, links))

    def _introduce(self, moves: Sequence[Move], progress: Progress) -> list[str]:
        """Each target from one source: a cluster client that uses one master uses them all."""
        failures = []
        first = {move.target: move for move in reversed(moves)}
        for move in first.values():
            links: dict[str, Link] = {}
            try:
                self._slot_move(move, links, progress).introduce(move.slots)
            except (LinkError, ReplyError, TargetFullError) as error:
                failures.append(f"{move.why}: {error}")
            finally:
                for link in links.values():
                    link.close()
        return failures

    def _slot_move(self, move: Move, links: dict[str, Link], progress: Progress) -> SlotMove:
        source, target = self._peer(move.source, links), self._peer(move.target, links)
        for peer in (source, target):
            self._nobody_else(peer)
        others = tuple(
            self._link(view.node_id, links)
            for view in self._views.values()
            if view.is_master and view.node_id not in (move.source, move.target)
        )
        around = Surroundings(self._network, others, progress, self._stopped, self._log)
        if move.mode == "expire":
            return Expire(source, target, around, self._misses)
        return Copy(source, target, around, self._password, self._rate)

    def _nobody_else(self, peer: Peer) -> None:
        """Two runs that start together both saw nobody: here each sees the other, and the lower name goes on."""
        others = {name for name in client_names(text(peer.link.call("CLIENT", "LIST"))) if name != self._name}
        if any(name < self._name for name in others):
            raise ReplyError("another run has begun to move slots")
