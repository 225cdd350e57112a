"""What a load's report says about a fault. Pure: reports and times in, figures out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any


@dataclass(frozen=True)
class Gap:
    """The longest time without an acknowledged write. `ended` is False when none came any more."""

    seconds: float
    ended: bool = True

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s" if self.ended else f"none in {self.seconds:.0f} s"


Span = tuple[float, float]
"""(from, to), in seconds of CLOCK_MONOTONIC."""


def longest_gap(acks: Sequence[float], since: float, until: float, stalls: Sequence[Span] = ()) -> Gap:
    """The longest time between two acknowledgements that ends after `since`; or from the last one to `until`.

    A gap that is still open at `until` counts as not ended if it is longer than all others. While the load generator
    itself stood still (`stalls`) it could not have seen a write, so that time is not counted.
    """

    def seconds(begin: float, end: float) -> float:
        return end - begin - sum(max(0.0, min(end, to) - max(begin, start)) for start, to in stalls)

    inside = [ack for ack in acks if ack <= until]
    gaps = [Gap(seconds(earlier, later)) for earlier, later in pairwise(inside) if later > since]
    gaps.append(Gap(seconds(inside[-1] if inside else since, until), ended=False))
    longest = max(gaps, key=lambda gap: gap.seconds)
    # The load is stopped between two requests: that last moment is no outage.
    return longest if longest.ended or longest.seconds > 1.0 else Gap(longest.seconds)


@dataclass(frozen=True)
class Shard:
    """One shard's share of a measured fault."""

    requests: int
    failed: Mapping[str, int]
    """Type of error -> requests that ended with it, after the client's own retries."""
    misses: int
    """Reads that did not find a key acknowledged before the load began."""
    write_gap: Gap
    """Without a write the prober got through."""
    client_gap: Gap
    """Without any request of the ordinary client succeeding."""
    lost_keys: int
    """Acknowledged keys that are gone at the end, or hold something that was never written."""
    lost_updates_before: int
    """Keys whose value at the end is older than one acknowledged before the fault."""
    lost_updates_after: int
    """Keys whose value at the end is older than one acknowledged since the fault began."""
    last_lost_ack_s: float | None
    """When the last acknowledgement came that did not hold, in seconds since the fault."""
    unreadable: int
    keys: int
    longest_seconds: float = 0.0
    """Of a request, whatever came of it."""
    sent_again: int = 0
    """Requests that were led to a node which the client had not heard of, and were sent once more."""


@dataclass(frozen=True)
class Measurement:
    """A fault under load, over all shards."""

    shards: tuple[Shard, ...]
    tracebacks: tuple[str, ...] = ()

    @property
    def requests(self) -> int:
        return sum(shard.requests for shard in self.shards)

    @property
    def failed(self) -> int:
        return sum(sum(shard.failed.values()) for shard in self.shards)

    @property
    def errors(self) -> dict[str, int]:
        return dict(sum((Counter(shard.failed) for shard in self.shards), Counter()))

    @property
    def keys(self) -> int:
        return sum(shard.keys for shard in self.shards)

    @property
    def lost_keys(self) -> int:
        return sum(shard.lost_keys for shard in self.shards)

    @property
    def lost_updates_before(self) -> int:
        return sum(shard.lost_updates_before for shard in self.shards)

    @property
    def lost_updates_after(self) -> int:
        return sum(shard.lost_updates_after for shard in self.shards)

    @property
    def unreadable(self) -> int:
        return sum(shard.unreadable for shard in self.shards)

    @property
    def sent_again(self) -> int:
        return sum(shard.sent_again for shard in self.shards)

    @property
    def longest_seconds(self) -> float:
        return max(shard.longest_seconds for shard in self.shards)

    @property
    def write_gap(self) -> Gap:
        return _worst(shard.write_gap for shard in self.shards)

    @property
    def client_gap(self) -> Gap:
        return _worst(shard.client_gap for shard in self.shards)


def _worst(gaps: Iterable[Gap]) -> Gap:
    return max(gaps, key=lambda gap: (not gap.ended, gap.seconds))


def measure(report: Mapping[str, Any], fault_at: float) -> Measurement:
    """`fault_at` is CLOCK_MONOTONIC just before the fault was caused."""
    return Measurement(
        tuple(_shard(shard, fault_at, report["ended"], report["stalls"]) for shard in report["shards"]),
        tuple(text for shard in report["shards"] for text in shard["tracebacks"]),
    )


def _shard(shard: Mapping[str, Any], fault_at: float, ended: float, stalls: Sequence[Span]) -> Shard:
    requests = [tuple(request) for request in shard["requests"]]
    outcomes = Counter(outcome for *_, outcome in requests)
    lost = before = after = 0
    lost_acks: list[float] = []
    for key, acknowledged in shard["acknowledged"].items():
        if key in shard["unreadable"]:
            continue
        found = shard["found"].get(key)
        if found is None or found > shard["tried"][key]:
            lost += 1
            continue
        # Versions above the last acknowledged one were in doubt: either outcome is right.
        missing = [at for version, at in acknowledged if version > found]
        lost_acks += missing
        before += any(at < fault_at for at in missing)
        after += any(at >= fault_at for at in missing)
    return Shard(
        requests=len(requests),
        failed={kind: count for kind, count in outcomes.items() if kind not in ("ok", "miss")},
        misses=outcomes["miss"],
        write_gap=longest_gap(shard["acks"], fault_at, ended, stalls),
        client_gap=longest_gap(
            [end for _, end, _, outcome in requests if outcome in ("ok", "miss")], fault_at, ended, stalls
        ),
        lost_keys=lost,
        lost_updates_before=before,
        lost_updates_after=after,
        last_lost_ack_s=max(lost_acks) - fault_at if lost_acks else None,
        unreadable=len(shard["unreadable"]),
        keys=len(shard["acknowledged"]),
        longest_seconds=max((end - begin for begin, end, *_ in requests), default=0.0),
        sent_again=shard["sent_again"],
    )
