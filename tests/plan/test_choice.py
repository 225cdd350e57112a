"""The choice of nodes among types made up so that one rule at a time decides."""

from typing import Any

import pytest

from components.config.settings import Nodes
from components.plan.nodes.catalogue import DAEMONSETS_MEMORY_MIB
from components.plan.nodes.choice import NodePlan, NodesRefused, choose_nodes
from components.plan.nodes.rules import PodDemand
from tests.plan.kinds import catalogue, kind, pod, with_allocatable_mib

ZONES = tuple(f"us-east-1{letter}" for letter in "abcdef")


def chosen(*kinds: Any, demand: PodDemand | None = None, zones: int = 3, **keys: Any) -> NodePlan:
    return choose_nodes(demand or pod(), ZONES[:zones], Nodes.model_validate(keys), catalogue(*kinds))


def refused(*kinds: Any, **arguments: Any) -> str:
    with pytest.raises(NodesRefused) as refusal:
        chosen(*kinds, **arguments)
    return str(refusal.value)


def priced(name: str, usd: float, **changes: Any) -> Any:
    return kind(name, usd_per_hour={"us-east-1": usd}, **changes)


def test_the_cheapest_type_is_chosen_and_the_others_follow_by_price() -> None:
    plan = chosen(priced("b", 2.0), priced("a", 1.0), priced("c", 3.0))
    assert plan.instance_type == "a"
    assert [candidate.instance_type for candidate in plan.passing] == ["a", "b", "c"]


def test_a_root_volume_is_part_of_what_a_node_costs() -> None:
    # Six pods: 6 small nodes at 0.049 USD an hour, or 3 large ones at 0.1. A root volume is 4 USD a month.
    demand = pod(masters=3)
    small = priced("small", 0.049, memtotal_mib=0)
    assert small.memtotal_mib == 0
    one_pod = with_allocatable_mib(DAEMONSETS_MEMORY_MIB + 2000, name="small", usd_per_hour={"us-east-1": 0.049})
    plan = chosen(one_pod, priced("large", 0.1), demand=demand)
    # The sixth of the pods bounds both at one pod a node, so hours decide here.
    assert plan.instance_type == "small"
    demand = pod(masters=6, copies_per_shard=2)
    large = chosen(one_pod, priced("large", 0.1), demand=demand)
    # 12 small nodes: 12 x (0.049 x 730 + 4) = 477; 6 large ones of two pods: 6 x (0.1 x 730 + 4) = 462.
    assert (large.instance_type, large.nodes_total, large.pods_per_node) == ("large", 6, 2)
    # By hours alone the small ones would cost less: 429 and 438.
    assert [candidate.usd_per_month for candidate in large.passing] == pytest.approx([462, 477.24])


@pytest.mark.parametrize(
    ("first", "second", "winner"),
    [
        # One NUMA node before two: no pod's memory is then far from its core.
        ({"numa_nodes": 2}, {"numa_nodes": 1}, "second"),
        ({"numa_nodes": None}, {"numa_nodes": 2}, "first"),
        ({"numa_nodes": 2}, {"numa_nodes": None}, "second"),
        # Then the emptier network, then the name.
        ({"network_baseline_gbps": 50.0}, {"network_baseline_gbps": 100.0}, "second"),
        ({}, {}, "first"),
        # Differences below a millionth of a dollar are floating point.
        ({"usd_per_hour": {"us-east-1": 1.0}, "numa_nodes": 2}, {"usd_per_hour": {"us-east-1": 1.0 + 1e-13}}, "second"),
    ],
)
def test_at_the_same_price_the_better_type_is_chosen(
    first: dict[str, Any], second: dict[str, Any], winner: str
) -> None:
    assert chosen(kind("first", **first), kind("second", **second)).instance_type == winner


