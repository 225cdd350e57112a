"""Which nodes are chosen, why, and what a refusal says."""

from typing import Any

import pytest

from components.advice.advice import derive_advice
from components.advice.figures import derive_figures
from components.plan.nodes.catalogue import load_catalogue
from components.plan.nodes.choice import NodePlan, NodesRefused
from components.plan.plan import derive_plan, pod_demand
from components.plan.refusal import PlanRefused, Refused
from components.plan.sizing import derive_sizing
from components.plan.traffic import derive_traffic
from tests.plan.stacks import FRANKFURT, IRELAND, MUMBAI, SAO_PAULO, ZONES, option_1, stack


def nodes_of(*args: Any, **changes: Any) -> NodePlan:
    nodes = derive_figures(stack(*args, **changes)).nodes
    assert nodes is not None
    return nodes


def test_option_1_runs_on_nine_nodes_of_four_pods() -> None:
    nodes = nodes_of()
    assert (nodes.instance_type, nodes.nodes_total, nodes.pods_per_node) == ("r6g.12xlarge", 9, 4)
    assert [zone.nodes for zone in nodes.zones] == [3, 3, 3]
    assert [zone.masters + zone.replicas for zone in nodes.zones] == [11, 11, 10]
    assert nodes.usd_per_month == pytest.approx(15_894, abs=1)
    assert (nodes.architecture, nodes.ami_type) == ("arm64", "AL2023_ARM_64_STANDARD")
    assert nodes.system_reserved_cpu_millicores == 0


def test_option_2_runs_on_the_same_nodes_with_two_pods_each() -> None:
    nodes = nodes_of("128GB")
    assert (nodes.instance_type, nodes.nodes_total, nodes.pods_per_node) == ("r6g.12xlarge", 9, 2)


@pytest.mark.parametrize(
    ("name", "nodes_total", "per_node", "usd"),
    [
        ("r7g.12xlarge", 9, 4, 16_888),
        ("r8g.12xlarge", 9, 4, 18_578),
        ("r8i.12xlarge", 9, 4, 21_905),
        ("r6a.12xlarge", 12, 3, 23_841),
    ],
)
def test_a_named_type_is_taken_when_it_passes(name: str, nodes_total: int, per_node: int, usd: int) -> None:
    nodes = nodes_of(nodes={"instanceType": name})
    assert (nodes.instance_type, nodes.nodes_total, nodes.pods_per_node) == (name, nodes_total, per_node)
    assert nodes.usd_per_month == pytest.approx(usd, abs=1)


@pytest.mark.parametrize(
    ("changes", "instance_type", "memory_optimised"),
    [
        ({}, "c6gn.4xlarge", "r6in.4xlarge"),
        ({"nodes": {"architecture": "x86_64"}}, "m6in.xlarge", "r6in.4xlarge"),
    ],
)
def test_small_and_busy_pods_are_carried_by_types_with_less_memory(
    changes: dict[str, Any], instance_type: str, memory_optimised: str
) -> None:
    nodes = nodes_of("2GB", "64GB", **changes)
    assert nodes.instance_type == instance_type
    usd = {kind.instance_type: kind.usd_per_month for kind in nodes.passing}
    assert usd[instance_type] < 0.85 * usd[memory_optimised]


def test_a_price_has_the_day_it_was_asked_where_the_source_tells_it() -> None:
    assert nodes_of().price_date == "2026-07-20"
    assert nodes_of("2GB", "64GB").price_date == "2026-02-09"
    assert nodes_of(zones=IRELAND).price_date == "2025-03-02"
    assert nodes_of(zones=FRANKFURT, nodes={"instanceType": "r8i.12xlarge"}).price_date is None


def test_a_zone_that_gets_no_pods_gets_no_node_group() -> None:
    nodes = nodes_of("64GB", "192GB", zones=tuple(f"us-east-1{letter}" for letter in "abcdef"), requestsPerSecond=2000)
    assert [zone.zone[-1] for zone in nodes.zones] == ["a", "b", "c", "d"]
    assert all(zone.nodes for zone in nodes.zones)


