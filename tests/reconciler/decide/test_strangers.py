"""Who is taken for a stranger, and who gets the slots that it took."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.decide.actions import Forget, TakeSlots
from reconciler.decide.state import ClusterState
from reconciler.decide.strangers import PATIENCE_S, suspects, turn_strangers_out
from reconciler.slots import ALL_SLOTS, NO_SLOTS, slot_range
from reconciler.topology import TopologyError, parse_topology
from tests.reconciler.decide.cases import AWAY, EMPTY, SLOTS, Node, healthy, state_of, wanted

PODS = r"[mrsx][0-9]\.test|big-[a-z]+-[0-9]\.test"
ROGUE = Node("rogue", ALL_SLOTS, hostname="", ip="10.9.9.9", epoch=1_000_000)
TALKED_OUT: dict[str, dict[str, Any]] = {"m0": EMPTY, "m1": EMPTY, "m2": EMPTY}


def seen(
    nodes: list[Node],
    names: dict[str, frozenset[str] | None] | None = None,
    suspected_s: float = PATIENCE_S,
    pods: str | None = PODS,
) -> ClusterState:
    """The state as a run sees it that has suspected everybody for so long. A stranger is never asked: who asks gives
    away the password."""
    desired = replace(wanted(), pod_hosts=pods)
    found = state_of(nodes, desired)
    asked = tuple(report for report in found.observation.reports if report.node_id != "rogue")
    known = {node.name for node in nodes}
    observation = replace(
        found.observation, reports=asked, other_names=names or {}, suspected_s=dict.fromkeys(known, suspected_s)
    )
    return ClusterState(observation, desired)


def taken(state: ClusterState) -> dict[str, int]:
    return {action.node: action.slots for action in turn_strangers_out(state).actions if isinstance(action, TakeSlots)}


def forgotten(state: ClusterState) -> list[str]:
    return [action.gone for action in turn_strangers_out(state).actions if isinstance(action, Forget)]


@pytest.mark.parametrize("hostname", ["", "evil.example.com", "m0.test.evil.example.com", "m0.tes", "M0.test"])
def test_who_announces_no_pods_name_and_owns_slots_is_turned_out_at_once(hostname: str) -> None:
    state = seen([*healthy(**TALKED_OUT), replace(ROGUE, hostname=hostname)], suspected_s=0.0)
    assert taken(state) == {f"m{shard}": SLOTS[shard] for shard in range(3)}
    assert forgotten(state) == ["rogue"]
    (forget,) = [action for action in turn_strangers_out(state).actions if isinstance(action, Forget)]
    assert set(forget.nodes) == {"m0", "m1", "m2", "r0", "r1", "r2"}


def test_slots_that_a_pod_still_claims_stay_with_it_and_it_outranks_the_stranger() -> None:
    half = SLOTS[0] & slot_range(0, 999)
    others = healthy(m0={"slots": SLOTS[0] & ~half}, m1={"slots": SLOTS[1] | half}, m2=EMPTY)
    state = seen([*others, ROGUE], suspected_s=0.0)
    assert taken(state) == {"m0": SLOTS[0] & ~half, "m1": SLOTS[1] | half, "m2": SLOTS[2]}


def test_a_stranger_that_went_away_again_does_not_keep_its_slots() -> None:
    state = seen([*healthy(**TALKED_OUT), replace(ROGUE, **AWAY)], suspected_s=0.0)
    assert sum(taken(state).values()) == ALL_SLOTS
    assert forgotten(state) == ["rogue"]


def test_a_member_without_slots_and_without_a_name_is_given_time_to_tell_it() -> None:
    member = replace(ROGUE, slots=NO_SLOTS)
    early = turn_strangers_out(seen([*healthy(), member], suspected_s=PATIENCE_S / 2))
    assert not early.actions
    assert "seems to be no pod of this cluster: it announces no host name" in early.waiting[0]
    late = seen([*healthy(), member])
    assert (taken(late), forgotten(late)) == ({}, ["rogue"])


def test_the_stranger_and_what_spoke_against_it_are_reported() -> None:
    (first, *_, last) = turn_strangers_out(seen([*healthy(**TALKED_OUT), replace(ROGUE, hostname="a.b")])).actions
    assert re.fullmatch(r"a\.b \(id rogue\) is no pod .* \(it announces a\.b, .*\): m0 takes .* back", first.why)
    assert last.why.endswith("and is forgotten")


OTHER_POOL = "big-master-0.test"
HERE = frozenset({ROGUE.ip})


@pytest.mark.parametrize(
    ("answer", "stays"),
    [(HERE, True), (HERE | {"10.9.9.8"}, True), (None, True), (frozenset({"10.1.2.3"}), True), (frozenset(), False)],
    ids=["leads there", "leads there too", "does not answer", "leads to where nobody answers", "no such name"],
)
def test_who_announces_a_pods_name_of_another_pool_belongs_to_it_unless_dns_says_no(
    answer: frozenset[str] | None, stays: bool
) -> None:
    nodes = [*healthy(**TALKED_OUT), replace(ROGUE, hostname=OTHER_POOL)]
    state = seen(nodes, {OTHER_POOL: answer})
    assert (forgotten(state) == []) == stays
    assert (taken(state) == {}) == stays
    early = seen(nodes, {OTHER_POOL: answer}, suspected_s=PATIENCE_S - 1)
    assert not turn_strangers_out(early).actions


def test_who_announces_the_name_of_another_pools_pod_that_answers_elsewhere_is_a_stranger() -> None:
    bearer = Node("bearer", SLOTS[2], hostname=OTHER_POOL, ip="10.1.2.3")
    names: dict[str, frozenset[str] | None] = {OTHER_POOL: frozenset({bearer.ip})}
    state = seen([*healthy(m2=EMPTY), bearer, replace(ROGUE, slots=SLOTS[1], hostname=OTHER_POOL)], names)
    assert forgotten(state) == ["rogue"]
    assert taken(state) == {"m1": SLOTS[1]}


def test_who_announces_the_name_of_a_wanted_pod_that_answers_elsewhere_is_a_stranger() -> None:
    state = seen([*healthy(**TALKED_OUT), replace(ROGUE, hostname="m0.test")])
    assert forgotten(state) == ["rogue"]
    assert "it announces m0.test, where m0 answers" in turn_strangers_out(state).actions[0].why


def test_a_pod_that_is_away_is_no_stranger_whoever_has_its_name() -> None:
    """It may just have started, with another id or another address, while DNS leads to where it was."""
    away = healthy(m0={**AWAY, "slots": NO_SLOTS})
    state = seen([*away, replace(ROGUE, hostname="m0.test", slots=SLOTS[0])])
    assert suspects(state) == {}


def test_a_former_self_of_a_pod_is_forgotten_as_failed_nodes_are() -> None:
    former = Node("former", hostname="m0.test", answers=False, flags=frozenset({"fail"}))
    assert suspects(seen([*healthy(), former])) == {}


@given(st.sets(st.sampled_from(["m0", "m1", "r0", "r2"])), st.booleans(), st.floats(0, 100))
def test_no_pod_is_ever_taken_for_a_stranger(away: set[str], answered: bool, suspected_s: float) -> None:
    nodes = [replace(node, ip="10.0.0.1" if node.name in away else "") for node in healthy()]
    nodes.append(Node("big", NO_SLOTS, hostname=OTHER_POOL, ip="10.1.2.3"))
    names: dict[str, frozenset[str] | None] = {OTHER_POOL: frozenset({"10.1.2.3"}) if answered else None}
    state = seen([replace(node, **AWAY) if node.name in away else node for node in nodes], names, suspected_s)
    assert turn_strangers_out(state).actions == ()


def test_where_nothing_is_known_of_the_names_of_pods_nobody_is_a_stranger() -> None:
    assert suspects(seen([*healthy(**TALKED_OUT), ROGUE], pods=None)) == {}


def test_a_pattern_of_names_that_cannot_be_read_is_refused() -> None:
    nodes = [{"pod": f"m{n}", "host": f"m{n}.test", "shard": n, "role": "master"} for n in range(3)]
    with pytest.raises(TopologyError, match=r"podHosts: \"\(\" is given, a regular expression"):
        parse_topology(json.dumps({"pool": "redis", "nodes": nodes, "podHosts": "("}))
