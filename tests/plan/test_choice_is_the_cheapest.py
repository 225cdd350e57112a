"""On generated stacks the planner's nodes cost no more than the best that brute force finds, and carry the pods."""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.config.settings import Nodes
from components.plan.nodes.catalogue import load_catalogue
from components.plan.nodes.choice import NodePlan, NodesRefused, choose_nodes
from components.plan.nodes.rules import PodDemand
from tests.plan.placement_simulation import Kind, Pods, place, read_kinds, violations

KINDS = read_kinds()
BY_NAME = {kind.name: kind for kind in KINDS}
LETTERS = {"us-east-1": "abcdf", "eu-west-1": "abc", "eu-central-1": "abc", "us-west-1": "ab"}
ROOT_VOLUME_USD = 50 * 0.08


@dataclass(frozen=True)
class Case:
    """One generated stack."""

    pods: Pods
    region: str
    zones: int
    architecture: str
    by_limits: bool

    @property
    def zone_names(self) -> tuple[str, ...]:
        return tuple(self.region + letter for letter in LETTERS[self.region][: self.zones])

    @property
    def fewer_zones(self) -> bool:
        return self.zones < 3

    def plan(self) -> NodePlan:
        demand = PodDemand(
            masters=self.pods.shards,
            copies_per_shard=self.pods.copies,
            request_memory_mib=self.pods.request_mib,
            limit_memory_mib=self.pods.limit_mib,
            cpu_millicores=self.pods.cpu_millicores,
            egress_gbps_per_master=self.pods.gbps_of_a_master,
        )
        rules = Nodes.model_validate(
            {
                "architecture": self.architecture,
                "packing": "limits" if self.by_limits else "requests",
                "allowFewerZones": self.fewer_zones,
            }
        )
        return choose_nodes(demand, self.zone_names, rules, load_catalogue())


@st.composite
def cases(draw: st.DrawFn) -> Case:
    region = draw(st.sampled_from(sorted(LETTERS)))
    zones = draw(st.sampled_from([count for count in (3, 4, 2, 1) if count <= len(LETTERS[region])]))
    copies = draw(st.integers(2, max(2, min(3, zones))))
    gib = draw(st.sampled_from([1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 200, 256, 400]))
    request = round(gib * 1.2) * 1024
    shards = draw(st.sampled_from([3, 5, 6, 7, 8, 11, 16, 20, 32, 50, 64, 100]))
    return Case(
        pods=Pods(
            shards=shards,
            copies=copies,
            request_mib=request,
            limit_mib=round(request * 1.2 / 1024) * 1024,
            cpu_millicores=draw(st.sampled_from([1000, 1010])),
            gbps_of_a_master=draw(st.sampled_from([0.1, 1, 4, 12, 40, 77, 150, 400])) / shards,
        ),
        region=region,
        zones=zones,
        architecture=draw(st.sampled_from(["any", "arm64", "x86_64"])),
        by_limits=draw(st.booleans()),
    )


def most_zones(region: str) -> int:
    return max(kind.zones.get(region, 0) for kind in KINDS)


def brute_force(case: Case) -> float | None:
    """USD a month of the cheapest type x pods per node x nodes by zone; None: nothing holds."""
    pods, everyone = case.pods, case.pods.shards * case.pods.copies
    zones = [len(zone) for zone in pods.by_zone(case.zones)]
    masters = [sum(copy == 0 for _, copy in zone) for zone in pods.by_zone(case.zones)]
    if not case.fewer_zones and any(2 * (pods.shards - count) <= pods.shards for count in masters):
        return None
    priced_here = any(case.region in kind.usd for kind in KINDS)
    together = -(-pods.copies // case.zones)
    best = None
    for kind in KINDS:
        if kind.zones.get(case.region, 0) < most_zones(case.region) or (priced_here and case.region not in kind.usd):
            continue
        if case.architecture not in ("any", kind.arch):
            continue
        price = kind.usd[case.region] if priced_here else kind.usd["us-east-1"]
        of_pod = pods.limit_mib if case.by_limits else pods.request_mib
        for per_node in range(1, everyone + 1):
            if (
                per_node * of_pod + 512 > kind.memory_mib
                or per_node * pods.cpu_millicores + 500 > kind.cpu_millicores
                or per_node * pods.gbps_of_a_master > kind.gbps * (1 + 1e-9)
                or per_node > kind.volumes
                or 6 * per_node > everyone
                or 2 * (pods.shards - per_node) <= pods.shards
            ):
                break
            nodes = 0
            for count in zones:
                in_zone = 1
                # Copies of the shard that are here already may each spoil a whole node for the next one.
                while (in_zone - (together - 1)) * per_node < count - (together - 1):
                    in_zone += 1
                nodes += in_zone
            usd = nodes * (price * 730 + ROOT_VOLUME_USD)
            if best is None or usd < best:
                best = usd
    return best


def check_every_placement(case: Case, plan: NodePlan, kind: Kind) -> None:
    nodes_by_zone = [zone.nodes for zone in plan.zones]
    for seed, style in enumerate(("packed", "spread", "random")):
        placed, stuck = place(case.pods, kind, nodes_by_zone, plan.system_reserved_cpu_millicores, style, seed)
        assert stuck == [], f"{style}: {len(stuck)} pods find no node"
        found = violations(
            case.pods,
            kind,
            placed,
            limits_fit=case.by_limits,
            zone_loss_survived=not case.fewer_zones,
        )
        assert found == [], style


def check(case: Case) -> None:
    best = brute_force(case)
    if best is None:
        with pytest.raises(NodesRefused):
            case.plan()
        return
    plan = case.plan()
    assert plan.nodes_total * (plan.usd_per_hour * 730 + ROOT_VOLUME_USD) == pytest.approx(best)
    check_every_placement(case, plan, BY_NAME[plan.instance_type])


@settings(max_examples=60, deadline=None)
@given(cases())
def test_no_other_nodes_are_cheaper_and_no_placement_breaks_a_rule(case: Case) -> None:
    check(case)


@pytest.mark.long
@settings(max_examples=600, deadline=None)
@given(cases())
def test_no_other_nodes_are_cheaper_on_many_more_stacks(case: Case) -> None:
    check(case)


def test_the_simulation_notices_a_pod_too_many() -> None:
    """The judge itself: without the cores that are kept back, a sixth pod lands on a node made for five."""
    case = Case(Pods(16, 2, 77 * 1024, 92 * 1024, 1000, 4.8), "us-east-1", 3, "any", by_limits=True)
    kind = BY_NAME["r7g.16xlarge"]
    placed, _ = place(case.pods, kind, [3, 3, 3], 0, "packed", 0)
    assert any(
        "limits exceed" in violation
        for violation in violations(case.pods, kind, placed, limits_fit=True, zone_loss_survived=True)
    )


def test_the_simulation_notices_a_node_too_few_and_a_lost_majority() -> None:
    pods = Pods(16, 2, 77 * 1024, 92 * 1024, 1000, 4.8)
    kind = BY_NAME["r6g.12xlarge"]
    assert place(pods, kind, [3, 2, 3], 0, "spread", 0)[1]
    two_zones, stuck = place(pods, kind, [4, 4], 0, "spread", 0)
    assert not stuck
    assert any(
        "majority" in violation
        for violation in violations(pods, kind, two_zones, limits_fit=True, zone_loss_survived=True)
    )