@pytest.mark.parametrize(
    ("masters", "zones", "lost"),
    [(16, 3, False), (4, 3, True), (5, 3, False), (3, 3, False), (6, 2, True), (8, 4, False), (7, 2, True)],
)
def test_a_lost_zone_has_to_leave_more_than_half_of_the_masters(masters: int, zones: int, lost: bool) -> None:
    demand = pod(masters=masters)
    if lost:
        message = refused(kind(), demand=demand, zones=zones)
        assert f"{masters} masters over {zones} zones: one zone holds {-(-masters // zones)}" in message
        assert f"the {masters - -(-masters // zones)} left are no majority" in message
        assert f"use {masters + 1} masters" in message
        assert f"{zones + 1} zones" in message
        assert chosen(kind(), demand=demand, zones=zones, allowFewerZones=True).nodes_total
    else:
        assert chosen(kind(), demand=demand, zones=zones).nodes_total


@pytest.mark.parametrize(
    ("copies", "zones", "placement", "separate"),
    [
        (2, 3, "required", True),
        (2, 2, "required", True),
        (3, 3, "required", True),
        (3, 2, "required", False),
        (2, 1, "required", False),
        (2, 3, "preferred", False),
    ],
)
def test_copies_have_zones_of_their_own_wherever_there_are_as_many_zones(
    copies: int, zones: int, placement: str, separate: bool
) -> None:
    plan = chosen(kind(), demand=pod(copies_per_shard=copies), zones=zones, placement=placement, allowFewerZones=True)
    assert plan.zone_separation == separate


def test_pods_of_a_shard_that_share_a_zone_cost_a_node_more_only_where_they_must_not_share_a_node() -> None:
    demand = pod(masters=6, egress_gbps_per_master=50.0)
    apart = chosen(kind(), demand=demand, zones=1, allowFewerZones=True)
    together = chosen(kind(), demand=demand, zones=1, allowFewerZones=True, placement="preferred")
    assert (apart.pods_per_node, apart.nodes_total) == (2, 7)
    assert (together.pods_per_node, together.nodes_total) == (2, 6)


def test_every_zone_has_its_pods_and_nodes_and_an_empty_zone_has_no_group() -> None:
    plan = chosen(kind(), demand=pod(masters=3), zones=5)
    assert [(zone.zone, zone.nodes, zone.masters, zone.replicas) for zone in plan.zones] == [
        ("us-east-1a", 1, 1, 0),
        ("us-east-1b", 2, 1, 1),
        ("us-east-1c", 2, 1, 1),
        ("us-east-1d", 1, 0, 1),
    ]
    assert plan.nodes_total == 6
    assert plan.slots_total == plan.nodes_total * plan.pods_per_node


def test_where_cores_are_reserved_the_pods_are_evened_out_and_nothing_more_fits() -> None:
    # Ten masters on each zone's 20 pods; the network takes 12 a node, the scheduler would put 63.
    demand = pod(masters=30, egress_gbps_per_master=8.3)
    plan = chosen(kind(), demand=demand)
    assert plan.per_node_limits.most == plan.per_node_limits.by_share == 10
    assert plan.pods_per_node == 10
    for_pods = plan.allocatable_cpu_millicores - plan.system_reserved_cpu_millicores
    assert for_pods == 11 * 1000 - 1


def test_evening_out_takes_no_node_more() -> None:
    # 22 pods in a zone by twelve are two nodes, and eleven on each.
    demand = pod(masters=33, egress_gbps_per_master=9.0)
    plan = chosen(kind(), demand=demand, zones=3)
    assert plan.per_node_limits.most == 11
    demand = pod(masters=40, egress_gbps_per_master=100 / 12)
    plan = chosen(kind(), demand=demand, zones=4)
    assert (plan.per_node_limits.most, plan.pods_per_node, plan.nodes_total) == (12, 10, 8)


def test_where_requests_alone_bound_no_core_is_reserved_and_nothing_is_evened_out() -> None:
    # Four pods by requests and no place for a fifth. A zone's nine pods need three nodes, also with three on each.
    node = with_allocatable_mib(DAEMONSETS_MEMORY_MIB + 4 * 1000)
    plan = chosen(node, demand=pod(masters=9, copies_per_shard=3, limit_memory_mib=1000))
    assert (plan.pods_per_node, plan.nodes_total, plan.system_reserved_cpu_millicores) == (4, 9, 0)


def test_one_more_request_that_would_fit_is_kept_away() -> None:
    node = with_allocatable_mib(5000)
    # Limits: (5000 - 512) / 1000 = 4; requests alone would fit five times.
    plan = chosen(node, demand=pod(masters=30, limit_memory_mib=1000))
    assert plan.pods_per_node == 4
    left = plan.allocatable_cpu_millicores - plan.system_reserved_cpu_millicores
    assert left == 5 * 1000 - 1


