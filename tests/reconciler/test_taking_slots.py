"""A node becomes the owner of many slots without their keys, by as many connections as its server needs for that."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from reconciler.act.executor import Executor
from reconciler.act.ownership import MORE_CONNECTIONS, SLOTS_AT_ONCE
from reconciler.connection import Address, Argument, Connections, Reply, ReplyError
from reconciler.credentials import Credentials
from reconciler.decide.actions import TakeSlots
from reconciler.slots import ALL_SLOTS, NO_SLOTS, count, members
from tests.reconciler.decide.cases import EMPTY, PORT, healthy, state_of

TAKER, FORMER = "m0", "m1"


@dataclass
class Node:
    """A master that lets itself be told which slots it owns."""

    name: str
    owned: int = NO_SLOTS
    importing: set[int] = field(default_factory=set)
    commands: list[tuple[int, tuple[str, ...]]] = field(default_factory=list)
    """In the order in which they came, each with the number of its connection."""
    refused: int | None = None
    """A slot that it does not want."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, connection: int, words: tuple[str, ...]) -> Reply | ReplyError:
        with self.lock:
            if words == ("CLUSTER", "NODES"):
                marks = [f"[{slot}-<-{FORMER}]" for slot in sorted(self.importing)]
                slots = " ".join([*map(str, members(self.owned)), *marks])
                flags = f"myself,master - 0 0 1 connected {slots}"
                return f"{self.name} ip-{self.name}:{PORT}@16379,{self.name}.test {flags}\n".encode()
            self.commands.append((connection, words))
            if words[:2] == ("CLUSTER", "SETSLOT"):
                slot = int(words[2])
                if slot == self.refused:
                    return ReplyError("NOREPLICAS Not enough good replicas to write.")
                if words[3] == "IMPORTING":
                    self.importing.add(slot)
                if words[3] == "STABLE":
                    self.importing.discard(slot)
                if words[3] == "NODE":
                    self.importing.discard(slot)
                    self.owned |= 1 << slot
            return b"OK"


@dataclass
class World:
    """The network: what was connected, and how much of it is open."""

    nodes: dict[str, Node]
    made: dict[str, int] = field(default_factory=dict)
    open: int = 0

    def connect(self, address: Address) -> WorldConnection:
        name = address[0].removeprefix("ip-")
        self.made[name] = self.made.get(name, 0) + 1
        self.open += 1
        return WorldConnection(self, self.nodes[name], self.made[name])

    def resolve(self, host: str) -> list[str]:
        raise AssertionError(host)

    def now(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        raise AssertionError("what was done has not taken effect at once")


@dataclass
class WorldConnection:
    world: World
    node: Node
    number: int
    credentials: Credentials = field(default_factory=Credentials)

    def call(self, *arguments: Argument, timeout_s: float = 10) -> Reply:
        reply = self.pipeline([arguments])[0]
        if isinstance(reply, ReplyError):
            raise reply
        return reply

    def pipeline(self, commands: Sequence[Sequence[Argument]], timeout_s: float = 10) -> list[Reply | ReplyError]:
        return [self.node.answer(self.number, tuple(map(str, command))) for command in commands]

    def close(self) -> None:
        self.world.open -= 1


def take(world: World, slots: int, waits_for_replicas: bool) -> list[str]:
    """m0 takes slots that nobody says to own. Returns what went wrong."""
    state = state_of([node for node in healthy(m0=EMPTY, m1=EMPTY) if node.name in (TAKER, FORMER)])
    reports = [
        replace(report, takes_marks_in_transactions=not waits_for_replicas) for report in state.observation.reports
    ]
    connections = Connections(world)
    try:
        executor = Executor(connections, replace(state.observation, reports=tuple(reports)))
        return executor.carry_out([TakeSlots(TAKER, slots, FORMER, "a test takes them")])
    finally:
        connections.close()


def new_world() -> World:
    return World({name: Node(name) for name in (TAKER, FORMER)})


@pytest.mark.parametrize(("waits_for_replicas", "connections"), [(False, 1), (True, 1 + MORE_CONNECTIONS)])
def test_all_slots_are_taken_on_as_many_connections_as_the_server_answers_at_a_time(
    waits_for_replicas: bool, connections: int
) -> None:
    world = new_world()
    assert take(world, ALL_SLOTS, waits_for_replicas) == []
    node = world.nodes[TAKER]
    assert node.owned == ALL_SLOTS
    assert node.importing == set()
    assert {connection for connection, _ in node.commands} == set(range(1, connections + 1))
    by_slot: dict[str, set[int]] = {}
    for connection, words in node.commands:
        if words[1] == "SETSLOT" and int(words[2]) % SLOTS_AT_ONCE != SLOTS_AT_ONCE - 1:
            by_slot.setdefault(words[2], set()).add(connection)
    assert all(len(used) == 1 for used in by_slot.values()), "commands of one slot keep their order"
    assert world.open == 0


@pytest.mark.parametrize("waits_for_replicas", [False, True])
def test_a_claim_comes_after_the_config_epoch_was_raised_and_the_slot_that_tells_of_all_comes_last(
    waits_for_replicas: bool,
) -> None:
    world = new_world()
    slots = 1000
    take(world, (1 << slots) - 1, waits_for_replicas)
    commands = [words for _, words in world.nodes[TAKER].commands]
    for first in range(0, slots, SLOTS_AT_ONCE):
        part = range(first, min(first + SLOTS_AT_ONCE, slots))
        mark = commands.index(("CLUSTER", "SETSLOT", str(part[-1]), "IMPORTING", FORMER))
        claims = [commands.index(("CLUSTER", "SETSLOT", str(slot), "NODE", TAKER)) for slot in part]
        assert commands[mark + 1] == ("CLUSTER", "BUMPEPOCH")
        assert mark + 1 < min(claims)
        assert max(claims) == claims[-1]


def test_a_mark_that_an_earlier_run_left_is_taken_away_and_no_slot_without_one_costs_a_command_more() -> None:
    world = new_world()
    world.nodes[TAKER].importing = {3}
    assert take(world, (1 << 10) - 1, waits_for_replicas=True) == []
    commands = [words for _, words in world.nodes[TAKER].commands]
    assert [words for words in commands if words[-1] == "STABLE"] == [("CLUSTER", "SETSLOT", "3", "STABLE")]
    claim = ("CLUSTER", "SETSLOT", "3", "NODE", TAKER)
    assert commands.index(("CLUSTER", "SETSLOT", "3", "STABLE")) < commands.index(claim)
    assert world.nodes[TAKER].importing == set()


def test_a_slot_that_is_taken_alone_needs_one_connection() -> None:
    world = new_world()
    assert take(world, 1 << 7, waits_for_replicas=True) == []
    assert count(world.nodes[TAKER].owned) == 1
    assert world.made[TAKER] == 1


def test_a_claim_that_is_refused_is_said_and_every_connection_is_closed() -> None:
    world = new_world()
    world.nodes[TAKER].refused = 100
    assert take(world, ALL_SLOTS, waits_for_replicas=True) == [
        "a test takes them: NOREPLICAS Not enough good replicas to write."
    ]
    assert world.open == 0
