"""Each rule of one node and of one zone alone, on both sides of each of its limits."""

import pytest

from components.config.choices import Packing
from components.config.settings import Nodes
from components.plan.nodes.catalogue import DAEMONSETS_CPU_MILLICORES, DAEMONSETS_MEMORY_MIB, DAEMONSETS_PODS
from components.plan.nodes.rules import (
    PodsPerNode,
    architecture_mismatch,
    capacity_shortage,
    evened_out,
    nodes_in_zone,
    pods_per_node,
    schedulable,
)
from tests.plan.kinds import ROOMY, kind, pod, with_allocatable_mib


@pytest.mark.parametrize(("spare_mib", "pods"), [(0, 3), (-1, 2), (1999, 3), (2000, 4)])
def test_limits_and_daemonsets_fit_the_allocatable_memory(spare_mib: int, pods: int) -> None:
    node = with_allocatable_mib(DAEMONSETS_MEMORY_MIB + 3 * 2000 + spare_mib)
    assert pods_per_node(node, pod(), Packing.LIMITS).by_memory == pods


@pytest.mark.parametrize(("spare_mib", "pods"), [(0, 6), (-1, 5)])
def test_by_requests_only_requests_have_to_fit(spare_mib: int, pods: int) -> None:
    node = with_allocatable_mib(DAEMONSETS_MEMORY_MIB + 6 * 1000 + spare_mib)
    assert pods_per_node(node, pod(), Packing.REQUESTS).by_memory == pods


def test_a_node_too_small_for_its_daemonsets_takes_no_pod_and_not_fewer_than_none() -> None:
    assert pods_per_node(with_allocatable_mib(DAEMONSETS_MEMORY_MIB - 5000), pod(), Packing.LIMITS).by_memory == 0
    assert pods_per_node(kind(vcpu=0), pod(), Packing.LIMITS).by_cpu == 0
    assert pods_per_node(kind(max_enis=1, ipv4_per_eni=2), pod(), Packing.LIMITS).by_pod_count == 0


