"""What requests take of Redis's one core, by the size of the image, without TLS and with it.

The measured points stand in `core_costs.csv`; `make calibrate` measures them anew. Of TLS a ratio was measured,
`core_costs_tls.csv`: absolute times are those of a machine. Between two points the time
follows a power of the size, which is a straight line where both are drawn by their logarithms. Below the first point
nothing gets cheaper, since the work for each request remains; beyond the last the time grows as the size does.

What is sent in bulk, a full resync and MIGRATE, has a rate for each of the two.
"""

import csv
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from math import log
from pathlib import Path

from components.config.settings import Workload

_IMAGE_BYTES = 1_000_000
_RESYNC_GETS = 2.0
_RESYNC_TLS_TIMES = 1.45
"""What a full resync takes of the master's core for each megabyte, in GETs of 1 MB without TLS, and how many times as
long with TLS: a child process writes the data into a pipe, and the main thread reads it there, encrypts it with TLS,
and sends it. Both measured in turn (docs/reference/redis.md, "TLS")."""
_MIGRATE_BYTES_PER_SECOND = 400_000_000
"""What the whole core sends by MIGRATE: serialising, a checksum over it, the socket. Measured by processor time with
1 MB values: 450 MB for a second of the source's core, 770 MB for one of the target's (Redis 7.0.15,
tests/resize/bench.py shows the whole)."""
_NATIVE_BYTES_PER_SECOND = 450_000_000
"""What the whole core of a target takes where servers move slots themselves; a child of the source sends it. Measured
by processor time with 1 MB values, beside other work: 470 MB for a second of the core on Redis 8.6.2 and 460 on Valkey
9.1.2 (docs/engines-measured.md). Without other work it was 750 and 880."""
_MIGRATE_SHARE_MIN = 0.1
"""Of the core. What it really gets where requests would take all of it was not measured."""
_MIGRATE_TLS_TIMES = 1.25
"""How many times as long MIGRATE takes the source's core with TLS (docs/reference/redis.md, "TLS")."""


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
def _column(file: str, column: str) -> tuple[tuple[int, float], ...]:
    with (Path(__file__).parent / file).open(encoding="utf-8", newline="") as lines:
        rows = csv.DictReader(line for line in lines if not line.startswith("#"))
        return tuple((int(row["object_bytes"]), float(row[column])) for row in rows)


def _points(request: str) -> tuple[tuple[int, float], ...]:
    return tuple((size, microseconds / 10**6) for size, microseconds in _column("core_costs.csv", f"{request}_us"))


def get_seconds(object_bytes: int, tls: bool) -> float:
    """Core time of one GET that finds an image of that size."""
    return _seconds("get", object_bytes, tls)


def set_seconds(object_bytes: int, replicas: int, tls: bool) -> float:
    """Core time of one SET and of sending it to `replicas` (0 to 3)."""
    return _seconds(f"set_{replicas}", object_bytes, tls)


def _seconds(request: str, object_bytes: int, tls: bool) -> float:
    return _between(_points(request), object_bytes) * (tls_times(request, object_bytes) if tls else 1)


def tls_times(request: str, object_bytes: int) -> float:
    """How many times as long a request (`get`, `set_0` to `set_3`) takes with TLS as without. Beyond the measured sizes
    it is that of the nearest."""
    points = _column("core_costs_tls.csv", f"{request}_times")
    return _between(points, min(object_bytes, points[-1][0]))


def core_use(workload: Workload, replicas: int, tls: bool) -> CoreUse:
    """Core times of the workload's requests. With `tls`, clients and replicas are sent everything encrypted."""
    hit = get_seconds(workload.object_bytes, tls)
    write = set_seconds(workload.object_bytes, replicas, tls)
    return mixed_use(workload.hit_rate, hit, get_seconds(0, tls), write)


def resync_bytes_per_second(core_share: float, tls: bool) -> float:
    """What a full resync gets of a core whose requests take such a share of it."""
    seconds = _RESYNC_GETS * get_seconds(_IMAGE_BYTES, tls=False) * (_RESYNC_TLS_TIMES if tls else 1)
    return max(0.0, 1 - core_share) * _IMAGE_BYTES / seconds


def migrate_bytes_per_second(core_share: float, tls: bool) -> float:
    """What MIGRATE sends from a core whose requests take such a share of it. Requests that would take all of it wait
    longer instead, and MIGRATE has its turns among them."""
    return max(_MIGRATE_SHARE_MIN, 1 - core_share) * _MIGRATE_BYTES_PER_SECOND / (_MIGRATE_TLS_TIMES if tls else 1)


def native_bytes_per_second(core_share: float, tls: bool) -> float:
    """What servers move themselves between cores whose requests take such a share of them. What TLS takes of it was not
    measured; it is counted as for MIGRATE."""
    return max(_MIGRATE_SHARE_MIN, 1 - core_share) * _NATIVE_BYTES_PER_SECOND / (_MIGRATE_TLS_TIMES if tls else 1)


def mixed_use(hit_rate: float, hit: float, nothing_found: float, write: float) -> CoreUse:
    """Of requests that take so many seconds of the core: a GET that finds an image or that finds nothing, and a SET."""
    miss = nothing_found + write
    share = 1 - hit_rate
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
