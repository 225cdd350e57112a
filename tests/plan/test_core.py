"""What requests take of the core: the measured points, and what must hold between and beyond them."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.config.rules import MASTERS_MAX
from components.config.settings import REQUESTS_PER_SECOND_MAX, Workload
from components.plan.core import (
    core_use,
    get_seconds,
    migrate_bytes_per_second,
    resync_bytes_per_second,
    set_seconds,
    tls_times,
)
from components.plan.latency import derive_latency


@pytest.mark.parametrize(
    ("object_bytes", "low", "high"),
    [(10_000, 37_000, 38_000), (100_000, 21_500, 22_500), (1_000_000, 4600, 6700), (5_000_000, 889, 890)],
)
def test_gets_a_second_are_those_measured(object_bytes: int, low: float, high: float) -> None:
    assert low <= 1 / get_seconds(object_bytes, tls=False) <= high


def test_from_8_mb_on_a_core_sends_1_gb_a_second() -> None:
    for size in (8_000_000, 20_000_000, 100_000_000):
        assert size / get_seconds(size, tls=False) == pytest.approx(1e9)


@pytest.mark.parametrize(("replicas", "milliseconds"), [(0, 0.45), (1, 1.1), (2, 1.4), (3, 1.8)])
def test_a_set_of_1_mb_takes_what_was_measured(replicas: int, milliseconds: float) -> None:
    assert set_seconds(1_000_000, replicas, tls=False) == pytest.approx(milliseconds / 1000)


@given(st.integers(0, 600_000_000), st.integers(1, 50_000_000), st.integers(0, 2))
def test_larger_images_and_more_replicas_never_take_less(size: int, more: int, replicas: int) -> None:
    assert get_seconds(size, tls=False) <= get_seconds(size + more, tls=False)
    assert set_seconds(size, replicas, tls=False) <= set_seconds(size + more, replicas, tls=False)
    assert (
        get_seconds(size, tls=False)
        < set_seconds(size, replicas, tls=False)
        < set_seconds(size, replicas + 1, tls=False)
    )


@given(st.integers(0, 600_000_000), st.integers(1, 50_000_000), st.integers(0, 2))
def test_with_tls_larger_images_and_more_replicas_never_take_less_and_nothing_gets_cheaper(
    size: int, more: int, replicas: int
) -> None:
    assert get_seconds(size, tls=False) < get_seconds(size, tls=True) <= get_seconds(size + more, tls=True)
    write = set_seconds(size, replicas, tls=True)
    assert set_seconds(size, replicas, tls=False) < write <= set_seconds(size + more, replicas, tls=True)
    assert write < set_seconds(size, replicas + 1, tls=True)


@pytest.mark.parametrize(("request_", "times"), [("get", 3.49), ("set_0", 4.18), ("set_1", 3.17)])
def test_tls_makes_a_request_of_1_mb_as_many_times_longer_as_was_measured(request_: str, times: float) -> None:
    assert tls_times(request_, 1_000_000) == pytest.approx(times)


def test_hits_and_misses_wait_at_the_core_as_in_a_simulated_queue() -> None:
    """Random arrivals, four GETs to one SET with its replication: the p95 of the wait within a fifth of the model's."""
    core, dice, use = core_use(Workload.model_validate({}), 1, tls=False), random.Random(3), 0.8
    miss = get_seconds(0, tls=False) + core.set_seconds
    now = free_at = 0.0
    waits = []
    for _ in range(200_000):
        now += dice.expovariate(use / core.mean_seconds)
        waits.append(max(0.0, free_at - now))
        free_at = max(now, free_at) + (miss if dice.random() < 0.2 else core.get_seconds)
    modelled = derive_latency(
        object_bytes=1_000_000,
        link_use=0,
        link_gbps=10,
        masters_on_link=1,
        core_use=use,
        get_ms=1000 * core.get_seconds,
        core_service_ms=1000 * core.effective_seconds,
        wanted_p95_ms=500,
    ).core_wait_p95_ms
    assert modelled == pytest.approx(1000 * sorted(waits)[int(0.95 * len(waits))], rel=0.2)


@given(st.floats(0, 3), st.floats(0, 1))
def test_what_is_sent_in_bulk_gets_what_requests_leave_and_less_with_tls(share: float, more: float) -> None:
    for rate in (resync_bytes_per_second, migrate_bytes_per_second):
        assert rate(share + more, tls=False) <= rate(share, tls=False)
        assert rate(share, tls=True) <= rate(share, tls=False)
    assert (resync_bytes_per_second(share, tls=True) > 0) == (share < 1)
    assert migrate_bytes_per_second(share, tls=True) > 0


def test_an_idle_core_sends_in_bulk_what_was_measured() -> None:
    # Two GETs of 1 MB for each megabyte of a full resync, 1.45 times as long with TLS.
    assert resync_bytes_per_second(0, tls=False) == pytest.approx(2.5e9)
    assert resync_bytes_per_second(0, tls=True) == pytest.approx(2.5e9 / 1.45)
    assert migrate_bytes_per_second(0, tls=False) == pytest.approx(4e8)
    assert migrate_bytes_per_second(0, tls=True) == pytest.approx(3.2e8)


def test_no_more_requests_may_be_asked_for_than_all_masters_of_a_cluster_have_cores_for() -> None:
    answered = MASTERS_MAX / get_seconds(0, tls=False)
    assert answered <= REQUESTS_PER_SECOND_MAX <= 1.1 * answered
