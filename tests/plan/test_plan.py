"""The assembled plan: what of a pod reaches the node, what a node's network is shared by, how long a rollout takes."""

import re
from typing import Any

import pytest
from hypothesis import given, settings

from components.config.load import fields_of, section_of, settings_of
from components.config.settings import Settings
from components.config.units import MIB
from components.plan.nodes.catalogue import DAEMONSETS_CPU_MILLICORES
from components.plan.plan import decide_plan, derive_plan, pod_demand
from components.plan.refusal import PlanRefused, Refused
from components.plan.sizing import EXPORTER_CPU_MILLICORES, EXPORTER_MEMORY_MIB, derive_sizing
from components.plan.traffic import derive_traffic
from preview.evaluate import decide_stack
from tests.plan.kinds import of_another_type
from tests.plan.stacks import PRODUCTION, ZONES, option_1, stack
from tests.preview.stacks import extreme_stacks


@pytest.mark.parametrize("exporter", [False, True])
def test_a_pod_asks_for_redis_and_its_exporter(exporter: bool) -> None:
    settings = option_1(replicas=2, monitoring={"exporter": exporter})
    sizing = derive_sizing(settings)
    traffic = derive_traffic(settings, sizing)
    demand = pod_demand(settings, sizing, traffic)
    assert (demand.masters, demand.copies_per_shard, demand.pods) == (16, 3, 48)
    assert demand.request_memory_mib == 77 * 1024 + EXPORTER_MEMORY_MIB * exporter
    assert demand.limit_memory_mib == 92 * 1024 + EXPORTER_MEMORY_MIB * exporter
    assert demand.cpu_millicores == 1000 + EXPORTER_CPU_MILLICORES * exporter
    assert demand.egress_gbps_per_master == traffic.egress_gbps_per_master


def test_a_pod_requests_the_cpu_that_the_config_says() -> None:
    settings = settings_of(kubeContext="kind", **PRODUCTION, podCpuMillicores=250)
    sizing = derive_sizing(settings)

    assert (sizing.cpu_millicores, sizing.total_cpu_millicores) == (250, 250 * sizing.pods)
    assert pod_demand(settings, sizing, derive_traffic(settings, sizing)).cpu_millicores == 250


def test_on_nodes_of_its_own_a_pod_requests_too_much_for_one_more_beside_a_full_nodes_pods() -> None:
    eks = {"clusterName": "test", "subnets": {zone: f"subnet-{zone}" for zone in ZONES}}
    least = DAEMONSETS_CPU_MILLICORES + 1

    with pytest.raises(PlanRefused, match=r"redis-image-cache:podCpuMillicores = 500: .* more than the 500 millicores"):
        derive_plan(settings_of(eks=eks, **PRODUCTION, podCpuMillicores=least - 1))
    nodes = derive_plan(
        settings_of(eks=eks, **PRODUCTION, podCpuMillicores=least, nodes={"architecture": "x86_64"})
    ).nodes
    assert nodes is not None
    offered = nodes.allocatable_cpu_millicores - nodes.system_reserved_cpu_millicores
    assert nodes.pods_per_node * least <= offered < (nodes.pods_per_node + 1) * least


def test_stack_local_leaves_a_machine_of_four_cores_a_core_for_the_system_and_one_for_jobs() -> None:
    sizing = decide_stack("local", {}).advice.sizing

    assert sizing.total_cpu_millicores <= 2000


def test_the_pods_of_a_node_share_its_network_and_without_nodes_each_has_its_own() -> None:
    plan, elsewhere = derive_plan(option_1()), derive_plan(option_1(zones=None))
    assert (plan.link_gbps, plan.masters_on_link) == (20.0, 4)
    assert elsewhere.nodes is None
    assert (elsewhere.link_gbps, elsewhere.masters_on_link) == (10.0, 1)


