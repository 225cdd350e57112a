"""Latencies counted by HdrHistogram's method: buckets whose width grows with the value, so that every quantile is
within 1 % however long the tail. Tests compare it with the library `hdrhistogram`, which cannot travel in a ConfigMap:
part of it is compiled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

_HALF = 128
"""Buckets for each doubling; the first `2 * _HALF` values have one each."""


def bucket(value: int) -> int:
    """Number of the bucket of a value that is not negative."""
    shift = max(0, value.bit_length() - _HALF.bit_length())
    return shift * _HALF + (value >> shift)


def upper(number: int) -> int:
    """The largest value of a bucket."""
    shift = max(0, number // _HALF - 1)
    return (((number - shift * _HALF) + 1) << shift) - 1


class Histogram:
    """Durations in microseconds."""

    def __init__(self, counts: Mapping[int, int] | None = None) -> None:
        self.counts: Counter[int] = Counter(counts or {})

    def record(self, microseconds: float) -> None:
        self.counts[bucket(max(0, int(microseconds)))] += 1

    def add(self, other: Histogram) -> None:
        self.counts.update(other.counts)

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    def quantile_ms(self, share: float) -> float | None:
        """Milliseconds that `share` of all took at most; None where nothing was counted."""
        total = self.total
        wanted = max(1, -(-total * share // 1))
        seen = 0
        for number in sorted(self.counts):
            seen += self.counts[number]
            if seen >= wanted:
                return upper(number) / 1000
        return None

    def summary(self) -> dict[str, float | int | None]:
        """What a report says: count, and milliseconds."""
        return {
            "count": self.total,
            "p50_ms": self.quantile_ms(0.5),
            "p95_ms": self.quantile_ms(0.95),
            "p99_ms": self.quantile_ms(0.99),
            "max_ms": self.quantile_ms(1.0),
        }