def test_the_figures_of_the_chosen_nodes_are_those_of_its_type() -> None:
    node = kind("a.large", usd_per_hour={"us-east-1": 2.0}, numa_nodes=2, zone_letters={"us-east-1": "abcdf"})
    plan = chosen(node, demand=pod(masters=30, egress_gbps_per_master=8.0), zones=5)
    assert (plan.region, plan.price_region, plan.usd_per_hour) == ("us-east-1", "us-east-1", 2.0)
    assert plan.usd_per_month == plan.nodes_total * 2.0 * 730
    assert plan.passing[0].usd_per_month == plan.nodes_total * node.usd_per_month("us-east-1")
    assert plan.vcpus_total == plan.nodes_total * 64
    assert plan.pods_per_node > 1
    assert plan.slots_total == plan.nodes_total * plan.pods_per_node
    assert plan.pods_memory_mib == plan.pods_per_node * 2000
    assert plan.worst_egress_gbps == plan.pods_per_node * 8.0
    assert plan.passing[0].worst_use_percent == pytest.approx(100 * plan.worst_egress_gbps / 100.0)
    assert plan.sustained_gbps == 100.0
    assert plan.numa_nodes == 2
    assert (plan.zones_offering, plan.zones_in_region) == (5, 5)
    assert plan.allocatable_memory_mib == node.allocatable_memory_mib
    # e is the one zone without the type.
    assert plan.zones_unsure == ("us-east-1e",)


def test_a_region_of_which_nothing_is_known_is_refused() -> None:
    with pytest.raises(NodesRefused, match=r"us-east-1 is no region of the catalogue; it knows eu-west-1"):
        chosen(kind(zone_letters={"eu-west-1": "abc"}))


def test_auto_passes_over_a_type_that_a_zone_lacks_and_says_so() -> None:
    plan = chosen(priced("a", 1.0, zone_letters={"us-east-1": "abcde"}), priced("b", 2.0))
    assert plan.instance_type == "b"
    assert [(entry.instance_type, entry.reason) for entry in plan.rejected] == [
        ("a", "offered in 5 of 6 zones of us-east-1")
    ]


def test_auto_passes_over_a_type_without_a_price_of_the_region() -> None:
    plan = chosen(kind("a", usd_per_hour={"eu-west-1": 0.1, "us-east-1": 1.0}), priced("b", 2.0))
    assert plan.instance_type == "a"
    ireland = tuple(f"eu-west-1{letter}" for letter in "abc")
    kinds = catalogue(
        kind("a", zone_letters={"eu-west-1": "abc"}),
        kind("b", zone_letters={"eu-west-1": "abc"}, usd_per_hour={"us-east-1": 2.0, "eu-west-1": 2.2}),
    )
    plan = choose_nodes(pod(), ireland, Nodes.defaults(), kinds)
    assert (plan.instance_type, plan.price_region) == ("b", "eu-west-1")
    assert plan.rejected[0].reason == "its price in eu-west-1 is not known"


def test_where_no_price_of_the_region_is_known_a_type_without_one_passes() -> None:
    somewhere = catalogue(kind(zone_letters={"eu-central-1": "abc"}))
    assert not somewhere.market("eu-central-1").has_prices
    assert somewhere.market("us-east-1").has_prices
    plan = choose_nodes(pod(), tuple(f"eu-central-1{letter}" for letter in "abc"), Nodes.defaults(), somewhere)
    assert (plan.instance_type, plan.price_region) == ("roomy.large", "us-east-1")


@pytest.mark.parametrize(("zones", "passes"), [(3, True), (4, False)])
def test_a_named_type_has_to_be_offered_in_as_many_zones_as_are_asked_for(zones: int, passes: bool) -> None:
    scarce = priced("scarce", 9.0, zone_letters={"us-east-1": "abc"})
    if passes:
        assert chosen(scarce, kind(), zones=zones, instanceType="scarce").instance_type == "scarce"
    else:
        message = refused(scarce, kind(), zones=zones, instanceType="scarce")
        assert "offered in 3 zones of us-east-1, and 4 are asked for" in message
        assert "the cheapest type that passes is roomy.large" in message