@pytest.mark.parametrize(
    ("changes", "gbps_per_master"),
    [
        # Of a node's two pods one is a master in the mean, so it has all of the node's 20 Gbps.
        ({}, 20.0),
        # Of three pods one and a half are.
        ({"requestsPerSecond": 4000, "pod": "64GB", "nodes": {"instanceType": "r6a.12xlarge"}}, 18.75 / 1.5),
        # Small pods: fifteen on a node of 20 Gbps, so that the network and not the core bounds the move.
        ({"pod": "16GB", "nodes": {"instanceType": "r6g.12xlarge"}}, 20.0 / 7.5),
        # A single pod is a master half of the time, and its network is not twice the node's.
        ({"nodes": {"instanceType": "r6in.8xlarge"}}, 50.0),
        ({"zones": None}, 10.0),
    ],
)
def test_a_move_has_the_mean_network_of_a_master(changes: dict[str, Any], gbps_per_master: float) -> None:
    plan = derive_plan(stack(**{"pod": "128GB", "resize": {"maxMibPerSecond": 10**6}, **changes}))
    free = gbps_per_master - plan.traffic.egress_gbps_per_master
    by_core = (1 - plan.load.core_share) * 400_000_000
    expected = int(min(free * 10**9 / 8, 625_000_000, by_core))
    assert plan.resize.copy_bytes_per_second_per_master == pytest.approx(expected, abs=1)


def test_a_rollout_may_take_a_full_resync_twice_over_for_each_pod_in_turn() -> None:
    plan = derive_plan(option_1())
    # 210 s to end, 120 s to start, twice 110 s to sync, 5 s to be ready, and 16 pods.
    assert plan.rollout_timeout_seconds == 16 * (210 + 120 + 220 + 5)


def test_what_images_take_is_their_size_class() -> None:
    plan = derive_plan(option_1())
    assert plan.tuning.repl_backlog_bytes == 20 * 100 * 1_048_576
    beside = 16 * plan.tuning.repl_backlog_bytes + plan.working_set.slots_bytes
    assert plan.working_set.room_bytes == plan.sizing.usable_memory_bytes - beside
    assert plan.pool == "redis-64gb"


def test_a_refusal_names_keys_as_the_stack_file_does() -> None:
    tiny = stack("32MB", "96MB", zones=None)
    with pytest.raises(PlanRefused) as with_namespace:
        derive_plan(tiny)
    with pytest.raises(Refused) as without:
        decide_plan(tiny)
    assert without.value.messages[0].startswith("podMemory = 32MB: ")
    assert with_namespace.value.messages == [f"redis-image-cache:{text}" for text in without.value.messages]


def begins_with_a_key(message: str) -> bool:
    """Whether it names one that a stack may have, as the stack file does."""
    found = re.match(r"redis-image-cache:(\w+)(?:\.(\w+))?( = |: | in )", message)
    if found is None or found[1] not in fields_of(Settings):
        return False
    section = section_of(fields_of(Settings)[found[1]])
    return found[2] is None if section is None else found[2] in fields_of(section)


@pytest.mark.parametrize(
    "refused",
    [
        stack("256GB"),
        option_1(zones=(*ZONES[:2], "eu-west-1a")),
        option_1(nodes={"instanceType": "m1.tiny"}),
        option_1(nodes={"instanceType": "c7g.large"}),
        option_1(p95LatencyMs=1),
        option_1(p95LatencyMs=3, requestsPerSecond=60_000, hitRate=0.99),
        option_1(objectBytes=512 * MIB),
        stack("32MB", "96MB", zones=None),
    ],
)
def test_a_refusal_begins_with_the_key_that_is_at_fault(refused: Settings) -> None:
    with pytest.raises(PlanRefused) as refusal:
        derive_plan(refused)
    assert all(map(begins_with_a_key, refusal.value.messages)), refusal.value.messages


@given(extreme_stacks())
@settings(max_examples=100, deadline=None)
def test_any_refusal_begins_with_the_key_that_is_at_fault(generated: Settings) -> None:
    messages: list[str] = []
    try:
        derive_plan(generated)
    except PlanRefused as refusal:
        messages = refusal.messages
    assert all(map(begins_with_a_key, messages)), messages


@pytest.mark.parametrize("zones", [ZONES, None])
def test_whole_numbers_are_whole(zones: tuple[str, ...] | None) -> None:
    plan = derive_plan(option_1(zones=zones, storage={"size": "20GB"}, hitRate=0.65))
    for figures in (plan, plan.sizing, plan.tuning, plan.working_set, plan.working_set.own, plan.resize):
        assert of_another_type(figures) == []
    assert isinstance(plan.sizing.copies_per_shard, int)
    assert isinstance(plan.working_set.needed_ttl_seconds, int)
    if plan.nodes is not None:
        assert of_another_type(plan.nodes) == of_another_type(plan.nodes.per_node_limits) == []
