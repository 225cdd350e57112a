"""Moves slots between living masters: from all sources at once, within the rate limits, until done, stopped or late."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

from reconciler.act.endpoint import Endpoint, TargetFullError
from reconciler.act.move_natively import MoveNatively, NativeMoveError
from reconciler.act.move_with_keys import MoveWithKeys
from reconciler.act.move_without_keys import MoveWithoutKeys
from reconciler.act.ownership import MORE_CONNECTIONS
from reconciler.act.progress import Progress
from reconciler.act.rate import RateLimit
from reconciler.act.slot_move import MoveContext, SlotMove
from reconciler.connection import Connection, Network, ReplyError, UnreachableError
from reconciler.decide.actions import Move
from reconciler.observe.native_jobs import NativeWay
from reconciler.observe.observation import Observation
from reconciler.slots import count
from reconciler.topology import Topology

MAX_SOURCES_AT_ONCE = 64

Connections = dict[tuple[str, int], Connection]
"""One for each node and number: connections are not shared between threads."""

MOVE_ERRORS = (UnreachableError, ReplyError, TargetFullError)


def _by_source(moves: Iterable[Move]) -> dict[str, list[Move]]:
    found: dict[str, list[Move]] = {}
    for move in moves:
        found.setdefault(move.source, []).append(move)
    return found


def one_to_each_target(moves: Sequence[Move]) -> dict[str, list[Move]]:
    """By source, the first move to each target: a cluster client that uses one master uses them all."""
    first = {move.target: move for move in reversed(moves)}
    return _by_source(move for move in moves if first[move.target] is move)


class SlotMover:
    """Carries out moves, on the nodes of one observation. Connections are made through `network`, which names them."""

    def __init__(
        self,
        network: Network,
        observation: Observation,
        desired: Topology,
        log: Callable[[str], None],
        deadline: float,
        in_threads: bool = True,
    ) -> None:
        self._network = network
        self._reports = {report.node_id: report for report in observation.reports}
        self._log = log
        self._deadline = deadline
        self._in_threads = in_threads
        self._stop = threading.Event()
        self._tls = desired.tls
        self._rate = RateLimit(network, desired.move.bytes_per_second)
        self._misses = RateLimit(network, desired.move.extra_misses_per_second)
        self._sources = 1

    def move(self, moves: Sequence[Move]) -> list[str]:
        """Carry out the moves. Returns what went wrong; a slot that is half moved then is served by both sides."""
        by_source = _by_source(moves)
        self._sources = len(by_source)
        progress = Progress(self._network, self._log, sum(count(move.slots) for move in moves))
        errors = self._in_parallel(self._let_clients_discover, one_to_each_target(moves), progress)
        if errors:
            return errors
        errors = self._in_parallel(self._move_from_source, by_source, progress)
        progress.report_end()
        return errors

    def _in_parallel(
        self, work: Callable[[list[Move], Progress], list[str]], by_source: Mapping[str, list[Move]], progress: Progress
    ) -> list[str]:
        """Work for all sources at once, in a thread each. Returns what went wrong."""
        if not self._in_threads:
            return [error for mine in by_source.values() for error in work(mine, progress)]
        with ThreadPoolExecutor(min(MAX_SOURCES_AT_ONCE, len(by_source))) as threads:
            futures = [threads.submit(work, mine, progress) for mine in by_source.values()]
            try:
                wait(futures)
            except BaseException:
                # Told to stop: every thread ends the part it is at, so that nothing stays half moved without need.
                self._stop.set()
                raise
        return [error for future in futures for error in future.result()]

    def _stopped(self) -> bool:
        return self._stop.is_set() or self._network.now() >= self._deadline

    def _let_clients_discover(self, moves: list[Move], progress: Progress) -> list[str]:
        errors = []
        for move in moves:
            connections: Connections = {}
            try:
                self._slot_move(move, connections, progress).let_clients_discover_target(move.slots)
            except MOVE_ERRORS as error:
                errors.append(f"{move.why}: {error}")
            finally:
                for connection in connections.values():
                    connection.close()
        return errors

    def _move_from_source(self, moves: list[Move], progress: Progress) -> list[str]:
        errors = []
        connections: Connections = {}
        try:
            for move in moves:
                if self._stopped():
                    break
                try:
                    self._carry_out(move, connections, progress)
                except MOVE_ERRORS as error:
                    errors.append(f"{move.why}: {error}")
        finally:
            for connection in connections.values():
                connection.close()
        return errors

    def _carry_out(self, move: Move, connections: Connections, progress: Progress) -> None:
        """By the servers themselves where they can. Where they refuse, what is left goes key by key."""
        mover = self._slot_move(move, connections, progress)
        try:
            mover.move(move.slots)
        except NativeMoveError as error:
            source, target = self._reports[move.source].name, self._reports[move.target].name
            self._log(f"move: {source} and {target} do not move slots by themselves, so they are moved: {error}")
            mover = self._slot_move(move, connections, progress, natively=False)
            mover.let_clients_discover_target(move.slots)
            mover.move(move.slots)

    def _native_way(self, move: Move) -> NativeWay | None:
        """How the two servers move slots by themselves; None if not both can, with all their replicas: what a target
        gets goes on to its replicas in its own words. Nor does either while it marks a slot in the other way."""
        ends = [self._reports[move.source], self._reports[move.target]]
        replicas = [
            report
            for report in self._reports.values()
            if not report.is_master and report.myself.master_id in (move.source, move.target)
        ]
        ways = {report.native_way for report in (*ends, *replicas)}
        if move.mode != "copy" or len(ways) > 1 or any(report.marks_slots for report in ends):
            return None
        return ways.pop()

    def _slot_move(
        self, move: Move, connections: Connections, progress: Progress, natively: bool = True
    ) -> SlotMove | MoveNatively:
        source, target = self._endpoint(move.source, connections), self._endpoint(move.target, connections)
        others = [report for report in self._reports.values() if report.node_id not in (move.source, move.target)]
        other_masters = tuple(self._connect(report.node_id, connections) for report in others if report.is_master)
        replicas = tuple(self._connect(report.node_id, connections) for report in others if not report.is_master)
        context = MoveContext(self._network, other_masters, replicas, progress, self._stopped, self._log)
        way = self._native_way(move) if natively else None
        if way is not None:
            return MoveNatively(source, target, context, way, self._rate, self._sources)
        if move.mode == "expire":
            return MoveWithoutKeys(source, target, context, self._misses)
        return MoveWithKeys(source, target, context, self._rate)

    def _endpoint(self, node_id: str, connections: Connections) -> Endpoint:
        report = self._reports[node_id]
        # The other side must reach it where it is announced, in the bus's language; we may have come by another way.
        address = (report.myself.ip or report.ip, self._tls.bus_port(report.port, report.bus_has_tls))
        connection = self._connect(node_id, connections)
        at_once = report.takes_marks_in_transactions
        numbers = range(1, 1 + MORE_CONNECTIONS) if self._in_threads and not at_once else ()
        more = tuple(self._connect(node_id, connections, number) for number in numbers)
        return Endpoint(node_id, report.name, address, connection, at_once, more)

    def _connect(self, node_id: str, connections: Connections, number: int = 0) -> Connection:
        if (node_id, number) not in connections:
            report = self._reports[node_id]
            connections[node_id, number] = self._network.connect((report.ip, report.port))
        return connections[node_id, number]
