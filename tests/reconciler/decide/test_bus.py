"""The language of the cluster bus: all nodes change it together, when all of them can, and never back in secret."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.decide.actions import SwitchBus
from reconciler.decide.bus import (
    refuse_a_change_in_one_step,
    refuse_tls_beside_another_change,
    switch_after_the_roll,
    switch_before_the_roll,
)
from reconciler.decide.phases import REPAIR
from reconciler.decide.state import ClusterState
from reconciler.observe.observation import MissingPod, SeedAnswer
from tests.reconciler.decide.cases import healthy, state_of, wanted

MODES = ("plain", "both", "required")


def state(mode: str, *nodes: tuple[bool, bool]) -> ClusterState:
    """Six nodes; of each, whether it has a port for TLS, and whether its bus speaks it."""
    desired = wanted(tls=mode, tlsPort=6380, **({} if mode == "plain" else {"tlsCaFile": "ca.crt"}))
    found = state_of(healthy(), desired)
    reports = tuple(
        replace(report, has_tls_port=able, bus_has_tls=speaks)
        for report, (able, speaks) in zip(found.observation.reports, nodes, strict=True)
    )
    return ClusterState(replace(found.observation, reports=reports), desired)


NODES = st.lists(st.sampled_from([(False, False), (True, False), (True, True)]), min_size=6, max_size=6)


@given(st.sampled_from(MODES), NODES)
def test_the_bus_changes_on_all_nodes_or_on_none(mode: str, nodes: list[tuple[bool, bool]]) -> None:
    given_state = state(mode, *nodes)
    wants_tls = mode != "plain"
    for rule in (switch_before_the_roll, switch_after_the_roll):
        found = rule(given_state)
        for action in found.actions:
            assert isinstance(action, SwitchBus)
            assert set(action.nodes) == set(given_state.reports)
            assert action.has_tls == wants_tls
            assert not wants_tls or all(able for able, _ in nodes), "a node without a port for TLS would be lost"
        if all(speaks == wants_tls for _, speaks in nodes):
            assert found.done


@given(NODES)
def test_after_the_roll_it_is_waited_for_the_last_port_and_before_it_for_none(nodes: list[tuple[bool, bool]]) -> None:
    unable = sum(not able for able, _ in nodes)
    assert len(switch_after_the_roll(state("both", *nodes)).waiting) == unable
    assert switch_before_the_roll(state("both", *nodes)).waiting == ()


@given(NODES)
def test_before_a_roll_that_takes_certificates_away_no_node_is_left_that_speaks_tls(
    nodes: list[tuple[bool, bool]],
) -> None:
    found = switch_before_the_roll(state("plain", *nodes))
    assert bool(found.actions) == any(speaks for _, speaks in nodes)


def test_a_repair_of_the_update_before_changes_nothing_back() -> None:
    assert not {switch_before_the_roll, switch_after_the_roll} & set(REPAIR)


@pytest.mark.parametrize("mode", MODES)
def test_a_cluster_whose_topology_knows_no_second_port_is_left_as_it_is(mode: str) -> None:
    desired = wanted(tls=mode if mode != "both" else "plain", **({} if mode != "required" else {"tlsCaFile": "c"}))
    assert switch_after_the_roll(state_of(healthy(), desired)).done


def test_nodes_that_take_connections_in_the_opposite_way_only_end_the_run_at_once() -> None:
    healthy_state = state("required", *[(True, True)] * 6)
    assert refuse_a_change_in_one_step(healthy_state).done
    pod = MissingPod("m0", "it takes connections without TLS alone", lives=True, wrong_mode=True)
    missing = ClusterState(replace(healthy_state.observation, missing=(pod,)), healthy_state.desired)
    assert refuse_a_change_in_one_step(missing).refused == "m0: it takes connections without TLS alone"
    seed = SeedAnswer("redis.x", False, "it takes connections with TLS alone", wrong_mode=True)
    behind = ClusterState(replace(healthy_state.observation, seeds=(seed,)), healthy_state.desired)
    assert refuse_a_change_in_one_step(behind).refused == "redis.x: it takes connections with TLS alone"


def test_a_node_of_another_authority_that_answers_without_tls_ends_the_run_at_once() -> None:
    healthy_state = state("both", *[(True, True)] * 6)
    observation = replace(healthy_state.observation, not_trusted={"m0": "its certificate is of an authority …"})
    refused = refuse_a_change_in_one_step(ClusterState(observation, healthy_state.desired)).refused
    assert refused == "m0: its certificate is of an authority …"


def test_a_pod_that_is_only_away_is_no_reason_to_refuse() -> None:
    healthy_state = state("required", *[(True, True)] * 6)
    away = MissingPod("m0", "no answer in time")
    assert refuse_a_change_in_one_step(
        ClusterState(replace(healthy_state.observation, missing=(away,)), healthy_state.desired)
    ).done


def test_pods_of_another_pool_that_have_no_tls_refuse_the_edit_that_makes_a_pool_with_it() -> None:
    other = state("both", *[(True, False)] * 6)
    reports = tuple(replace(report, pod=None, has_tls_port=False) for report in other.observation.reports)
    found = refuse_tls_beside_another_change(ClusterState(replace(other.observation, reports=reports), other.desired))
    assert "in an edit of its own" in (found.refused or "")
    with_tls = tuple(replace(report, has_tls_port=True) for report in reports)
    assert refuse_tls_beside_another_change(
        ClusterState(replace(other.observation, reports=with_tls), other.desired)
    ).done
