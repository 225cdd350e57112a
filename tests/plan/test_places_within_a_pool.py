"""Volumes bind pods to zones for life, so no edit within a pool may leave a zone fewer places than pods bound to it.

A real scheduler is imitated by `placement_simulation`, which shares no code with the planner.
"""

from collections import Counter
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from components.config.settings import Settings
from components.plan.nodes.catalogue import ROOT_VOLUME_USD
from components.plan.plan import Plan, derive_plan
from components.plan.refusal import PlanRefused
from tests.plan.placement_simulation import Kind, Pods, place, read_kinds
from tests.plan.stacks import ZONES, option_1, stack

KINDS: dict[str, Kind] = {kind.name: kind for kind in read_kinds()}
EDITS_WITHIN_A_POOL = st.fixed_dictionaries(
    {
        "total": st.sampled_from(["192GB", "256GB", "512GB", "768GB", "1TB", "1536GB"]),
        "replicas": st.integers(1, 2),
        "requestsPerSecond": st.sampled_from([1000, 4000, 8000]),
        "nodes": st.fixed_dictionaries(
            {
                "architecture": st.sampled_from(["any", "arm64", "x86_64"]),
                "packing": st.sampled_from(["limits", "requests"]),
                "instanceType": st.sampled_from(["auto", "auto", "r7g.16xlarge", "r6a.16xlarge", "r6i.24xlarge"]),
                "sparePerZone": st.integers(0, 1),
            }
        ),
    }
)


def planned(config: dict[str, Any]) -> tuple[Settings, Plan] | None:
    made = stack("64GB", **config)
    try:
        return made, derive_plan(made)
    except PlanRefused:
        return None


def pods_of(plan: Plan) -> Pods:
    sizing = plan.sizing
    return Pods(
        shards=sizing.masters,
        copies=sizing.copies_per_shard,
        request_mib=sizing.request_memory_mib,
        limit_mib=sizing.limit_memory_mib,
        cpu_millicores=sizing.cpu_millicores,
        gbps_of_a_master=plan.traffic.egress_gbps_per_master,
    )


def homeless(plan: Plan, style: str, seed: int, lost_in_each_zone: int = 0) -> list[tuple[int, int]]:
    """Pods that find no node in the zone that their volumes bind them to."""
    nodes = plan.nodes
    assert nodes is not None
    left = [zone.nodes - lost_in_each_zone for zone in nodes.zones]
    kind = KINDS[nodes.instance_type]
    return place(pods_of(plan), kind, left, nodes.system_reserved_cpu_millicores, style, seed)[1]


@settings(max_examples=60, deadline=None)
@given(EDITS_WITHIN_A_POOL, EDITS_WITHIN_A_POOL, st.sampled_from(["packed", "spread", "random"]), st.integers(0, 99))
def test_after_any_edit_within_a_pool_every_pod_finds_a_node_in_the_zone_of_its_first_day(
    before: dict[str, Any], after: dict[str, Any], style: str, seed: int
) -> None:
    first, second = planned(before), planned(after)
    assume(first is not None and second is not None)
    assert first is not None
    assert second is not None
    assert first[1].pool == second[1].pool

    # A pod that both plans have is bound where the first plan put it, and its places are counted there by the second.
    bound = [set(zone) for zone in pods_of(first[1]).by_zone(len(ZONES))]
    kept = [set(zone) for zone in pods_of(second[1]).by_zone(len(ZONES))]
    for zone, pods in enumerate(bound):
        everywhere = set[tuple[int, int]]().union(*kept)
        assert pods & everywhere <= kept[zone]
    assert homeless(second[1], style, seed) == []


@settings(max_examples=30, deadline=None)
@given(EDITS_WITHIN_A_POOL, st.sampled_from(["packed", "spread", "random"]), st.integers(0, 99))
def test_with_a_spare_node_in_each_zone_the_pods_of_one_node_of_every_zone_find_a_place(
    config: dict[str, Any], style: str, seed: int
) -> None:
    found = planned({**config, "nodes": {**config["nodes"], "sparePerZone": 1}})
    assume(found is not None)
    assert found is not None
    assert homeless(found[1], style, seed, lost_in_each_zone=1) == []


def test_the_simulation_finds_a_zone_with_too_few_places() -> None:
    assert len(homeless(derive_plan(option_1()), "spread", 0, lost_in_each_zone=1)) == 11 + 11 + 10 - 3 * 8


def test_the_exchange_of_architectures_has_ten_places_in_the_third_zone_also_with_greedy_daemon_sets() -> None:
    """Two nodes of five pods each. Where one pod less fits on a node, two of the ten bound there never start."""
    plan = derive_plan(option_1(nodes={"architecture": "x86_64"}))
    nodes = plan.nodes
    assert nodes is not None
    assert [zone.nodes for zone in nodes.zones] == [3, 3, 2]
    for_pods = nodes.allocatable_cpu_millicores - nodes.system_reserved_cpu_millicores
    for daemon_sets_millicores, fit in ((0, 5), (500, 5), (999, 5)):
        assert (for_pods - daemon_sets_millicores) // plan.sizing.cpu_millicores == fit


@pytest.mark.parametrize("spare", [0, 1, 2])
def test_spare_nodes_stand_in_every_zone_and_their_price_in_the_plan(spare: int) -> None:
    plain, nodes = (
        derive_plan(option_1(nodes={"instanceType": "r6g.12xlarge", "sparePerZone": count})).nodes
        for count in (0, spare)
    )
    assert plain is not None
    assert nodes is not None
    more = Counter({zone.zone: zone.nodes for zone in nodes.zones})
    more.subtract({zone.zone: zone.nodes for zone in plain.zones})
    assert dict(more) == dict.fromkeys(ZONES, spare)
    roots = spare * len(ZONES) * ROOT_VOLUME_USD
    assert nodes.spare_usd_per_month == pytest.approx(nodes.usd_per_month - plain.usd_per_month + roots)
    assert (nodes.drain_usd_per_hour == 0) == (spare > 0)