def test_cores_of_pods_and_daemonsets_fit_the_allocatable_cpu() -> None:
    node = kind(vcpu=8)
    free = node.allocatable_cpu_millicores - DAEMONSETS_CPU_MILLICORES
    assert pods_per_node(node, pod(cpu_millicores=free), Packing.LIMITS).by_cpu == 1
    assert pods_per_node(node, pod(cpu_millicores=free + 1), Packing.LIMITS).by_cpu == 0
    assert pods_per_node(node, pod(cpu_millicores=free // 2), Packing.LIMITS).by_cpu == 2


def test_pods_of_daemonsets_count_against_the_pods_of_a_node() -> None:
    node = kind(max_enis=2, ipv4_per_eni=10)
    assert node.max_pods == 2 * 9 + 2
    assert pods_per_node(node, pod(), Packing.LIMITS).by_pod_count == 20 - DAEMONSETS_PODS


def test_each_pod_has_a_volume() -> None:
    assert pods_per_node(kind(ebs_attachments=9), pod(), Packing.LIMITS).by_volumes == 8
    assert pods_per_node(kind(ebs_attachments=9, ebs_attachments_shared=True), pod(), Packing.LIMITS).by_volumes == 6


@pytest.mark.parametrize(
    ("gbps", "of_a_master", "pods"),
    # 19.2 / 4.8 is 4 although 4 x 4.8 is 19.2 only nearly in floating point.
    [
        (19.2, 4.8, 4),
        (19.19, 4.8, 3),
        (0.3, 0.1, 3),
        (4.7, 4.8, 0),
        (4.8, 4.8, 1),
        (10.0, 0.0, 10**6),
        (1e9, 1e-9, 10**6),
    ],
)
def test_all_pods_of_a_node_may_be_masters_on_its_sustained_network(gbps: float, of_a_master: float, pods: int) -> None:
    node = kind(network_baseline_gbps=gbps, network_burst_gbps=1000.0)
    assert pods_per_node(node, pod(egress_gbps_per_master=of_a_master), Packing.LIMITS).by_network == pods


@pytest.mark.parametrize(("masters", "copies", "share"), [(3, 2, 1), (8, 2, 2), (9, 2, 3), (4, 3, 2), (2, 2, 0)])
def test_no_node_carries_more_than_a_sixth_of_the_pods(masters: int, copies: int, share: int) -> None:
    found = pods_per_node(ROOMY, pod(masters=masters, copies_per_shard=copies), Packing.LIMITS)
    assert found.by_share == share


@pytest.mark.parametrize("masters", range(1, 12))
def test_the_masters_beside_a_node_are_a_majority_and_with_one_more_on_it_they_are_none(masters: int) -> None:
    most = pods_per_node(ROOMY, pod(masters=masters), Packing.LIMITS).by_majority
    assert 2 * (masters - most) > masters
    assert 2 * (masters - (most + 1)) <= masters


RULES = ("by_memory", "by_cpu", "by_pod_count", "by_volumes", "by_network", "by_share", "by_majority")


@pytest.mark.parametrize("bounding", RULES)
def test_the_strictest_rule_bounds(bounding: str) -> None:
    assert PodsPerNode(**(dict.fromkeys(RULES, 9) | {bounding: 4})).most == 4


@pytest.mark.parametrize(
    ("pods", "per_node", "together", "nodes"),
    [
        (8, 4, 1, 2),
        (9, 4, 1, 3),
        (7, 4, 1, 2),
        (1, 4, 1, 1),
        # Two pods of a shard in the zone: one node more, unless the last node has no place left anyway.
        (8, 4, 2, 3),
        (9, 4, 2, 3),
        (10, 4, 2, 4),
        (9, 4, 3, 4),
        (2, 1, 2, 2),
    ],
)
def test_a_zone_has_nodes_for_its_pods_whichever_node_each_is_sent_to(
    pods: int, per_node: int, together: int, nodes: int
) -> None:
    assert nodes_in_zone(pods, per_node, together) == nodes


@pytest.mark.parametrize(
    ("most", "pods", "together", "even"),
    [(5, (6, 6), 1, 3), (5, (5, 5), 1, 5), (5, (11, 6), 1, 4), (4, (9,), 2, 4), (4, (7,), 2, 3), (3, (10,), 3, 3)],
)
def test_pods_are_evened_out_over_no_more_nodes(most: int, pods: tuple[int, ...], together: int, even: int) -> None:
    assert evened_out(most, pods, together) == even
    for count in pods:
        assert nodes_in_zone(count, even, together) == nodes_in_zone(count, most, together)


def test_the_scheduler_counts_requests_and_cores_without_daemonsets() -> None:
    assert schedulable(with_allocatable_mib(5999), pod()) == 5
    assert schedulable(with_allocatable_mib(6000), pod()) == 6
    node = kind(vcpu=8)
    assert schedulable(node, pod(cpu_millicores=node.allocatable_cpu_millicores)) == 1
    assert schedulable(node, pod(cpu_millicores=node.allocatable_cpu_millicores + 1)) == 0


@pytest.mark.parametrize(
    ("wanted", "has", "mismatch"),
    [("any", "arm64", False), ("any", "x86_64", False), ("arm64", "arm64", False), ("arm64", "x86_64", True)],
)
def test_the_architecture_is_the_wanted_one(wanted: str, has: str, mismatch: bool) -> None:
    reason = architecture_mismatch(kind(architecture=has), Nodes.model_validate({"architecture": wanted}))
    assert reason == (f"{has}, and nodes.architecture is {wanted}" if mismatch else None)


def limits(**bounds: int) -> PodsPerNode:
    return PodsPerNode(**(dict.fromkeys(RULES, 1) | bounds))


def test_a_type_that_carries_a_pod_has_no_shortage() -> None:
    assert capacity_shortage(ROOMY, pod(), Nodes.defaults(), limits()) is None


@pytest.mark.parametrize(
    ("packing", "bounds", "reason"),
    [
        ("limits", {"by_memory": 0}, "2.0 GiB memory limits of a pod, and"),
        ("requests", {"by_memory": 0}, "1.0 GiB memory requests of a pod, and"),
        ("limits", {"by_network": 0}, "one master sends 0.10 Gbps, and 100 Gbps are sustained (its 100 Gbps burst"),
        ("limits", {"by_memory": 0, "by_network": 0}, "2.0 GiB memory limits"),
        (
            "limits",
            {"by_cpu": 0},
            "by CPU 0, by pods 1, by volumes 1, by a sixth of all 120 pods 1, by the majority of masters 1",
        ),
        ("limits", {"by_volumes": 0}, "by CPU 1, by pods 1, by volumes 0, by a sixth"),
    ],
)
def test_a_shortage_is_said_with_its_figures(packing: str, bounds: dict[str, int], reason: str) -> None:
    demand = pod(request_memory_mib=1024, limit_memory_mib=2048)
    found = capacity_shortage(ROOMY, demand, Nodes.model_validate({"packing": packing}), limits(**bounds))
    assert found is not None
    assert reason in found
