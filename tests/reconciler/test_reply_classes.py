"""A node that refuses every command, by each class of reply: what each phase does, and what it says."""

from __future__ import annotations

import pytest

from reconciler.connection import RefusedError, ReplyError
from reconciler.error_replies import NOT_ADMITTED
from reconciler.exit_status import ExitStatus
from reconciler.topology import Topology
from tests.reconciler.conftest import FEW_SLOTS
from tests.reconciler.fake_cluster import FakeCluster
from tests.reconciler.refusals import REPLIES, refusal
from tests.reconciler.simulation import assert_formed, formed, node_of, run, start_all, topology

pytestmark = pytest.mark.usefixtures("few_slots")

DEADLINE_S = 60
BEYOND_S = 20
"""One look at all nodes and one action may begin just before the deadline."""
SAYS = {
    "max clients": "clients have taken all its connections (maxclients); it lives and serves them. Its pod closes "
    "those that are idle. If that is not enough, stop the application that takes them",
    "BUSY": "it runs a script or a function and answers nobody else. Its pod ends one that does not end by itself",
    "LOADING": "the node is loading its data, and answers when it has it",
    "MASTERDOWN": "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'. It is a replica "
    "that has lost its master, and answers when one is back",
    "OOM": "OOM command not allowed when used memory > 'maxmemory'. It has no memory left for this. Give the pods more",
    "NOAUTH": "the node refuses the user operator: NOAUTH Authentication required",
    "WRONGPASS": "the node refuses the user operator: WRONGPASS invalid username-password pair or user is disabled",
    "NOPERM": "NOPERM this user has no permissions to run the 'info' command. The user has not this right",
    "MISCONF": "currently unable to persist to disk. It cannot write its volume. It should not have to",
    "READONLY": "READONLY You can't write against a read only replica. It is a replica by now",
    "no reply": "no answer in time, as from a stopped process, a lost machine or a cut network (Timeout",
}


def growing() -> tuple[FakeCluster, Topology]:
    """A fourth shard has come, and its slots are to be moved."""
    world, _ = formed(3, 1)
    desired = topology(4, 1)
    start_all(world, desired)
    return world, desired


def shrinking() -> tuple[FakeCluster, Topology]:
    world, _ = formed(4, 1)
    return world, topology(3, 1)


def coming_home() -> tuple[FakeCluster, Topology]:
    """A shard whose initial master is replica, which *repair* would change."""
    world, _ = formed(3, 1)
    world.promote(node_of(world, "redis-replica-0-2"), node_of(world, "redis-master-2"))
    world.gossip()
    return world, topology(3, 1, bringHome=True)


PHASES = {"form": growing, "release": shrinking, "repair": coming_home}


@pytest.mark.parametrize("name", REPLIES)
def test_every_class_of_reply_is_told_from_a_node_that_is_lost(name: str) -> None:
    found = refusal(name)
    for error in (found.of_call, found.of_pipeline):
        assert isinstance(error, RefusedError | ReplyError) == (name != "no reply"), repr(error)


@pytest.mark.parametrize(
    ("pod", "name"),
    [
        *(("redis-master-1", name) for name in REPLIES),
        *(("redis-replica-0-1", name) for name in ("max clients", "MASTERDOWN", "NOPERM", "no reply")),
    ],
)
@pytest.mark.parametrize("phase", PHASES)
def test_a_node_that_refuses_is_named_with_the_reason_and_nothing_is_taken_from_it(
    phase: str, pod: str, name: str
) -> None:
    world, desired = PHASES[phase]()
    node = node_of(world, pod)
    slots, keys = node.slots, node.all_keys()
    knowing = [other for other in world.living() if node.node_id in other.table]
    world.refusals[node.ip] = refusal(name)
    began_s, before = world.time_s, len(world.writes)

    status, lines = run(world, phase, desired, DEADLINE_S)

    assert world.time_s - began_s <= DEADLINE_S + BEYOND_S
    said = [line for line in lines if pod in line and SAYS[name] in line]
    assert said, lines[-6:]
    assert not any("Traceback" in line or "object at 0x" in line for line in lines)
    if phase != "repair":
        # What follows builds on this node. Nothing at all is done before it answers.
        assert len(world.writes) == before
        if name in NOT_ADMITTED:
            # No waiting changes that, so nobody waits.
            assert status is ExitStatus.REFUSED
            assert world.time_s - began_s < BEYOND_S
            assert "Nothing was changed" in lines[-1]
            assert ("Put the old one back into access.password" in lines[-1]) == (name != "NOPERM")
        else:
            assert status is ExitStatus.NOT_IN_TIME
            assert lines[-1].endswith("run this again to go on")
    assert (node.slots, node.all_keys()) == (slots, keys)
    assert all(node.node_id in other.table for other in knowing)

    world.refusals.clear()
    status, lines = run(world, phase, desired, 10 * DEADLINE_S)
    assert status is ExitStatus.DONE, lines[-6:]
    assert_formed(world, desired)
    world.check()


