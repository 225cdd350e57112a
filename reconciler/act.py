"""Carries out actions and looks whether they took. Knows commands, not reasons."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from reconciler.actions import (
    Action,
    AssignSlots,
    Failover,
    Forget,
    Meet,
    Move,
    Replicate,
    Reset,
    SetEpoch,
    Stabilise,
    TakeSlots,
)
from reconciler.link import Argument, Link, LinkError, Links, ReplyError, text
from reconciler.observe import parse_info
from reconciler.slots import describe, members, ranges
from reconciler.views import Observed, Row, parse_cluster_nodes

CHECK_INTERVAL_S = 0.1
CHECK_TIMEOUT_S = 10.0
"""A failover agreed with the master may take 5 s by Redis's own bound; everything else shows at the next ping."""

VOTES_S = 0.25
"""The masters' votes come within two round trips and two ticks of 100 ms, once the replica has every write."""

HANDOVER_S = 5.5
"""Redis gives up a hand-over after 5 s (CLUSTER_MF_TIMEOUT in its source); until then the master holds back writes."""

HANDOVER_POLL_S = 0.05

STREAM_S = 2.0
"""Twice the time between two confirmations of a replica."""

PIPELINED_SLOTS = 512

Check = Callable[[], str | None]
"""Looks whether an action has taken; None when it has, else what is still missing."""


class Actor:
    """Carries out actions other than moves against the nodes of one observation."""

    def __init__(self, links: Links, observed: Observed) -> None:
        self._links = links
        self._addresses = {view.node_id: (view.ip, view.port) for view in observed.views}

    def perform(self, actions: Iterable[Action]) -> list[str]:
        """Carry out actions in order, then wait (bounded) until all of them show. Returns what failed."""
        failures: list[str] = []
        checks: list[tuple[Action, Check]] = []
        for action in actions:
            try:
                checks.append((action, self._carry_out(action)))
            except (LinkError, ReplyError) as error:
                failures.append(f"{action.why}: {error}")
        return failures + self._wait_for(checks)

    def _wait_for(self, checks: list[tuple[Action, Check]]) -> list[str]:
        network = self._links.network
        end = network.now() + CHECK_TIMEOUT_S
        while True:
            left: list[tuple[Action, Check]] = []
            lacking: list[str] = []
            for action, check in checks:
                try:
                    missing = check()
                except (LinkError, ReplyError) as error:
                    missing = str(error)
                if missing:
                    left.append((action, check))
                    lacking.append(f"{action.why}: done, but {missing}")
            if not left or network.now() >= end:
                return lacking
            checks = left
            network.sleep(CHECK_INTERVAL_S)

    def _link(self, node_id: str) -> Link:
        return self._links.to(self._addresses[node_id])

    def _rows(self, node_id: str) -> dict[str, Row]:
        rows = parse_cluster_nodes(text(self._link(node_id).call("CLUSTER", "NODES")))
        return {row.node_id: row for row in rows if not row.in_handshake}

    def _carry_out(self, action: Action) -> Check:
        match action:
            case SetEpoch(node, epoch):
                self._link(node).call("CLUSTER", "SET-CONFIG-EPOCH", epoch)
                return lambda: None if self._rows(node)[node].epoch == epoch else "the epoch is another"
            case Meet(node, other, ip, port):
                self._link(node).call("CLUSTER", "MEET", ip, port)
                return lambda: None if other in self._rows(node) else "they have not met yet"
            case AssignSlots():
                return self._assign(action)
            case TakeSlots(node, slots, former):
                self._raise_if_owned(slots, node)
                take_slots(self._link(node), node, former, slots)
                return lambda: self._lacks(node, slots)
            case Replicate(node, master):
                self._link(node).call("CLUSTER", "REPLICATE", master)
                return lambda: None if self._rows(node)[node].master_id == master else "it does not follow yet"
            case Reset(node):
                self._link(node).call("CLUSTER", "RESET", "SOFT")
                return lambda: None if self._rows(node)[node].is_master else "it is still a replica"
            case Failover(node, mode):
                if mode:
                    self._link(node).call("CLUSTER", "FAILOVER", mode)
                else:
                    self._hand_over(node)
                return lambda: None if self._rows(node)[node].is_master else "it is not master yet"
            case Forget(gone, nodes):
                return self._forget(gone, nodes)
            case Stabilise(node, slot):
                self._link(node).call("CLUSTER", "SETSLOT", slot, "STABLE")
                return lambda: None
            case Move():
                raise TypeError("moves are carried out by the Mover")

    def _hand_over(self, node: str) -> None:
        """A living master's slots to its replica. The master holds back writes until the replica has them all and the
        others have voted; they refuse within two node timeouts of a vote about the same master. Then TAKEOVER does
        it: the master lives, so no other replica can be elected, and while it takes no writes equal offsets mean
        that nothing is lost.

        Both ends are asked who they are: a replica that has won an election within four node timeouts takes its old
        votes for new ones (seen with Redis 7.0.15), calls itself master, and is corrected."""
        network = self._links.network
        replica = self._link(node)
        former = self._link(self._rows(node)[node].master_id or "")
        self._wait_for_stream(former, replica)
        replica.call("CLUSTER", "FAILOVER")
        asked = network.now()
        while network.now() - asked < HANDOVER_S:
            network.sleep(HANDOVER_POLL_S)
            (role, has), (former_role, sent) = _role_and_offset(replica), _role_and_offset(former)
            if role == "master" and former_role == "slave":
                return
            if network.now() - asked >= VOTES_S and has == sent:
                try:
                    replica.call("CLUSTER", "FAILOVER", "TAKEOVER")
                except ReplyError:
                    # It is, or calls itself, master at this moment; who is one is looked at next.
                    continue

    def _wait_for_stream(self, master: Link, replica: Link) -> None:
        """Until the replica has what was written by now. After a diskless sync the master sends it nothing before its
        next confirmation, which comes once a second, though it calls it online; writes would be held back so long."""
        network = self._links.network
        _, written = _role_and_offset(master)
        end = network.now() + STREAM_S
        while int(_role_and_offset(replica)[1] or 0) < int(written or 0):
            if network.now() >= end:
                raise ReplyError(f"the replica lags: it has not got what was written {STREAM_S:g} s ago")
            network.sleep(HANDOVER_POLL_S)

    def _assign(self, action: AssignSlots) -> Check:
        bounds: list[Argument] = [bound for pair in ranges(action.slots) for bound in pair]
        self._link(action.node).call("CLUSTER", "ADDSLOTSRANGE", *bounds)
        if action.outrank:
            self._link(action.node).call("CLUSTER", "BUMPEPOCH")
        return lambda: self._lacks(action.node, action.slots)

    def _raise_if_owned(self, slots: int, taker: str) -> None:
        """The observation may have met a slot on its way from one node to the other. Whoever owns it keeps it."""
        for node in self._addresses:
            if node == taker:
                continue
            try:
                owned = self._rows(node)[node].slots & slots
            except LinkError:
                # Who does not answer is the rules' to judge.
                continue
            if owned:
                raise ReplyError(f"{describe(owned)} is owned by {node} by now")

    def _lacks(self, node: str, slots: int) -> str | None:
        lacking = slots & ~self._rows(node)[node].slots
        return f"it still lacks {describe(lacking)}" if lacking else None

    def _forget(self, gone: str, nodes: tuple[str, ...]) -> Check:
        # All at once: a node that still knows the dead one tells the others again when their ban of 60 s is over.
        errors: list[str] = []
        for node in nodes:
            try:
                self._link(node).call("CLUSTER", "FORGET", gone)
            except ReplyError as error:
                if "Unknown node" not in str(error):
                    errors.append(str(error))
            except LinkError as error:
                errors.append(str(error))
        if errors:
            raise ReplyError("; ".join(errors))

        def check() -> str | None:
            still = [node for node in nodes if gone in self._rows(node)]
            return f"{len(still)} nodes still know it" if still else None

        return check


