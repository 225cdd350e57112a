"""On generated stacks: what the plan says it serves, its nodes' rules, its warnings and the model agree."""

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from components.advice.advice import derive_advice
from components.advice.figures import Figures, derive_figures
from components.config.settings import Settings
from components.config.units import parse_size
from components.plan.core import get_seconds
from components.plan.latency import transfer_ms
from components.plan.load import derive_load, first_failure
from components.plan.nodes.catalogue import ROOT_VOLUME_USD, load_catalogue
from components.plan.nodes.rules import pods_per_node
from components.plan.plan import decide_plan, derive_plan, pod_demand
from components.plan.refusal import PlanRefused, Refused
from tests.plan.placement_simulation import DAEMONSET_MIB, DAEMONSET_MILLICORES, Pods, read_kinds
from tests.plan.stacks import ZONES, option_1, option_2, stack

STACKS = 300
KINDS = read_kinds()


@st.composite
def stacks(draw: st.DrawFn) -> Settings:
    pod, masters = draw(st.sampled_from((1, 4, 16, 64, 128))), draw(st.integers(6, 30))
    return stack(
        f"{pod}GB",
        f"{pod * masters}GB",
        zones=draw(st.sampled_from((ZONES, ZONES, None))),
        replicas=draw(st.integers(1, 2)),
        requestsPerSecond=draw(st.integers(1, 60_000)),
        objectBytes=draw(st.sampled_from((10_000, 100_000, 1_000_000, 5_000_000, 20_000_000))),
        ttlSeconds=draw(st.sampled_from((10, 300, 3600))),
        hitRate=draw(st.floats(0.3, 1, exclude_max=True)),
        p95LatencyMs=draw(st.sampled_from((5, 50, 500))),
    )