def test_intel_nodes_have_the_intel_image() -> None:
    nodes = nodes_of(nodes={"architecture": "x86_64"})
    assert nodes.ami_type == "AL2023_x86_64_STANDARD"
    assert nodes.architecture == "x86_64"


def refusal(*args: Any, **changes: Any) -> str:
    with pytest.raises(NodesRefused) as refused:
        derive_figures(stack(*args, **changes))
    return str(refused.value)


@pytest.mark.parametrize(
    ("nodes", "figure"),
    [
        ({"instanceType": "m6i.2xlarge"}, "92.0 GiB memory limits of a pod, and 29.8 GiB"),
        ({"instanceType": "x2gd.2xlarge"}, "sends 4.80 Gbps, and 2.5 Gbps are sustained"),
        ({"instanceType": "r5.12xlarge"}, "not in the catalogue"),
        ({"instanceType": "r6g.12xlarge", "architecture": "x86_64"}, "arm64, and nodes.architecture is x86_64"),
    ],
)
def test_a_named_type_that_fails_is_refused_with_its_figure_and_the_cheapest_that_passes(
    nodes: dict[str, str], figure: str
) -> None:
    text = refusal(nodes=nodes)
    assert f"nodes.instanceType = {nodes['instanceType']}" in text
    assert figure in text
    assert "the cheapest type that passes is r" in text
    assert "USD a month" in text


def test_a_type_that_is_offered_in_fewer_zones_than_asked_for_is_refused() -> None:
    # x2iezn is offered in three zones of us-east-1.
    four = (*ZONES, "us-east-1d")
    assert "offered in 3 zones of us-east-1, and 4 are asked for" in refusal(
        zones=four, nodes={"instanceType": "x2iezn.8xlarge"}
    )
    assert nodes_of(nodes={"instanceType": "x2iezn.8xlarge"}).zones_offering == 3


def test_auto_takes_only_what_every_zone_of_the_region_offers() -> None:
    # x8g would be cheaper by requests, and is offered in four of five zones.
    nodes = nodes_of(nodes={"packing": "requests"})
    assert nodes.zones_offering == nodes.zones_in_region
    reasons = {entry.instance_type: entry.reason for entry in nodes.rejected}
    assert reasons["x8g.12xlarge"] == "offered in 4 of 5 zones of us-east-1"


def test_four_masters_in_three_zones_have_no_majority_when_a_zone_is_lost() -> None:
    text = refusal("256GB")
    assert "4 masters over 3 zones: one zone holds 2" in text
    assert "use 5 masters" in text
    assert nodes_of("256GB", zones=(*ZONES, "us-east-1d")).nodes_total == 8


def test_a_pod_no_type_can_carry_is_refused_with_the_roomiest_and_the_fastest() -> None:
    text = refusal("1TB", "8TB", requestsPerSecond=100)
    assert "needs 1,475.0 GiB (limit)" in text
    assert "the roomiest, x2i" in text
    assert "podMemory smaller" in text


def test_the_plan_is_refused_with_the_same_words() -> None:
    settings = stack("256GB")
    with pytest.raises(PlanRefused) as refused:
        derive_advice(settings)
    (message,) = refused.value.messages
    assert message.startswith(f"redis-image-cache:{refusal('256GB')}; tried, and planned: --set ")


def test_a_pod_without_room_beside_redis_is_refused() -> None:
    with pytest.raises(PlanRefused, match="podMemory = 32MB"):
        derive_advice(stack("32MB", "96MB", zones=None))


def test_zones_of_two_regions_are_refused() -> None:
    assert "must be of one region" in refusal(zones=("us-east-1a", "us-east-1b", "eu-west-1a"))


@pytest.mark.parametrize(
    ("zones", "usd_per_hour"), [(IRELAND, 2.7072), (FRANKFURT, 2.9184), (MUMBAI, 1.56), (SAO_PAULO, 3.8592)]
)
def test_a_region_is_planned_with_its_own_prices_alone(zones: tuple[str, ...], usd_per_hour: float) -> None:
    nodes = nodes_of(zones=zones)
    region = zones[0][:-1]
    assert (nodes.region, nodes.price_region, nodes.zones_in_region) == (region, region, 3)
    assert (nodes.instance_type, nodes.usd_per_hour) == ("r6g.12xlarge", usd_per_hour)
    catalogue = load_catalogue()
    for candidate in nodes.passing:
        kind = catalogue.find(candidate.instance_type)
        assert kind is not None
        assert region in kind.usd_per_hour