def _role_and_offset(link: Link) -> tuple[str, str]:
    """Of INFO replication: what a node is, and the offset of what it sent as a master, or has as a replica."""
    facts = parse_info(text(link.call("INFO", "replication")))
    return facts.get("role", ""), facts.get("slave_repl_offset", facts.get("master_repl_offset", ""))


def take_slots(link: Link, node: str, former: str, slots: int) -> None:
    """Make `node` the owner of slots of `former` without their keys (redis-facts 16). `node` raises its config epoch,
    so the others, and `former` when it lives, accept the change by gossip; `former` then drops the keys.

    Raises `ReplyError` with the first error, `LinkError` when the connection breaks; both leave a slot with its old
    owner or with its new one, at worst marked importing.
    """
    wanted = list(members(slots))
    for start in range(0, len(wanted), PIPELINED_SLOTS):
        part = wanted[start : start + PIPELINED_SLOTS]
        for reply in link.pipeline([("CLUSTER", "SETSLOT", part[-1], "IMPORTING", former), *owning(node, part)]):
            # An earlier, interrupted run may have come this far.
            if isinstance(reply, ReplyError) and "already the owner" not in str(reply):
                raise reply


def owning(node: str, slots: Sequence[int]) -> list[tuple[Argument, ...]]:
    """Commands that make `node` itself the owner of slots of which it imports the last.

    Redis tells every node at once when an imported slot gets its owner: 2 KiB to each, for each slot. So the epoch is
    raised first, which makes the claims good, all slots but the last are taken without their mark, and the last one
    tells of all.
    """
    commands: list[tuple[Argument, ...]] = [("CLUSTER", "BUMPEPOCH")]
    for slot in slots[:-1]:
        commands.append(("CLUSTER", "SETSLOT", slot, "STABLE"))
        commands.append(("CLUSTER", "SETSLOT", slot, "NODE", node))
    return [*commands, ("CLUSTER", "SETSLOT", slots[-1], "NODE", node)]
