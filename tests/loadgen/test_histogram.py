"""Latencies are counted as HdrHistogram counts them."""

from __future__ import annotations

from math import ceil

from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from loadgen.histogram import Histogram, bucket, upper

DURATIONS = st.lists(st.integers(0, 60_000_000), min_size=1, max_size=300)


@given(st.integers(0, 10**10))
def test_a_value_lies_in_its_bucket_which_is_less_than_a_hundredth_wide(value: int) -> None:
    number = bucket(value)
    assert value <= upper(number) <= value * 1.01 + 1
    assert number == 0 or upper(number - 1) < value


@given(DURATIONS, st.sampled_from([0.5, 0.95, 0.99, 1.0]))
def test_every_quantile_is_that_of_hdrhistogram(durations: list[int], share: float) -> None:
    ours, theirs = Histogram(), HdrHistogram(1, 10**9, 3)
    for value in durations:
        ours.record(value)
        theirs.record_value(max(1, value))
    found = ours.quantile_ms(share)
    assert found is not None
    # Theirs rounds the rank, and ours never takes a lower one.
    expected = theirs.get_value_at_percentile(100 * ceil(share * len(durations)) / len(durations))
    assert abs(found * 1000 - expected) <= 0.012 * expected + 2


@given(DURATIONS, DURATIONS)
def test_what_two_processes_counted_is_what_one_would_have(first: list[int], second: list[int]) -> None:
    one, other, both = Histogram(), Histogram(), Histogram()
    for into, values in ((one, first), (other, second), (both, first + second)):
        for value in values:
            into.record(value)
    one.add(other)
    assert one.summary() == both.summary()


def test_nothing_has_no_quantile() -> None:
    assert Histogram().summary() == {"count": 0, "p50_ms": None, "p95_ms": None, "p99_ms": None, "max_ms": None}
