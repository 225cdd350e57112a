"""How fast things move: no master is blocked for long, no bound is exceeded, and people are told."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.act.progress import REPORT_EVERY_S, Progress
from reconciler.act.rate import JOB_S, PACED_JOB_S, TARGET_BLOCK_S, BatchSize, JobSize, RateLimit
from reconciler.connection import Address, Connection

LONGEST_BLOCK_S = 0.1
MB = 1_000_000


@dataclass
class Clock:
    """A network of which only the clock is used; sleeping moves it."""

    time_s: float = 0.0
    slept: list[float] = field(default_factory=list)

    def now(self) -> float:
        return self.time_s

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time_s += seconds

    def connect(self, address: Address) -> Connection:
        raise NotImplementedError

    def resolve(self, host: str) -> list[str]:
        raise NotImplementedError


slowdowns = st.lists(st.floats(1 / 6, 8.0), min_size=1, max_size=60)


@given(start_mb_s=st.floats(70, 3000), changes=slowdowns)
def test_no_step_blocks_a_master_for_long_although_the_rate_falls_to_a_sixth_between_two(
    start_mb_s: float, changes: list[float]
) -> None:
    batch, mb_per_s = BatchSize(), start_mb_s
    for change in changes:
        mb_per_s = max(mb_per_s * change, 1.0)
        carried = batch.size_bytes
        seconds = carried / (mb_per_s * MB)
        assert seconds <= LONGEST_BLOCK_S * 1.001
        batch.adapt(carried, seconds)


@given(mb_per_s=st.floats(1, 3000), share=st.floats(0.55, 1.0))
def test_steps_grow_until_they_are_as_long_as_they_may_be(mb_per_s: float, share: float) -> None:
    batch, seconds = BatchSize(), 0.0
    for _ in range(20):
        carried = int(batch.size_bytes * share)
        seconds = carried / (mb_per_s * MB)
        batch.adapt(carried, seconds)
    # Steps are not quite full, since values are as large as they are: those come near it all the same.
    assert TARGET_BLOCK_S * 0.4 <= seconds <= TARGET_BLOCK_S * 1.01 or batch.size_bytes >= 64 << 20


@given(carried=st.integers(1, 1 << 30), seconds=st.floats(0, 100))
def test_a_batch_always_carries_something(carried: int, seconds: float) -> None:
    batch = BatchSize()
    batch.adapt(carried, seconds)
    assert 1 <= batch.size_bytes <= 64 << 20


def test_a_step_far_below_its_size_teaches_nothing_but_that_it_was_slow() -> None:
    batch = BatchSize()
    before = batch.size_bytes
    batch.adapt(1000, 0.0001)
    assert batch.size_bytes == before
    batch.adapt(1000, 4 * TARGET_BLOCK_S)
    assert batch.size_bytes == 250


@given(mb_per_s=st.floats(1, 2000))
def test_jobs_become_as_long_as_they_may_be_however_fast_the_servers_are(mb_per_s: float) -> None:
    """Each costs a fork and a switch, so short ones would take longer than the servers alone."""
    size, carried_bytes = JobSize(0), 0
    for _ in range(6):
        carried_bytes = largest_job(size)
        size.adapt(carried_bytes, carried_bytes / (mb_per_s * MB))
    assert largest_job(size) / (mb_per_s * MB) == pytest.approx(JOB_S, rel=0.02)


@given(limit_mb_per_s=st.floats(0.1, 500), mb_per_s=st.floats(1, 2000))
def test_no_job_carries_more_than_the_limit_gives_in_some_seconds(limit_mb_per_s: float, mb_per_s: float) -> None:
    size = JobSize(limit_mb_per_s * MB)
    for _ in range(6):
        carried_bytes = largest_job(size)
        assert carried_bytes <= limit_mb_per_s * MB * PACED_JOB_S
        size.adapt(carried_bytes, carried_bytes / (mb_per_s * MB))


def largest_job(size: JobSize) -> int:
    """Bytes, to a hundred kB."""
    low, high = 0, 1 << 40
    while high - low > 100_000:
        middle = (low + high) // 2
        low, high = (middle, high) if size.allows(1, middle) else (low, middle)
    return low


@given(amounts=st.lists(st.floats(0.001, 500), max_size=50), pauses=st.lists(st.floats(0, 3), min_size=50, max_size=50))
def test_a_bound_is_never_exceeded_by_more_than_what_was_spent_last(amounts: list[float], pauses: list[float]) -> None:
    clock, spent = Clock(), 0.0
    bound = RateLimit(clock, per_second=100)
    for amount, pause in zip(amounts, pauses, strict=False):
        bound.consume(amount)
        assert spent <= clock.now() * 100 + 1e-6
        spent += amount
        clock.time_s += pause


def test_a_bound_leaves_no_credit_from_quiet_times() -> None:
    clock = Clock()
    bound = RateLimit(clock, per_second=10)
    clock.time_s = 1000
    for _ in range(5):
        bound.consume(10)
    assert clock.now() == pytest.approx(1004)


def test_no_bound_is_no_wait() -> None:
    clock = Clock()
    RateLimit(clock, per_second=0).consume(1e12)
    assert clock.slept == []


def test_progress_says_rate_and_time_left_every_few_seconds_and_at_the_end() -> None:
    clock, said = Clock(), list[str]()
    progress = Progress(clock, said.append, total_slots=100)
    for _ in range(10):
        clock.time_s += REPORT_EVERY_S / 2
        progress.add(slots=5, keys=10, size_bytes=5 << 20, block_s=0.012)
    assert len(said) == 5
    assert said[0] == ("move: 10 of 100 slots, 20 keys, 10 MiB, 2 MiB/s, longest block 12 ms, about 45 s left")
    left = [int(line.split("about ")[1].split()[0]) for line in said]
    assert all(later < earlier for earlier, later in itertools.pairwise(left))
    progress.report_end()
    assert said[-1] == "move: 50 of 100 slots, 100 keys, 50 MiB, 2 MiB/s, longest block 12 ms, in 25.0 s"


def test_progress_does_not_guess_before_a_slot_has_moved() -> None:
    clock, said = Clock(), list[str]()
    progress = Progress(clock, said.append, total_slots=100)
    clock.time_s = REPORT_EVERY_S
    progress.add(keys=1)
    assert "time left not known yet" in said[0]
