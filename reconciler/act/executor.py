"""Carries out single actions and checks that they took effect."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from reconciler.act.bus import BUS_PORT_DISTANCE, switch_bus
from reconciler.act.failover import hand_over
from reconciler.act.native_jobs import cancel_job, find_job
from reconciler.act.ownership import MORE_CONNECTIONS, take_slots
from reconciler.connection import Argument, Connection, Connections, ReplyError, UnreachableError, text
from reconciler.decide.actions import (
    Action,
    AssignSlots,
    CancelNativeJob,
    Failover,
    Forget,
    LoadLibrary,
    Meet,
    Move,
    Replicate,
    Reset,
    SetEpoch,
    SetSlotStable,
    SwitchBus,
    TakeSlots,
)
from reconciler.observe.cluster_nodes import NodeEntry, parse_cluster_nodes
from reconciler.observe.libraries import libraries
from reconciler.observe.native_jobs import NativeWay
from reconciler.observe.observation import Observation
from reconciler.slots import count, describe, ranges
from reconciler.tls import NO_TLS, Tls

CHECK_INTERVAL_S = 0.1
CHECK_TIMEOUT_S = 10.0
"""A failover that the master agreed to may take 5 s by Redis's own bound; everything else shows at the next ping."""

Check = Callable[[], str | None]
"""Looks whether an action has taken effect. None when it has, else what is still missing."""