def test_a_named_type_of_an_unknown_region_is_taken_at_its_word() -> None:
    unknown = kind("unknown", zone_letters={})
    assert chosen(unknown, instanceType="unknown").instance_type == "unknown"


def test_a_named_type_that_is_no_type_is_answered_with_the_nearest() -> None:
    message = refused(kind("r7g.12xlarge"), instanceType="r7g.12xlarg")
    assert "nodes.instanceType = r7g.12xlarg: not in the catalogue" in message
    assert "did you mean r7g.12xlarge?" in message
    assert "did you mean" not in refused(kind("r7g.12xlarge"), instanceType="zzz")


def test_every_reason_against_a_named_type_is_said_and_that_no_other_passes() -> None:
    none = kind("none", zone_letters={"us-east-1": "ab"}, memtotal_mib=3000)
    most = with_allocatable_mib(1000, name="most")
    message = refused(none, most, instanceType="none")
    assert message.count("nodes.instanceType = none: ") == 2
    assert "offered in 2 zones" in message
    assert "0 pods fit" in message
    assert message.count("no other type of the catalogue passes either") == 2


def test_where_no_type_passes_the_roomiest_and_the_fastest_are_named() -> None:
    message = refused(
        with_allocatable_mib(1024, name="small", network_baseline_gbps=9.0),
        with_allocatable_mib(1536, name="roomier", network_baseline_gbps=5.0),
    )
    assert "it needs 2.0 GiB (limit) and 0.10 Gbps" in message
    assert "the roomiest, roomier, has 1.5 GiB, the fastest, small, 9 Gbps" in message


def test_where_the_wanted_architecture_is_not_offered_that_is_the_reason() -> None:
    message = refused(kind(), architecture="x86_64")
    assert message.startswith("nodes.architecture = x86_64: the catalogue has no such type in every zone of us-east-1")
    scarce = kind("scarce", architecture="x86_64", zone_letters={"us-east-1": "a"})
    assert refused(kind(), scarce, architecture="x86_64").startswith("nodes.architecture = x86_64")


def test_only_types_that_encrypt_in_transit_are_chosen_where_that_is_asked() -> None:
    plain, encrypting = priced("r6g.large", 1.0, encrypts_in_transit=False), priced("r7g.large", 2.0)
    assert chosen(plain, encrypting).instance_type == "r6g.large"
    plan = chosen(plain, encrypting, transitEncryption=True)
    assert plan.instance_type == "r7g.large"
    (rejection,) = plan.rejected
    assert rejection.instance_type == "r6g.large"
    assert rejection.reason == "r6g does not encrypt what nodes send each other, and nodes.transitEncryption is true"


def test_a_named_type_that_does_not_encrypt_in_transit_is_refused_with_the_cheapest_that_does() -> None:
    plain, encrypting = priced("r6g.large", 1.0, encrypts_in_transit=False), priced("r7g.large", 2.0)
    message = refused(plain, encrypting, instanceType="r6g.large", transitEncryption=True)
    assert message.startswith("nodes.instanceType = r6g.large: r6g does not encrypt what nodes send each other")
    assert "the cheapest type that passes is r7g.large" in message
    assert chosen(plain, encrypting, instanceType="r7g.large", transitEncryption=True).instance_type == "r7g.large"


def test_where_no_type_encrypts_in_transit_that_is_the_reason() -> None:
    message = refused(kind(encrypts_in_transit=False), transitEncryption=True)
    assert (
        "the catalogue has no such type that encrypts what nodes send each other in every zone of us-east-1" in message
    )


@pytest.mark.parametrize(
    ("zones", "message"),
    [
        (("us-east-1a", "us-east-1b", "eu-west-1a"), "must be of one region, not of 2"),
        (("us-east-1a", "us-east-1b", "us-east-1-bos-1a"), "us-east-1-bos-1a is no availability zone"),
    ],
)
def test_zones_are_of_one_region(zones: tuple[str, ...], message: str) -> None:
    with pytest.raises(NodesRefused, match=message):
        choose_nodes(pod(), zones, Nodes.defaults(), catalogue(kind()))
