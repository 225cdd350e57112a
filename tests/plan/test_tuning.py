"""What is derived from memory and load: rules that hold for every pod, and the sizing document's two options."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from components.config.units import GIB, MIB
from components.plan.traffic import SINGLE_FLOW_BYTES_PER_SECOND
from components.plan.tuning import Tuning, derive_tuning

OPTIONS = {"64GB": (64 * GIB, 92 * GIB, 100 * MIB), "128GB": (128 * GIB, 185 * GIB, 200 * MIB)}


def tuning(maxmemory_bytes: int, limit_bytes: int, write_rate: float, **changes: int) -> Tuning:
    arguments = {"object_bytes": MIB, "ttl_seconds": 300, "replicas_per_master": 1} | changes
    return derive_tuning(
        maxmemory_bytes=maxmemory_bytes,
        limit_bytes=limit_bytes,
        write_bytes_per_second_per_master=write_rate,
        **arguments,
    )


@st.composite
def tunings(draw: st.DrawFn) -> tuple[Tuning, int, float]:
    """A tuning with the limit and write rate it is derived from; limits as the plan makes them (1.44 x)."""
    maxmemory_bytes = draw(st.integers(128 * MIB, 1024 * GIB))
    limit_bytes = int(maxmemory_bytes * draw(st.floats(1.2, 2)))
    write_rate = draw(st.floats(0, 2e9))
    object_bytes = draw(st.integers(1, 512 * MIB))
    return (
        tuning(
            maxmemory_bytes, limit_bytes, write_rate, object_bytes=object_bytes, ttl_seconds=draw(st.integers(1, 10**6))
        ),
        limit_bytes,
        write_rate,
    )


@given(tunings())
def test_a_resync_up_to_the_output_limit_fits_the_pod(case: tuple[Tuning, int, float]) -> None:
    derived, limit_bytes, _ = case
    assert derived.maxmemory_bytes + derived.replica_output_buffer_limit_bytes < limit_bytes


@given(tunings())
def test_a_rate_is_safe_exactly_when_the_peak_of_a_full_master_fits(case: tuple[Tuning, int, float]) -> None:
    derived, limit_bytes, write_rate = case
    margin = 0.001 * limit_bytes
    if write_rate < derived.safe_write_bytes_per_second:
        assert derived.resync_peak_full_bytes <= limit_bytes + margin
    else:
        assert derived.resync_peak_full_bytes >= limit_bytes - margin - derived.resync_seconds


@given(tunings())
def test_deadlines_follow_from_each_other(case: tuple[Tuning, int, float]) -> None:
    derived, _, _ = case
    node_timeout_seconds = derived.node_timeout_ms / 1000
    fork_stall_seconds = 0.02 * derived.maxmemory_bytes / GIB
    assert node_timeout_seconds >= 5
    assert node_timeout_seconds >= 1.5 * fork_stall_seconds
    # Later than the oldest answer there is in a healthy cluster, and, with a look every second, still in time.
    assert derived.node_timeout_ms * 0.55 < derived.fence_after_ms
    assert derived.fence_after_ms + 1000 * derived.readiness.period_seconds < derived.node_timeout_ms
    # An election of the others is over before a starting master gives up or takes over by itself.
    assert derived.start_takeover_seconds >= 2 * node_timeout_seconds
    assert derived.startup.period_seconds * derived.startup.failure_threshold > derived.start_takeover_seconds + 15
    assert derived.termination_grace_seconds > derived.stop_deadline_seconds + derived.shutdown_timeout_seconds
    assert derived.liveness.timeout_seconds > derived.alive_timeout_seconds > fork_stall_seconds
    assert derived.liveness.period_seconds * derived.liveness.failure_threshold >= 60


@given(tunings())
def test_the_backlog_takes_little_from_the_images(case: tuple[Tuning, int, float]) -> None:
    derived, _, _ = case
    assert 0 < derived.repl_backlog_bytes <= 0.05 * derived.maxmemory_bytes
    assert derived.repl_backlog_bytes <= derived.replica_output_buffer_limit_bytes


@given(st.integers(1, 512), st.floats(0, 1e9), st.floats(0, 1e9))
def test_more_writes_never_lower_the_peak(pod_gib: int, one: float, other: float) -> None:
    low, high = sorted((one, other))
    peaks = [tuning(pod_gib * GIB, int(1.44 * pod_gib * GIB), rate).resync_peak_bytes for rate in (low, high)]
    assert peaks == sorted(peaks)


@pytest.mark.parametrize("option", OPTIONS)
def test_a_full_resync_of_the_documents_options_fits_even_when_the_memory_is_full(option: str) -> None:
    maxmemory_bytes, limit_bytes, write_rate = OPTIONS[option]
    derived = tuning(maxmemory_bytes, limit_bytes, write_rate)
    assert derived.resync_peak_bytes < derived.resync_peak_full_bytes <= limit_bytes
    assert write_rate < derived.safe_write_bytes_per_second
    assert derived.replica_output_buffer_limit_bytes > write_rate * maxmemory_bytes / SINGLE_FLOW_BYTES_PER_SECOND
    assert derived.node_timeout_ms == 5000


def test_a_small_pod_has_sane_values() -> None:
    derived = tuning(256 * MIB, 368 * MIB, MIB)
    assert derived.repl_backlog_bytes >= 4 * MIB
    assert derived.replica_output_buffer_limit_bytes >= 32 * MIB
    assert derived.stop_deadline_seconds >= 15
    assert derived.termination_grace_seconds <= 60


@pytest.mark.parametrize("name", ["maxmemory_bytes", "limit_bytes", "object_bytes", "ttl_seconds"])
def test_a_figure_that_is_not_above_zero_is_refused_by_name(name: str) -> None:
    figures: dict[str, int] = {"maxmemory_bytes": GIB, "limit_bytes": 2 * GIB, "object_bytes": MIB, "ttl_seconds": 300}
    with pytest.raises(ValueError, match=f"{name} is 0"):
        derive_tuning(**(figures | {name: 0}), write_bytes_per_second_per_master=0, replicas_per_master=1)


@given(st.integers(64, 4096), st.floats(0.1, 1.05))
def test_a_limit_without_room_beside_maxmemory_is_refused(pod_mib: int, factor: float) -> None:
    limit_bytes = int(pod_mib * MIB * factor)
    assume(limit_bytes > 0)
    with pytest.raises(ValueError, match="leaves nothing beside maxmemory"):
        tuning(pod_mib * MIB, limit_bytes, MIB)