class Executor:
    """Carries out actions other than moves, on the nodes of one observation."""

    def __init__(self, connections: Connections, observation: Observation, tls: Tls = NO_TLS) -> None:
        self._connections = connections
        self._tls = tls
        self._has_tls = {report.node_id: report.bus_has_tls for report in observation.reports}
        self._addresses = {report.node_id: (report.ip, report.port) for report in observation.reports}
        self._waits_for_replicas = {
            report.node_id for report in observation.reports if not report.takes_marks_in_transactions
        }

    def carry_out(self, actions: Iterable[Action]) -> list[str]:
        """Carry out actions in order, then wait (bounded) until all have taken effect. Returns what went wrong."""
        errors: list[str] = []
        checks: list[tuple[Action, Check]] = []
        for action in actions:
            try:
                checks.append((action, self._begin(action)))
            except (UnreachableError, ReplyError) as error:
                errors.append(f"{action.why}: {error}")
        return errors + self._wait_for(checks)

    def _wait_for(self, checks: list[tuple[Action, Check]]) -> list[str]:
        network = self._connections.network
        end = network.now() + CHECK_TIMEOUT_S
        while True:
            open_checks: list[tuple[Action, Check]] = []
            errors: list[str] = []
            for action, check in checks:
                try:
                    lacking = check()
                except (UnreachableError, ReplyError) as error:
                    lacking = str(error)
                if lacking:
                    open_checks.append((action, check))
                    errors.append(f"{action.why}: done, but {lacking}")
            if not open_checks or network.now() >= end:
                return errors
            checks = open_checks
            network.sleep(CHECK_INTERVAL_S)

    def _to(self, node_id: str) -> Connection:
        return self._connections.to(self._addresses[node_id])

    def _known_nodes(self, node_id: str) -> dict[str, NodeEntry]:
        entries = parse_cluster_nodes(text(self._to(node_id).call("CLUSTER", "NODES")))
        return {entry.node_id: entry for entry in entries if not entry.in_handshake}

    def _myself(self, node_id: str) -> NodeEntry:
        entry = self._known_nodes(node_id).get(node_id)
        if entry is None or "myself" not in entry.flags:
            # Its pod was started anew since the observation, without its volume.
            raise UnreachableError(f"another node answers at {self._addresses[node_id][0]} by now")
        return entry

    def _begin(self, action: Action) -> Check:
        """Send the commands of an action; the check says later whether they took effect."""
        match action:
            case SetEpoch(node, config_epoch):
                self._to(node).call("CLUSTER", "SET-CONFIG-EPOCH", config_epoch)
                return lambda: None if self._myself(node).config_epoch == config_epoch else "its epoch is another"
            case Meet(node, other, ip, port):
                self._to(node).call("CLUSTER", "MEET", ip, *self._ports_to_meet(node, port))
                return lambda: None if other in self._known_nodes(node) else "they have not met yet"
            case AssignSlots():
                return self._assign(action)
            case TakeSlots(node, slots, former):
                self._raise_if_owned(slots, node)
                self._take(node, slots, former)
                return lambda: self._lacks(node, slots)
            case Replicate(node, master):
                self._to(node).call("CLUSTER", "REPLICATE", master)
                return lambda: None if self._myself(node).master_id == master else "it does not replicate it yet"
            case Reset(node):
                self._to(node).call("CLUSTER", "RESET", "SOFT")
                return lambda: None if self._myself(node).is_master else "it is still a replica"
            case Failover(node, ""):
                living_master = self._to(self._myself(node).master_id or "")
                hand_over(self._connections.network, living_master, self._to(node))
                return lambda: None if self._myself(node).is_master else "it is not master yet"
            case Failover(node, mode):
                self._to(node).call("CLUSTER", "FAILOVER", mode)
                return lambda: None if self._myself(node).is_master else "it is not master yet"
            case Forget(gone, nodes):
                return self._forget(gone, nodes)
            case SetSlotStable(node, slot):
                self._to(node).call("CLUSTER", "SETSLOT", slot, "STABLE")
                return lambda: None
            case SwitchBus(nodes, has_tls):
                return switch_bus(self._connections, {node: self._addresses[node] for node in nodes}, has_tls)
            case CancelNativeJob(node, way, job):
                cancel_job(self._to(node), way, job)
                return lambda: "it has not ended yet" if self._is_under_way(node, way, job) else None
            case LoadLibrary(node, library, code, replaces):
                self._to(node).call("FUNCTION", "LOAD", *(["REPLACE"] if replaces else []), code)
                return lambda: None if self._has_library(node, library, code) else "it does not have it yet"
            case Move():
                raise TypeError("moves are carried out by SlotMover")

    def _ports_to_meet(self, node: str, port: int) -> tuple[int, ...]:
        """What CLUSTER MEET is given: the port for clients, and the bus's where Redis would not find it by that."""
        meant = self._tls.bus_port(port, self._has_tls[node])
        return (meant,) if meant == port else (meant, port + BUS_PORT_DISTANCE)

    def _assign(self, action: AssignSlots) -> Check:
        bounds: list[Argument] = [bound for pair in ranges(action.slots) for bound in pair]
        self._to(action.node).call("CLUSTER", "ADDSLOTSRANGE", *bounds)
        if action.outrank:
            self._to(action.node).call("CLUSTER", "BUMPEPOCH")
        return lambda: self._lacks(action.node, action.slots)

    def _take(self, node: str, slots: int, former: str) -> None:
        at_once = self._connections.in_threads and node in self._waits_for_replicas
        number = min(MORE_CONNECTIONS, count(slots) - 1) if at_once else 0
        more: list[Connection] = []
        try:
            for _ in range(number):
                more.append(self._connections.network.connect(self._addresses[node]))
            importing = {slot for slot, _ in self._myself(node).importing}
            take_slots((self._to(node), *more), node, former, slots, importing)
        finally:
            for connection in more:
                connection.close()

    def _raise_if_owned(self, slots: int, taker: str) -> None:
        """The nodes may have been asked while a slot was on its way from one to the other, so that it seemed to belong
        to neither. Whoever owns it keeps it."""
        for node in self._addresses:
            if node == taker:
                continue
            try:
                owned = self._myself(node).slots & slots
            except UnreachableError:
                # What becomes of the slots of a node that does not answer was for the rules to judge.
                continue
            if owned:
                raise ReplyError(f"{describe(owned)} is owned by {node} by now")

    def _lacks(self, node: str, slots: int) -> str | None:
        left = slots & ~self._myself(node).slots
        return f"it still lacks {describe(left)}" if left else None

    def _has_library(self, node: str, name: str, code: bytes) -> bool:
        answer = self._to(node).call("FUNCTION", "LIST", "LIBRARYNAME", name, "WITHCODE")
        return any(found.name == name and found.code == code for found in libraries(answer))

    def _is_under_way(self, node: str, way: NativeWay, name: str) -> bool:
        job = find_job(self._to(node), way, name)
        return job is not None and not job.is_over

    def _forget(self, gone: str, nodes: tuple[str, ...]) -> Check:
        # All at once: a node that still knows it would tell the others again when their ban of 60 s is over.
        errors = []
        for node in nodes:
            try:
                self._to(node).call("CLUSTER", "FORGET", gone)
            except ReplyError as error:
                # A node that does not know it has nothing to forget.
                if "Unknown node" not in str(error):
                    errors.append(str(error))
            except UnreachableError as error:
                errors.append(str(error))
        if errors:
            raise ReplyError("; ".join(errors))

        def check() -> str | None:
            knowing = [node for node in nodes if gone in self._known_nodes(node)]
            return f"{len(knowing)} nodes still know it" if knowing else None

        return check