@pytest.mark.parametrize("end", ["source", "target", "third"])
@pytest.mark.parametrize("name", REPLIES)
def test_a_node_that_begins_to_refuse_while_slots_move_stops_the_move_and_loses_nothing(name: str, end: str) -> None:
    world, desired = growing()
    world.key_bytes = 10 << 20
    pod = {"source": "redis-master-0", "target": "redis-master-3", "third": "redis-master-1"}[end]
    node = node_of(world, pod)
    world.refuses_after = (len(world.writes) + 120, node.ip, refusal(name))
    began_s = world.time_s

    status, lines = run(world, "form", desired, DEADLINE_S)

    assert world.refusals, "the node never refused"
    assert status is (ExitStatus.REFUSED if name in NOT_ADMITTED else ExitStatus.NOT_IN_TIME)
    assert world.time_s - began_s <= DEADLINE_S + BEYOND_S
    assert any(pod in line and SAYS[name] in line for line in lines), lines[-6:]
    assert not any("Traceback" in line or "object at 0x" in line for line in lines)
    if end == "third":
        # It gives no slot itself. What goes between two others goes on.
        given = [node_of(world, other).slots.bit_count() for other in ("redis-master-0", "redis-master-2")]
        assert given == [FEW_SLOTS // 4] * 2
        assert not any("not done" in line and f"from {pod}" not in line for line in lines)
    world.check()

    world.refusals.clear()
    status, lines = run(world, "form", desired, 10 * DEADLINE_S)
    assert status is ExitStatus.DONE, lines[-6:]
    assert_formed(world, desired)
    world.check()


@pytest.mark.parametrize(
    ("name", "end", "with_functions"),
    [
        *((name, "source", False) for name in ("MISCONF", "READONLY", "NOPERM")),  # MIGRATE and UNLINK need no memory
        *((name, "target", has) for name in ("OOM", "MISCONF", "READONLY", "NOPERM") for has in (False, True)),
    ],
)
def test_a_node_that_refuses_writes_alone_stops_the_move_and_the_log_says_why(
    name: str, end: str, with_functions: bool
) -> None:
    world, desired = growing()
    if with_functions:
        world.functions = {"images"}
        for node in world.living():
            if node.slots or node.master_id:
                node.libraries = {"images": "#!lua name=images\n"}
    node, newcomer = node_of(world, {"source": "redis-master-0", "target": "redis-master-3"}[end]), "redis-master-3"
    world.refuses_writes[node.ip] = refusal(name)

    status, lines = run(world, "form", desired, DEADLINE_S)

    assert status is ExitStatus.NOT_IN_TIME
    reason = "redis-master-3 has no memory left" if (name, end) == ("OOM", "target") and not with_functions else name
    assert any(node.hostname.partition(".")[0] in line and reason in line for line in lines), lines[-6:]
    assert not with_functions or not node_of(world, newcomer).slots, "its functions are missing there"
    assert not any("Traceback" in line or "object at 0x" in line for line in lines)
    world.check()

    world.refuses_writes.clear()
    status, lines = run(world, "form", desired, 10 * DEADLINE_S)
    assert status is ExitStatus.DONE, lines[-6:]
    assert_formed(world, desired)
    world.check()


@pytest.mark.parametrize("name", NOT_ADMITTED)
@pytest.mark.parametrize("refusing", ["every pod", "a pod without slots", "the pool that serves"])
def test_a_release_that_is_not_let_in_ends_at_once_and_one_that_takes_the_edit_back_goes_on(
    refusing: str, name: str
) -> None:
    world, desired = formed(3, 1)
    if refusing == "the pool that serves":
        # Another pool is to come, whose pods do not run yet.
        served = desired
        desired = topology(3, 1, prefix="larger", seeds=[served.nodes[0].host])
        refused = [node.pod for node in served.nodes]
    elif refusing == "every pod":
        refused = [node.pod for node in desired.nodes]
    else:
        # What an edit left behind which was not refused in time.
        refused = ["redis-replica-0-1"]
    for pod in refused:
        world.refusals[node_of(world, pod).ip] = refusal(name)
    began_s, before = world.time_s, len(world.writes)

    status, lines = run(world, "release", desired, DEADLINE_S)

    assert world.time_s - began_s < BEYOND_S
    assert len(world.writes) == before
    if refusing == "a pod without slots":
        assert status is ExitStatus.DONE, lines
    else:
        assert status is ExitStatus.REFUSED, lines
        assert SAYS[name] in lines[-1]
        assert "Nothing was changed" in lines[-1]


@pytest.mark.parametrize("phase", PHASES)
def test_a_stopped_process_is_waited_for_as_long_as_the_others_need_to_replace_it(phase: str) -> None:
    """It is silent on the cluster bus too, while its kernel accepts connections."""
    world, desired = PHASES[phase]()
    world.fails_after_s, world.elects_after_s = 5.0, 3.0
    node = node_of(world, "redis-master-1")
    slots = node.slots
    node.alive, world.refusals[node.ip] = False, refusal("no reply")
    before = len(world.writes)

    status, lines = run(world, phase, desired, DEADLINE_S)

    assert not [words for _, words in world.writes if "FORCE" in words or "TAKEOVER" in words]
    assert node_of(world, "redis-replica-0-1").slots == slots, "the election was disturbed"
    said = " ".join(lines)
    assert "redis-master-1" in said
    assert phase == "release" or SAYS["no reply"] in said
    if phase == "form":
        assert status is ExitStatus.NOT_IN_TIME
        assert len(world.writes) == before

    world.refusals.clear()
    world.start("redis-master-1", node.ip)
    status, lines = run(world, "repair" if phase == "release" else phase, desired, 10 * DEADLINE_S)
    assert status is ExitStatus.DONE, lines[-6:]
    world.check()