@pytest.mark.long
def test_capacity_nodes_waits_and_warnings_never_contradict_each_other() -> None:
    judged = 0

    @settings(max_examples=STACKS, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
    @given(stacks())
    def judge(stack: Settings) -> None:
        nonlocal judged
        try:
            figures = derive_figures(stack)
        except Refused:
            # Another is drawn in its place: so many are judged.
            reject()
        _judge(stack, figures)
        judged += 1

    judge()
    assert judged >= STACKS


def _judge(stack: Settings, figures: Figures) -> None:
    nodes, capacity = figures.nodes, figures.capacity
    cores = nodes.cores_for_pods if nodes else None

    def failure(rate: float) -> str | None:
        load = derive_load(stack, figures.sizing, figures.tuning, rate)
        return first_failure(load, figures.link_gbps, figures.masters_on_link, cores)

    # Capacity is where the rules stop holding, by any way of finding that point.
    assert capacity.ops_total <= 0 or failure(capacity.ops_total * 0.999) is None
    assert capacity.bound_by == "none" or failure(capacity.ops_total * 1.001 + 1e-6) is not None
    # Brute force: ten rates below it hold, ten beyond it fail.
    for step in range(1, 11):
        assert capacity.ops_total <= 0 or failure(capacity.ops_total * step / 10.01) is None
        assert capacity.bound_by == "none" or failure(capacity.ops_total * (1 + step / 10) + 1) is not None
    # The core and the network, counted here anew, are never asked for more than they have.
    served = capacity.ops_total / figures.sizing.masters
    assert served * figures.load.core.mean_seconds <= 1 + 1e-6
    sent = served * stack.workload.object_bytes * 8e-9
    sent *= 1 + (1 - stack.workload.hit_rate) * stack.replicas_per_master
    assert sent * figures.masters_on_link <= figures.link_gbps * (1 + 1e-6)
    holds = first_failure(figures.load, figures.link_gbps, figures.masters_on_link, cores) is None
    assert holds == (capacity.headroom >= 1 - 1e-6)
    _judge_by_simulated_queues(stack, figures)
    if nodes is None:
        return
    # Nodes that are chosen carry what is wanted: nobody is warned of it.
    assert holds
    assert figures.latency.holds
    assert figures.latency.p50_ms is not None
    assert figures.latency.p50_ms <= (figures.latency.p95_ms or 0) <= stack.workload.p95_latency_ms
    # One more pod on a node breaks a rule, or the zones do not need it: the chosen number is never beyond any limit.
    kind = load_catalogue().find(nodes.instance_type)
    assert kind is not None
    demand = pod_demand(stack, figures.sizing, figures.traffic, figures.load)
    assert nodes.pods_per_node <= pods_per_node(kind, demand, stack.nodes.packing).most
    assert cheapest_by_brute_force(stack, figures) == pytest.approx(
        nodes.usd_per_month + nodes.nodes_total * ROOT_VOLUME_USD
    )


def cheapest_by_brute_force(stack: Settings, figures: Figures) -> float:
    """USD a month of the cheapest type x pods on a node, found by trying all of them. Figures of the types are read and
    counted by the scheduler's simulation, which shares no code with the planner; the load by the core model."""
    sizing, load = figures.sizing, figures.load
    pods, masters = sizing.pods, sizing.masters
    by_zone = [
        len(zone)
        for zone in Pods(
            shards=masters,
            copies=1 + sizing.replicas_per_master,
            request_mib=sizing.request_memory_mib,
            limit_mib=sizing.limit_memory_mib,
            cpu_millicores=1000,
            gbps_of_a_master=0,
        ).by_zone(len(ZONES))
    ]
    busy = load.requests_per_second * load.core.mean_seconds
    found = []
    for kind in KINDS:
        if kind.zones["us-east-1"] < max(other.zones["us-east-1"] for other in KINDS):
            continue
        for per_node in range(1, pods // 6 + 1):
            if (
                per_node * sizing.limit_memory_mib + DAEMONSET_MIB > kind.memory_mib
                or per_node * 1000 + DAEMONSET_MILLICORES > kind.cpu_millicores
                or per_node > kind.volumes
                or 2 * (masters - per_node) <= masters
                or per_node * load.traffic.egress_gbps_per_master > kind.gbps * (1 + 1e-9)
                or per_node * busy > (kind.cpu_millicores - DAEMONSET_MILLICORES) / 1000 * (1 + 1e-9)
            ):
                break
            if load.resync(kind.gbps, per_node).fits and load.latency(kind.gbps, per_node).holds:
                nodes = sum(-(-count // per_node) for count in by_zone)
                found.append(nodes * (kind.usd["us-east-1"] * 730 + 50 * 0.08))
    return min(found)


def _judge_by_simulated_queues(stack: Settings, figures: Figures) -> None:
    """The waits that the plan names are those of queues that are played through."""
    core, answer = figures.load.core, figures.latency
    miss = core.set_seconds + get_seconds(0, tls=False)
    share = 1 - stack.workload.hit_rate
    link = transfer_ms(stack.workload.object_bytes, figures.link_gbps)
    for use, times, unit, waits in (
        (
            figures.load.core_share,
            lambda dice: 1000 * (miss if dice.random() < share else core.get_seconds),
            1000 * core.effective_seconds,
            answer.core_wait_p95_ms,
        ),
        (answer.link_use_percent / 100, lambda _: link, link, answer.link_wait_p95_ms),
    ):
        # Beyond that a queue takes longer to fill than can be played through here.
        if 0 < use <= 0.9:
            simulated = simulated_p95_ms(use, times)
            assert waits is not None
            assert simulated - waits <= 0.25 * max(unit, simulated)
            # Where a few long writes stand among many short reads, and little of the core is used, the model takes
            # waits to be longer than they are: 0.27 of the unit, with ten times as many requests played through too.
            few_long_writes = unit != link and use < 0.25 and share < 0.1
            assert waits - simulated <= (0.3 if few_long_writes else 0.25) * max(unit, simulated)


def simulated_p95_ms(use: float, service_ms: Callable[[random.Random], float], requests: int = 30_000) -> float:
    """The p95 of the wait at one server with random arrivals that keep it busy for `use` of the time."""
    dice = random.Random(11)
    services = [service_ms(dice) for _ in range(requests)]
    pause = sum(services) / requests / use
    now = free_at = 0.0
    waits = []
    for service in services:
        now += dice.expovariate(1 / pause)
        waits.append(max(0.0, free_at - now))
        free_at = max(now, free_at) + service
    return sorted(waits)[int(0.95 * requests)]


def test_prod_serves_what_its_network_carries_replication_included() -> None:
    figures = derive_figures(option_1())
    assert 8000 < figures.capacity.ops_total < 8333.4
    assert figures.latency.link_use_percent == pytest.approx(96)


@pytest.mark.parametrize("rate", [12_000, 16_000])
def test_what_is_served_and_what_is_used_agree_at_other_rates(rate: int) -> None:
    figures = derive_figures(option_1(requestsPerSecond=rate))
    assert figures.capacity.headroom >= 1
    assert figures.latency.link_use_percent < 100
    assert figures.latency.holds


def test_auto_holds_the_latency_that_is_wanted() -> None:
    strict, usual = derive_figures(option_1(p95LatencyMs=10)), derive_figures(option_1())
    assert strict.latency.holds
    assert strict.nodes is not None
    assert usual.nodes is not None
    assert strict.nodes.instance_type != usual.nodes.instance_type


@pytest.mark.parametrize(
    ("workload", "key", "change"),
    [
        (
            {"p95LatencyMs": 1},
            "workload.p95LatencyMs = 1",
            "an answer takes 2.3 ms by itself; raise workload.p95LatencyMs, or make images smaller",
        ),
        (
            {"p95LatencyMs": 3, "requestsPerSecond": 60_000, "hitRate": 0.99},
            "podMemory",
            "make podMemory smaller, so that more masters share the load",
        ),
    ],
)
def test_a_latency_that_no_type_keeps_is_refused_with_that_reason_and_what_helps(
    workload: dict[str, float], key: str, change: str
) -> None:
    with pytest.raises(PlanRefused) as refusal:
        derive_plan(option_1(**workload))
    (said,) = refusal.value.messages
    assert said.startswith(f"redis-image-cache:{key}: no EC2 type of the catalogue carries one pod: on ")
    assert f"and {workload['p95LatencyMs']} ms are wanted" in said
    assert said.endswith(change)


def test_a_core_limits_how_many_masters_do() -> None:
    busy = {"requestsPerSecond": 200_000, "objectBytes": 10_000, "hitRate": 0.9}
    with pytest.raises(PlanRefused):
        derive_plan(stack("64GB", "384GB", **busy))
    assert derive_figures(stack("64GB", "640GB", **busy)).capacity.headroom >= 1


def test_a_full_resync_at_the_worst_placement_takes_what_the_network_leaves() -> None:
    resilience = derive_figures(option_1()).resilience
    # 32.09 GB with 0.8 of 20 Gbps left once its writes have been sent, too.
    assert resilience.reprotection_worst_seconds == 321
    assert resilience.resync_fits
    assert not resilience.resync_full_fits


@pytest.mark.parametrize(
    ("refused", "near", "reason"),
    [
        (option_1(hitRate=0.5), option_1(hitRate=0.7), "a lost replica would never come back"),
        (
            stack("128GB", "1TB", zones=None, requestsPerSecond=20_000, hitRate=0.7),
            stack("64GB", "1TB", zones=None, requestsPerSecond=10_000, hitRate=0.9),
            "carries 5 Gbps",
        ),
        (
            stack("1GB", "6GB", requestsPerSecond=1, objectBytes=48 * 2**20 + 1),
            stack("1GB", "6GB", requestsPerSecond=1, objectBytes=48 * 2**20),
            "the largest value that a pod of 1GB takes has 50,331,648 bytes",
        ),
    ],
)
def test_what_cannot_work_is_refused(refused: Settings, near: Settings, reason: str) -> None:
    with pytest.raises(PlanRefused, match=reason):
        derive_plan(refused)
    derive_plan(near)
    # A comparison may still show its figures.
    assert decide_plan(refused.model_copy(update={"eks": None}), judge=False).sizing.masters > 0


ADVISED = [
    option_1(),
    option_1(ttlSeconds=700),
    option_1(ttlSeconds=600),
    option_2(zones=None, hitRate=0.76),
    option_1(zones=None, requestsPerSecond=25_000, hitRate=0.95),
    stack("64GB", "4TB", requestsPerSecond=100),
    stack("64GB", "640GB"),
]


@pytest.mark.parametrize("stack", ADVISED)
def test_every_change_that_is_advised_is_planned_and_ends_the_warning(stack: Settings) -> None:
    for warning in derive_advice(stack).warnings:
        for option in warning.change.split("--set ")[1:]:
            key, _, rest = option.partition("=")
            changed = derive_advice(edited(stack, key, rest.split(" ")[0].removesuffix(".")))
            if warning.code != "cross-zone-traffic-dominates":
                assert warning.code not in {other.code for other in changed.warnings}, (warning, option)


def edited(stack: Settings, key: str, value: str) -> Settings:
    match key:
        case "totalMemory":
            return stack.model_copy(update={"total_memory": parse_size(value)})
        case "podMemory":
            return stack.model_copy(update={"pod_memory": parse_size(value)})
        case "replicasPerMaster":
            return stack.model_copy(update={"replicas_per_master": int(value)})
        case "nodes.instanceType":
            return stack.model_copy(update={"nodes": stack.nodes.model_copy(update={"instance_type": value})})
    assert key == "workload.ttlSeconds"
    return stack.model_copy(update={"workload": stack.workload.model_copy(update={"ttl_seconds": int(value)})})


def test_a_master_that_nobody_asks_breaks_no_rule() -> None:
    figures = derive_figures(option_1())
    idle = replace(figures.load, requests_per_second=0.0)
    assert first_failure(idle, figures.link_gbps, figures.masters_on_link) is None


@pytest.mark.parametrize(
    "refused",
    [
        stack("256GB", "1TB"),
        option_1(hitRate=0.5),
        option_1(nodes={"instanceType": "m6i.2xlarge"}),
        option_1(nodes={"instanceType": "r6g.12xlarge", "transitEncryption": True}),
        stack("128GB", "1TB", zones=None, requestsPerSecond=20_000, hitRate=0.7),
    ],
)
def test_what_is_said_to_be_planned_instead_of_a_refused_stack_is(refused: Settings) -> None:
    with pytest.raises(PlanRefused) as refusal:
        derive_advice(refused)
    options = refusal.value.messages[-1].split("; tried, and planned: ")[1].split(" or ")
    for option in options:
        key, _, value = option.removeprefix("--set ").partition("=")
        derive_plan(edited(refused, key, value))


def test_nothing_is_said_to_be_planned_instead_where_nothing_is() -> None:
    with pytest.raises(PlanRefused) as refusal:
        derive_advice(option_1(zones=("us-east-1a", "us-east-1b", "eu-west-1a")))
    assert "tried, and planned" not in str(refusal.value)


def test_one_write_a_second_is_no_plural() -> None:
    rare = {"requestsPerSecond": 400_000, "objectBytes": 512 * 2**20, "ttlSeconds": 86_400, "hitRate": 0.9999}
    with pytest.raises(PlanRefused, match=r"the writes to a master are 0\.67/s, and so many wait"):
        derive_plan(stack("256GB", "15TB", zones=None, **rare))
