"""What is derived from memory and load: rules that hold for every pod, and the sizing document's two options."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from components.config.units import GIB, MIB
from components.plan.sizing import OVERHEAD_FACTOR
from components.plan.traffic import SINGLE_FLOW_BYTES_PER_SECOND
from components.plan.tuning import (
    LONGEST_SCRIPT_SECONDS,
    Probe,
    Tuning,
    derive_tuning,
    mixed_overhead_bytes,
    overhead_bytes,
)

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


@pytest.mark.parametrize(
    ("pod", "limit_bytes", "write_rate", "expected"),
    [
        (
            64 * GIB,
            92 * GIB,
            100 * MIB,
            {
                "node_timeout_ms": 5000,
                "fence_after_ms": 3000,
                # 20 s of writes.
                "repl_backlog_bytes": 2000 * MIB,
                # (92 GiB - 64 GiB - 5 %) / 1.1.
                "replica_output_buffer_limit_bytes": int((28 * GIB - int(3.2 * GIB)) / 1.1),
                "client_memory_limit_bytes": int(3.2 * GIB),
                # Redis's own limit, which is less than three quarters of that.
                "largest_value_bytes": 512 * MIB,
                "resync_seconds": 110,
                # 300 s of writes, the overhead, and 1.1 times what is written while they are sent.
                "resync_peak_bytes": int(
                    30_000 * MIB + int(3.2 * GIB) + 100 * MIB * 1.1 * (30_000 * MIB) / 625_000_000
                ),
                "resync_peak_full_bytes": int(64 * GIB + int(3.2 * GIB) + 100 * MIB * 1.1 * 110),
                "stop_deadline_seconds": 165 + 15,
                "termination_grace_seconds": 180 + 15 + 10 + 5,
                "start_takeover_seconds": 15,
                "min_ready_seconds": 5,
                "form_deadline_seconds": 300 + 220,
                "alive_timeout_seconds": 10,
                "shutdown_timeout_seconds": 10,
                "startup": Probe(1, 12, 60),
                "readiness": Probe(1, 6, 3),
                "liveness": Probe(10, 12, 6),
            },
        ),
        (
            400 * GIB,
            576 * GIB,
            0,
            {
                # A fork may stall 8 s; half as long again is 12 s.
                "node_timeout_ms": 12_000,
                "fence_after_ms": 7200,
                "alive_timeout_seconds": 16,
                "start_takeover_seconds": 29,
                "min_ready_seconds": 12,
                # EKS gives up draining before 1.5 x 688 s are over.
                "resync_seconds": 688,
                "stop_deadline_seconds": 600,
                "termination_grace_seconds": 630,
                "startup": Probe(1, 18, 74),
                "liveness": Probe(10, 18, 6),
                # Nothing is written: four objects are the least.
                "repl_backlog_bytes": 4 * MIB,
                "resync_peak_bytes": 20 * GIB,
                "resync_peak_full_bytes": 420 * GIB,
            },
        ),
        (
            256 * MIB,
            368 * MIB,
            MIB,
            {
                # 5 % of the memory, less than 20 s of writes.
                "repl_backlog_bytes": int(256 * MIB * 0.05),
                "client_memory_limit_bytes": 64 * MIB,
                "largest_value_bytes": 48 * MIB,
                # An idle process takes 16 MiB, more than 5 %.
                "replica_output_buffer_limit_bytes": int(96 * MIB / 1.1),
                "resync_seconds": 1,
                "safe_write_bytes_per_second": int(96 * MIB / 1.1),
                "stop_deadline_seconds": 2 + 15,
            },
        ),
        # A fork may stall 8.4 s, which counts as 9.
        (420 * GIB, 600 * GIB, 0, {"node_timeout_ms": 13_000, "alive_timeout_seconds": 18, "min_ready_seconds": 13}),
        # Objects of 1,000 bytes: a backlog of one MiB is the least.
        (64 * GIB, 92 * GIB, 0.0, {"repl_backlog_bytes": MIB}),
        # Little room beside maxmemory: the replica's buffer is never less than the backlog.
        (
            64 * GIB,
            int(67.3 * GIB),
            10**9,
            {"replica_output_buffer_limit_bytes": int(3.2 * GIB), "repl_backlog_bytes": int(3.2 * GIB)},
        ),
    ],
)
def test_every_figure_follows_from_memory_limit_and_writes(
    pod: int, limit_bytes: int, write_rate: float, expected: dict[str, object]
) -> None:
    object_bytes = 1000 if expected == {"repl_backlog_bytes": MIB} else MIB
    derived = tuning(pod, limit_bytes, write_rate, object_bytes=object_bytes, replicas_per_master=2)
    assert {name: getattr(derived, name) for name in expected} == expected
    assert (derived.maxmemory_bytes, derived.replicas_per_master) == (pod, 2)
    assert derived.safe_write_bytes_per_second == int(
        derived.replica_output_buffer_limit_bytes / derived.resync_seconds
    )


def test_the_data_of_a_resync_is_what_the_ttl_keeps_alive() -> None:
    short, long = (tuning(64 * GIB, 92 * GIB, 100 * MIB, ttl_seconds=ttl) for ttl in (10, 10_000))
    assert short.resync_peak_bytes < 5 * GIB
    # All of the memory, as with any longer TTL; the full peak rounds its duration up to a second.
    assert 0 <= long.resync_peak_full_bytes - long.resync_peak_bytes <= 110 * MIB


def test_the_scripts_read_their_deadlines_from_the_environment() -> None:
    derived = tuning(64 * GIB, 92 * GIB, 0)
    assert derived.script_env() == {
        "NODE_TIMEOUT_MS": 5000,
        "FENCE_AFTER_MS": 3000,
        "START_TAKEOVER_SECONDS": 15,
        "STOP_DEADLINE_SECONDS": 180,
        "ALIVE_TIMEOUT_SECONDS": 10,
        "LONGEST_SCRIPT_SECONDS": 60,
    }


def test_a_script_that_does_not_end_is_ended_within_two_minutes() -> None:
    derived = tuning(64 * GIB, 92 * GIB, 0)
    busy_reply_threshold_seconds = 5
    # Redis answers BUSY, the next probe notes it, and the first one after the limit acts.
    noticed = busy_reply_threshold_seconds + derived.liveness.period_seconds
    acted = noticed + LONGEST_SCRIPT_SECONDS + derived.liveness.period_seconds + derived.liveness.timeout_seconds
    assert acted <= 120


def test_a_limit_has_to_leave_a_byte_beside_redis() -> None:
    overhead = int(64 * GIB * 0.05)
    assert tuning(64 * GIB, 64 * GIB + overhead + 1, 0).replica_output_buffer_limit_bytes
    with pytest.raises(ValueError, match="leaves nothing beside maxmemory"):
        tuning(64 * GIB, 64 * GIB + overhead, 0)


def test_writes_below_none_are_refused_and_none_and_figures_of_one_are_not() -> None:
    with pytest.raises(ValueError, match="write_bytes_per_second_per_master is -1"):
        tuning(GIB, 2 * GIB, -1)
    assert tuning(GIB, 2 * GIB, 0, object_bytes=1, ttl_seconds=1).resync_seconds == 2


@given(st.integers(1, 1024 * GIB))
def test_images_of_many_sizes_take_at_least_as_much_as_those_of_one(maxmemory_bytes: int) -> None:
    assert mixed_overhead_bytes(maxmemory_bytes) >= overhead_bytes(maxmemory_bytes)


@given(st.integers(128 * MIB, 1024 * GIB))
def test_a_pod_full_of_images_of_many_sizes_is_below_its_limit(maxmemory_bytes: int) -> None:
    assert maxmemory_bytes + mixed_overhead_bytes(maxmemory_bytes) < maxmemory_bytes * OVERHEAD_FACTOR**2
