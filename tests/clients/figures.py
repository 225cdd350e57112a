"""What the drivers' lines say about a fault. Pure: lines and times in, figures out.

Times are seconds of the wall clock, which all drivers share.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

OUTAGE_S = 0.5
"""A shard that takes no write for longer than this is out; a planned hand-over stays below it."""
UNANSWERED = "unanswered"


@dataclass(frozen=True)
class Request:
    """One request of a driver. `error` is None when it was answered."""

    sent_at: float
    seconds: float
    error: str | None


@dataclass(frozen=True)
class Figures:
    """What one client saw of one phase.

    `last_failed_s` is when its last failing request was sent, in seconds after the end of the outage (negative: before
    it). None = no request failed.
    """

    sent: int
    failed: int
    longest_s: float
    last_failed_s: float | None
    errors: Mapping[str, int]

    @property
    def failed_afterwards(self) -> bool:
        """Whether a request failed that was sent when every shard took writes again."""
        return self.last_failed_s is not None and self.last_failed_s > 0


def requests(lines: Iterable[str], until: float) -> list[Request]:
    """The requests that a driver's output tells of, in the order they were sent. One without an end was still waiting
    `until` the measurement ended. A last line that was cut off is left out."""
    sent: dict[int, float] = {}
    ended: dict[int, tuple[float, str | None]] = {}
    for text in lines:
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            continue
        if "at" in line:
            sent[line["n"]] = line["at"] / 1000
        else:
            ended[line["n"]] = (line["ms"] / 1000, line["error"])
    found = [Request(at, *ended.get(n, (max(0.0, until - at), UNANSWERED))) for n, at in sent.items()]
    return sorted(found, key=lambda request: request.sent_at)


def outage_end(acks: Iterable[Sequence[float]], since: float, until: float) -> float:
    """When the last outage of any shard ended that was under way in this time; `since` if there was none. `acks` has
    the times of acknowledged writes of each shard; one that takes none any more is out `until` the end."""
    end = since
    for times in acks:
        inside = [time for time in times if time <= until]
        for earlier, later in pairwise([*inside, until]):
            if later > since and later - earlier > OUTAGE_S:
                end = max(end, later)
    return end


def figures(found: Sequence[Request], since: float, until: float, over_at: float) -> Figures:
    """Of the requests that were sent from `since` to `until`."""
    inside = [request for request in found if since <= request.sent_at < until]
    failed = [request for request in inside if request.error is not None]
    return Figures(
        len(inside),
        len(failed),
        max((request.seconds for request in inside), default=0.0),
        max(request.sent_at for request in failed) - over_at if failed else None,
        dict(Counter(str(request.error).partition("\n")[0][:100] for request in failed)),
    )
