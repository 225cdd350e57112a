"""Bandwidth, capacity and the latency model."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.advice.figures import derive_figures
from components.config.settings import Workload
from components.plan.latency import Latency, derive_latency, transfer_ms
from components.plan.traffic import misses_per_second
from tests.plan.stacks import option_1, option_2, stack

HIT_RATES = st.floats(0, 1, exclude_max=True)
"""What a stack may say: 1 itself is refused."""


@given(st.integers(1, 100_000), st.integers(1, 10_000_000), HIT_RATES, st.integers(3, 50), st.integers(1, 3))
def test_what_masters_send_adds_up(rate: int, size: int, hit_rate: float, masters: int, replicas: int) -> None:
    traffic = derive_figures(
        stack(
            "64GB",
            f"{64 * masters}GB",
            zones=None,
            replicas=replicas,
            requestsPerSecond=rate,
            objectBytes=size,
            hitRate=hit_rate,
        ),
        judge=False,
    ).traffic
    assert traffic.egress_gbps_per_master * masters == pytest.approx(traffic.read_gbps + traffic.replication_gbps)
    assert traffic.replication_gbps == pytest.approx(replicas * traffic.write_gbps)
    assert traffic.egress_gbps_per_master >= traffic.write_gbps_per_master - 1e-9


def test_misses_are_exact_where_floating_point_is_not() -> None:
    assert misses_per_second(Workload.model_validate({"requestsPerSecond": 8000, "hitRate": 0.8})) == 1600


def test_on_the_nodes_a_master_has_its_share_of_the_sustained_network_in_the_worst_placement() -> None:
    figures = derive_figures(option_1())
    # Four pods on 20 Gbps: 5 Gbps each. Replication is sent too, so it carries 8,333/s and not 10,000/s; and a little
    # before that a lost replica's resync does not fit into what is left.
    assert figures.capacity.gbps_per_master == 5
    assert figures.capacity.ops_total == pytest.approx(8_189, abs=1)
    assert figures.capacity.bound_by == "resync"
    assert figures.latency.link_use_percent == pytest.approx(96)


def test_without_nodes_a_pod_has_the_documents_10_gbps() -> None:
    figures = derive_figures(option_2(zones=None))
    assert figures.nodes is None
    assert figures.capacity.gbps_per_master == 10
    assert figures.capacity.use_percent == pytest.approx(96)


def latency(link_use: float, core_use: float = 0.1, link_gbps: float = 20.0) -> Latency:
    return derive_latency(
        object_bytes=1_000_000,
        link_use=link_use,
        link_gbps=link_gbps,
        masters_on_link=4,
        core_use=core_use,
        get_ms=0.2,
        core_service_ms=0.2,
        wanted_p95_ms=500,
    )


def test_the_parts_add_up_to_the_whole() -> None:
    found = latency(0.7)
    alone = found.transfer_ms + found.processing_ms + found.round_trip_ms
    assert found.core_wait_p50_ms == 0
    assert found.link_wait_p50_ms is not None
    assert found.link_wait_p50_ms > 0
    assert found.p50_ms == pytest.approx(alone + found.link_wait_p50_ms)
    assert found.core_wait_p95_ms is not None
    assert found.link_wait_p95_ms is not None
    assert found.p95_ms == pytest.approx(alone + found.core_wait_p95_ms + found.link_wait_p95_ms)


def test_one_flow_bounds_the_transfer_however_fast_the_node() -> None:
    assert latency(0.5, link_gbps=100.0).transfer_ms == transfer_ms(1_000_000, 5) == 1.6
    assert latency(0.5, link_gbps=2.5).transfer_ms == transfer_ms(1_000_000, 2.5)


@given(st.floats(0.01, 0.98), st.floats(0.001, 0.01))
def test_a_fuller_network_never_answers_sooner(use: float, more: float) -> None:
    now, then = latency(use).p95_ms, latency(use + more).p95_ms
    assert now is not None
    assert then is not None
    assert then >= now


def test_a_full_queue_has_no_p95_and_does_not_hold() -> None:
    for found in (latency(1.0), latency(0.5, core_use=1.0)):
        assert found.p95_ms is None
        assert not found.holds


@pytest.mark.parametrize("use", [0.5, 0.8, 0.9])
def test_the_modelled_wait_is_that_of_a_simulated_queue(use: float) -> None:
    """Arrivals at random, one server with an even service time: the p95 of the wait within a fifth of the model's."""
    dice, service = random.Random(7), 1.0
    now = free_at = 0.0
    waits = []
    for _ in range(200_000):
        now += dice.expovariate(use / service)
        waits.append(max(0.0, free_at - now))
        free_at = max(now, free_at) + service
    measured = sorted(waits)[int(0.95 * len(waits))]
    modelled = latency(use).link_wait_p95_ms
    assert modelled is not None
    assert modelled / transfer_ms(1_000_000, 20) == pytest.approx(measured, rel=0.2)
