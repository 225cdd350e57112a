"""What requests take of Redis's one core, by the size of the image.

The measured points stand in `core_costs.csv`; `make calibrate` measures them anew. Between two points the time
follows a power of the size, which is a straight line where both are drawn by their logarithms. Below the first point
nothing gets cheaper, since the work for each request remains; beyond the last the time grows as the size does.
"""

import csv
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from math import log
from pathlib import Path

from components.config.settings import Workload


@dataclass(frozen=True, slots=True)
class CoreUse:
    """What a workload's requests take of one core."""

    get_seconds: float
    set_seconds: float
    """Replication included."""
    mean_seconds: float
    """Of all requests: a hit is a GET, a miss is a GET that finds nothing and a SET."""
    effective_seconds: float
    """Mean of the squares over the mean. Requests that take unequally long wait as if all took so long."""


@cache
def _points(column: str) -> tuple[tuple[int, float], ...]:
    with (Path(__file__).parent / "core_costs.csv").open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(line for line in file if not line.startswith("#"))
        return tuple((int(row["object_bytes"]), int(row[column]) / 10**6) for row in rows)


def get_seconds(object_bytes: int) -> float:
    """Core time of one GET that finds an image of that size."""
    return _between(_points("get_us"), object_bytes)


def set_seconds(object_bytes: int, replicas: int) -> float:
    """Core time of one SET and of sending it to `replicas` (0 to 3)."""
    return _between(_points(f"set_{replicas}_us"), object_bytes)


def core_use(workload: Workload, replicas: int) -> CoreUse:
    """Core times of the workload's requests."""
    hit = get_seconds(workload.object_bytes)
    write = set_seconds(workload.object_bytes, replicas)
    miss = get_seconds(0) + write
    share = 1 - workload.hit_rate
    mean = (1 - share) * hit + share * miss
    return CoreUse(
        get_seconds=hit,
        set_seconds=write,
        mean_seconds=mean,
        effective_seconds=((1 - share) * hit**2 + share * miss**2) / mean,
    )


def _between(points: tuple[tuple[int, float], ...], size: int) -> float:
    first, last = points[0], points[-1]
    if size <= first[0]:
        return first[1]
    if size >= last[0]:
        return last[1] * size / last[0]
    (low, low_seconds), (high, high_seconds) = next(pair for pair in pairwise(points) if size <= pair[1][0])
    exponent = log(high_seconds / low_seconds) / log(high / low)
    seconds: float = low_seconds * (size / low) ** exponent
    return seconds