def test_a_type_without_a_price_of_the_region_is_planned_by_name_with_that_of_virginia() -> None:
    nodes = nodes_of(zones=SAO_PAULO, nodes={"instanceType": "r8g.12xlarge"})
    assert (nodes.region, nodes.price_region, nodes.usd_per_hour) == ("sa-east-1", "us-east-1", 2.82768)
    assert nodes.price_date == "2026-07-20"
    chosen = nodes_of(zones=SAO_PAULO)
    assert "its price in sa-east-1 is not known" in {
        rejection.reason for rejection in chosen.rejected if rejection.instance_type == "r8g.12xlarge"
    }


def test_where_limits_bound_the_node_cores_are_kept_back_so_that_requests_cannot_overfill_it() -> None:
    nodes = nodes_of(nodes={"instanceType": "r7g.16xlarge"})
    # Six pods fit by their requests, five by their limits.
    assert nodes.pods_per_node == 5
    left = nodes.allocatable_cpu_millicores - nodes.system_reserved_cpu_millicores
    assert 5000 <= left < 6000
    assert nodes.pods_memory_mib <= nodes.allocatable_memory_mib


def test_by_requests_more_pods_share_a_node() -> None:
    by_limits = nodes_of(nodes={"instanceType": "r7g.12xlarge"}, pod="128GB")
    by_requests = nodes_of(nodes={"instanceType": "r7g.12xlarge", "packing": "requests"}, pod="128GB")
    assert (by_limits.pods_per_node, by_requests.pods_per_node) == (1, 2)
    assert by_requests.pods_memory_mib > by_requests.allocatable_memory_mib


def test_copies_are_apart_by_zone_where_there_are_as_many_zones_and_else_by_node() -> None:
    assert nodes_of().zone_separation
    one_zone = nodes_of(zones=ZONES[:1], nodes={"allowFewerZones": True})
    assert not one_zone.zone_separation
    # A lost place on the node of the other copy must not keep a pod waiting: one node more.
    pods = one_zone.zones[0].masters + one_zone.zones[0].replicas
    assert (one_zone.zones[0].nodes - 1) * one_zone.pods_per_node >= pods - 1


def test_a_zone_that_may_lack_the_type_is_named() -> None:
    nodes = nodes_of(zones=("us-east-1a", "us-east-1b", "us-east-1e"))
    assert nodes.zones_unsure == ("us-east-1e",)


def test_the_exporter_is_part_of_the_pod() -> None:
    plain, watched = option_1(), option_1(monitoring={"exporter": True})
    sizing = derive_sizing(plain)
    without = pod_demand(plain, sizing, derive_traffic(plain, sizing))
    having = pod_demand(watched, sizing, derive_traffic(watched, sizing))
    assert having.request_memory_mib > without.request_memory_mib
    assert having.limit_memory_mib > without.limit_memory_mib
    assert having.cpu_millicores > without.cpu_millicores
    # 2 x 185 GiB leave 1.2 GiB on an r6g.12xlarge, enough for two exporters.
    assert nodes_of("128GB", monitoring={"exporter": True}).instance_type == "r6g.12xlarge"


def test_a_refusal_that_begins_with_a_key_names_it_as_the_stack_file_does() -> None:
    with pytest.raises(PlanRefused, match=r"^redis-image-cache:eks\.subnets in mx-central-1a, "):
        derive_plan(stack(zones=("mx-central-1a", "mx-central-1b", "mx-central-1c")))


def test_a_region_whose_types_nobody_has_listed_is_refused_with_those_that_are() -> None:
    with pytest.raises(Refused, match=r"mx-central-1 is no region of the catalogue; it knows .*us-east-1"):
        nodes_of(zones=("mx-central-1a", "mx-central-1b", "mx-central-1c"))
    assert nodes_of(zones=("eu-central-1a", "eu-central-1b", "eu-central-1c")).region == "eu-central-1"
