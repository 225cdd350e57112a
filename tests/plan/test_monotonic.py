"""More never costs less: where that is true, and exactly where it is not.

More requests only tighten the rules, so it holds for them without exception. More memory makes more masters, which
relaxes three rules (a sixth of the pods, the majority, the load of one master): a larger cluster may then be packed
more densely and cost less. More zones may divide the pods more evenly. Each claim below is the strongest that is true.

A node costs its hours and its root volume; the planner compares the two together. The hours alone are not monotonic:
many small nodes may have cheaper hours than few large ones, and more root volumes.
"""

from dataclasses import replace
from typing import Any

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from components.advice.figures import Figures, derive_figures
from components.config.choices import Packing
from components.config.settings import Nodes
from components.plan.nodes.catalogue import load_catalogue
from components.plan.nodes.choice import NodePlan, NodesRefused, choose_nodes
from components.plan.nodes.rules import PodDemand, pods_per_node
from components.plan.refusal import Refused
from tests.plan.stacks import stack

CATALOGUE = load_catalogue()
LETTERS = "abcdef"


def zones(count: int) -> tuple[str, ...]:
    return tuple(f"us-east-1{letter}" for letter in LETTERS[:count])


def figures(pod_gib: int, masters: int, zone_count: int, **workload: Any) -> Figures | None:
    settings = stack(
        f"{pod_gib}GB", f"{pod_gib * masters}GB", zones=zones(zone_count), nodes={"allowFewerZones": True}, **workload
    )
    try:
        return derive_figures(settings)
    except Refused:
        return None


PODS = st.sampled_from([4, 16, 32, 64, 128, 256])
MASTERS = st.integers(3, 40)
RATES = st.integers(1, 30_000)


def node_usd(plan: NodePlan) -> float:
    """USD a month of all nodes, with their root volumes."""
    kind = CATALOGUE.find(plan.instance_type)
    assert kind is not None
    return plan.nodes_total * kind.usd_per_month(plan.region)


@settings(max_examples=40, deadline=None)
@given(PODS, MASTERS, st.integers(1, 5), RATES, RATES)
def test_more_requests_never_cost_less(pod_gib: int, masters: int, zone_count: int, some: int, more: int) -> None:
    few = figures(pod_gib, masters, zone_count, requestsPerSecond=some)
    many = figures(pod_gib, masters, zone_count, requestsPerSecond=some + more)
    assume(few is not None)
    assert few is not None
    assert few.cost is not None
    if many is None or many.cost is None:
        return
    assert many.cost.infrastructure_usd >= few.cost.infrastructure_usd - 1e-6
    assert many.cost.total_usd >= few.cost.total_usd - 1e-6


@settings(max_examples=60, deadline=None)
@given(PODS, MASTERS, st.integers(1, 20), st.integers(1, 5), RATES)
def test_more_memory_costs_less_only_where_more_masters_relax_a_rule(
    pod_gib: int, masters: int, more: int, zone_count: int, rate: int
) -> None:
    small = figures(pod_gib, masters, zone_count, requestsPerSecond=rate)
    large = figures(pod_gib, masters + more, zone_count, requestsPerSecond=rate)
    if small is None or small.nodes is None or large is None or large.nodes is None:
        return
    assert small.cost is not None
    assert large.cost is not None
    assert large.cost.volumes_usd > small.cost.volumes_usd
    if node_usd(large.nodes) >= node_usd(small.nodes) - 1e-6:
        return
    kind = CATALOGUE.find(large.nodes.instance_type)
    assert kind is not None
    demand = PodDemand(
        masters=masters,
        copies_per_shard=2,
        request_memory_mib=small.sizing.request_memory_mib,
        limit_memory_mib=small.sizing.limit_memory_mib,
        cpu_millicores=1000,
        egress_gbps_per_master=small.traffic.egress_gbps_per_master,
        load=small.load,
    )
    allowed = pods_per_node(kind, demand, Packing.LIMITS)
    assert allowed.most < large.nodes.pods_per_node
    assert allowed.most in (allowed.by_share, allowed.by_majority, allowed.by_network, allowed.by_load)


def choose(demand: PodDemand, zone_count: int, name: str = "auto") -> NodePlan | None:
    rules = Nodes.model_validate({"instanceType": name, "allowFewerZones": True})
    try:
        return choose_nodes(demand, zones(zone_count), rules, CATALOGUE)
    except NodesRefused:
        return None


DEMANDS = st.builds(
    PodDemand,
    masters=MASTERS,
    copies_per_shard=st.just(2),
    request_memory_mib=st.just(77 * 1024),
    limit_memory_mib=st.just(92 * 1024),
    cpu_millicores=st.just(1000),
    egress_gbps_per_master=st.floats(0.1, 25),
)


# 28 small nodes have cheaper hours than 8 large ones, and cost more with their root volumes.
@example(PodDemand(14, 2, 77 * 1024, 92 * 1024, 1000, 13.0), 2, 3)
@settings(max_examples=60, deadline=None)
@given(DEMANDS, st.integers(2, 3), st.integers(2, 3))
def test_a_multiple_of_the_zones_never_costs_less(demand: PodDemand, few: int, times: int) -> None:
    assume(few * times <= len(LETTERS))
    less, more = choose(demand, few), choose(demand, few * times)
    if less is None or more is None:
        return
    if more.instance_type not in [candidate.instance_type for candidate in less.passing]:
        # A type that is not sold in one of the few zones; where no type is sold in all of many, that is no rule.
        return
    assert node_usd(more) >= node_usd(less) - 1e-6


@settings(max_examples=60, deadline=None)
@given(DEMANDS, st.integers(1, 6))
def test_zones_never_save_a_node_that_the_pods_need(demand: PodDemand, count: int) -> None:
    plan = choose(demand, count)
    if plan is None:
        return
    assert plan.nodes_total >= -(-demand.pods // plan.pods_per_node)


def test_four_zones_may_cost_less_than_three() -> None:
    """The counter-example that makes the claim about multiples necessary: 16 pods are 4 x 4, but 6 + 5 + 5."""
    demand = PodDemand(8, 2, 154 * 1024, 185 * 1024, 1000, 9.6)
    three, four = choose(demand, 3, "r6g.12xlarge"), choose(demand, 4, "r6g.12xlarge")
    assert three is not None
    assert four is not None
    assert (three.nodes_total, four.nodes_total) == (9, 8)


@settings(max_examples=60, deadline=None)
@given(DEMANDS, st.floats(1, 3), st.integers(3, 5))
def test_a_busier_or_larger_pod_never_costs_less(demand: PodDemand, factor: float, count: int) -> None:
    now = choose(demand, count)
    busier = choose(replace(demand, egress_gbps_per_master=demand.egress_gbps_per_master * factor), count)
    larger = choose(
        replace(
            demand,
            request_memory_mib=int(demand.request_memory_mib * factor),
            limit_memory_mib=int(demand.limit_memory_mib * factor),
        ),
        count,
    )
    if now is None:
        assert busier is None
        assert larger is None
        return
    for then in (busier, larger):
        assert then is None or node_usd(then) >= node_usd(now) - 1e-6
