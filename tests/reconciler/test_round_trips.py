"""Small slots do not cost a round trip each, whatever way they move; and what is asked at once is asked in order."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.act.endpoint import Endpoint
from reconciler.connection import REPLY_TIMEOUT_S, Argument, Reply, ReplyError
from reconciler.credentials import Credentials
from reconciler.exit_status import ExitStatus
from reconciler.observe.native_jobs import NativeWay
from reconciler.slots import SLOT_COUNT, members
from tests.reconciler.fake_connection import FakeConnection
from tests.reconciler.refusals import refusal
from tests.reconciler.simulation import assert_formed, formed, node_of, run, start_all, topology

KEYS_IN_EACH = 12
"""200,000 values in 16,384 slots."""


@pytest.fixture
def trips(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Argument, ...]]:
    """The first command of every round trip to a node."""
    made: list[tuple[Argument, ...]] = []
    pipeline = FakeConnection.pipeline

    def counted(
        self: FakeConnection, commands: Sequence[Sequence[Argument]], timeout_s: float = REPLY_TIMEOUT_S
    ) -> list[Reply | ReplyError]:
        made.extend(tuple(command) for command in commands[:1])
        return pipeline(self, commands, timeout_s)

    monkeypatch.setattr(FakeConnection, "pipeline", counted)
    return made


@pytest.mark.parametrize("is_valkey", [False, True])
@pytest.mark.parametrize("mode", ["copy", "expire"])
def test_small_slots_do_not_cost_a_round_trip_each(
    trips: list[tuple[Argument, ...]], mode: str, is_valkey: bool
) -> None:
    world, _ = formed(3, 0)
    world.is_valkey, world.precious = is_valkey, set()
    for node in world.living():
        # Empty slots lie between them.
        chosen = [slot for slot in members(node.slots) if slot % 10 == 0]
        node.keys = {slot: {f"{slot}:{index}".encode() for index in range(KEYS_IN_EACH)} for slot in chosen}
    desired = topology(4, 0, move={"mode": mode, "extraMissesPerSecond": 10**9})
    start_all(world, desired)
    trips.clear()
    status, lines = run(world, "form", desired, 600)
    assert status is ExitStatus.DONE, lines
    assert_formed(world, desired)
    slots_with_keys = len([slot for slot in members(node_of(world, "redis-master-3").slots) if slot % 10 == 0])
    assert slots_with_keys > 400
    assert len(trips) < slots_with_keys


@pytest.mark.parametrize("way", NativeWay)
def test_servers_that_move_slots_themselves_are_not_asked_about_each_slot(
    trips: list[tuple[Argument, ...]], way: NativeWay
) -> None:
    """Where all that a source holds fits into one job, nobody needs to know what each slot holds."""
    world, _ = formed(3, 0)
    world.native_way, world.job_s = way, 0.1
    for node in world.living():
        node.keys = {
            slot: {f"{slot}:{index}".encode() for index in range(KEYS_IN_EACH)} for slot in members(node.slots)
        }
    world.precious = world.all_keys()
    world.names["redis.clients.test"] = node_of(world, "redis-master-0").ip
    desired = topology(3, 0, "big", seeds=["redis.clients.test"])
    start_all(world, desired)
    trips.clear()
    status, lines = run(world, "form", desired, 600)
    assert status is ExitStatus.DONE, lines
    assert_formed(world, desired)
    assert not [words for words in trips if "COUNTKEYSINSLOT" in words]
    assert any(f"{SLOT_COUNT:,} of {SLOT_COUNT:,} slots, {SLOT_COUNT * KEYS_IN_EACH:,} keys" in line for line in lines)


class Recorded:
    """A connection that answers each command with the number of the slot, and an error where it is told to."""

    credentials = Credentials()

    def __init__(self, failing: frozenset[int] = frozenset()) -> None:
        self.failing = failing
        self.trips: list[list[tuple[Argument, ...]]] = []

    def call(self, *arguments: Argument, timeout_s: float = REPLY_TIMEOUT_S) -> Reply:
        raise AssertionError("not expected")

    def pipeline(
        self, commands: Sequence[Sequence[Argument]], timeout_s: float = REPLY_TIMEOUT_S
    ) -> list[Reply | ReplyError]:
        if commands:
            self.trips.append([tuple(command) for command in commands])
        return [self._answer(command) for command in commands]

    def _answer(self, command: Sequence[Argument]) -> Reply | ReplyError:
        if len(command) == 2:
            return b"OK"
        slot = int(command[2])
        return ReplyError(f"already the owner of {slot}") if slot in self.failing else slot

    def close(self) -> None: ...


def endpoint(connections: Sequence[Recorded]) -> Endpoint:
    first, *more = connections
    return Endpoint("me", "redis-master-0", ("10.0.0.1", 6379), first, not more, tuple(more))


@given(st.lists(st.integers(0, 16383), unique=True), st.integers(1, 8), st.data())
def test_marks_are_set_on_all_connections_at_once_and_each_slot_gets_its_own_answer(
    slots: list[int], number: int, data: st.DataObject
) -> None:
    refused = frozenset(data.draw(st.sets(st.sampled_from(slots)))) if slots else frozenset()
    connections = [Recorded(refused) for _ in range(number)]
    marked, lost = endpoint(connections).mark(slots, "IMPORTING", "other")
    assert (marked, lost) == ([slot for slot in slots if slot not in refused], [s for s in slots if s in refused])
    assert sorted(words[2] for one in connections for trip in one.trips for words in trip) == sorted(slots)
    assert all(len(one.trips) <= 1 for one in connections)


@given(st.lists(st.integers(0, 16383), unique=True, min_size=1), st.integers(1, 8))
def test_a_config_epoch_is_raised_before_slots_are_claimed_and_the_last_slot_comes_last(
    slots: list[int], number: int
) -> None:
    connections = [Recorded() for _ in range(number)]
    endpoint(connections).own(slots)
    first = connections[0]
    assert first.trips[0][0] == ("CLUSTER", "BUMPEPOCH")
    assert first.trips[-1][-1] == ("CLUSTER", "SETSLOT", slots[-1], "NODE", "me")
    said = [words for one in connections for trip in one.trips for words in trip if len(words) > 2]
    for slot in slots[:-1]:
        # A slot that is claimed while it is imported costs a message to every node.
        assert [words[3] for words in said if words[2] == slot] == ["STABLE", "NODE"]


def test_an_error_that_is_not_harmless_is_raised_whichever_connection_gave_it() -> None:
    connections = [Recorded(frozenset({slot})) for slot in (100, 1)]
    with pytest.raises(ReplyError, match="already the owner of 1"):
        endpoint(connections).run_by_slot([("CLUSTER", "SETSLOT", slot, "STABLE") for slot in range(4)])


def test_slots_of_which_no_key_was_moved_lose_their_marks_together(trips: list[tuple[Argument, ...]]) -> None:
    world, _ = formed(3, 0)
    world.is_valkey = True
    for node in world.living():
        # So that it is marked among many empty ones.
        node.keys = {slot: {b"%d:0" % slot} for slot in members(node.slots) if slot % 1000 == 999}
    world.precious = world.all_keys()
    desired = topology(4, 0)
    start_all(world, desired)
    world.refuses_writes[node_of(world, "redis-master-3").ip] = refusal("OOM")
    trips.clear()
    status, lines = run(world, "form", desired, 20)
    assert status is not ExitStatus.DONE
    assert any("no memory left" in line for line in lines)
    assert not any(node.migrating or node.importing for node in world.living())
    assert node_of(world, "redis-master-3").slots.bit_count() > 100
    marked, unmarked = (sum(word in words for words in trips) for word in ("IMPORTING", "STABLE"))
    assert 0 < unmarked <= 2 * marked
