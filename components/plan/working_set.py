"""How much memory the images take: what the workload keeps alive against what the masters hold.

Redis's allocator (jemalloc) hands out size classes, four to a doubling, so an image costs its class and not its
size: one byte too many at 1 MiB costs a quarter more (measured: docs/reference/redis.md, "Memory of a value"). A key's
own entry comes on top, and on some servers what each slot takes (`servers.csv`): little beside images of 1 MB, and much
beside thumbnails.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, floor

from components.config.settings import Workload
from components.plan.servers import ServerFigures
from components.plan.sizing import Sizing
from components.plan.traffic import misses_per_second

DOCUMENT_HIT_RATES = (0.0, 0.8, 0.95)
"""The sizing document's three scenarios: every request a write, the usual image cache, a good one."""
EXPIRED_SHARE = 0.02
"""Of the images that are alive: what has expired and is not collected yet, with `active-expire-effort 10` (measured:
docs/reference/redis.md, "Expiry")."""
_SMALL_QUANTUM = 16
_SMALL_MAX = 128


@dataclass(frozen=True, slots=True)
class Scenario:
    """What one hit rate keeps in memory."""

    hit_rate: float
    writes_per_second: float
    images: int
    size_bytes: int
    memory_percent: float
    """Of the memory of all masters."""
    fits: bool


@dataclass(frozen=True, slots=True)
class WorkingSet:
    """The stack's own working set, its limits, and what would help if it does not fit."""

    size_class_bytes: int
    """Memory one image takes."""
    key_bytes: int
    """Memory its key takes beside it."""
    slots_bytes: int
    """Memory of all slots, beside their keys."""
    memory_bytes: int
    """maxmemory of all masters."""
    room_bytes: int
    """What of it images and their keys may take: the replication backlog and the slots count into maxmemory too."""
    own: Scenario
    scenarios: tuple[Scenario, ...]
    break_even_hit_rate: float
    """Below this hit rate the working set exceeds the memory of all masters."""
    break_even_hit_rate_beside_backlog: float
    """The same for `room_bytes`."""
    seconds_to_eviction: int | None
    """After a cold start, until the first image is evicted before its time; None: never."""
    needed_total_memory_bytes: int
    """The least number of pods that holds the working set, as totalMemory."""
    needed_ttl_seconds: int
    """The longest TTL whose working set fits."""

    @property
    def image_bytes(self) -> int:
        """Memory one image takes with its key."""
        return self.size_class_bytes + self.key_bytes


def size_class_bytes(object_bytes: int) -> int:
    """Memory of one string value: its bytes, Redis's header and end mark, rounded up to the allocator's class."""
    needed = object_bytes + _header_bytes(object_bytes) + 1
    if needed <= _SMALL_MAX:
        return ceil(needed / _SMALL_QUANTUM) * _SMALL_QUANTUM
    spacing: int = 1 << ((needed - 1).bit_length() - 3)
    return ceil(needed / spacing) * spacing


def images_bytes(workload: Workload, hit_rate: float, server: ServerFigures) -> int:
    """Memory of all images that are alive at a time, and of those that have expired and are not collected yet."""
    return ceil(round(_alive(workload, hit_rate) * image_bytes(workload.object_bytes, server) * (1 + EXPIRED_SHARE), 3))


def image_bytes(object_bytes: int, server: ServerFigures) -> int:
    """Memory of one image with its key."""
    return size_class_bytes(object_bytes) + server.key_bytes


def _alive(workload: Workload, hit_rate: float) -> int:
    return ceil(round(misses_per_second(workload, hit_rate) * workload.ttl_seconds, 6))


def derive_working_set(workload: Workload, sizing: Sizing, backlog_bytes: int, server: ServerFigures) -> WorkingSet:
    """The working set of a stack whose masters keep `backlog_bytes` of replication backlog each."""
    room_per_master = sizing.pod_memory_bytes - backlog_bytes
    room = max(0, sizing.masters * room_per_master - server.slots_bytes)
    own = _scenario(workload, workload.hit_rate, sizing.usable_memory_bytes, room, server)
    fill_bytes_per_second = own.writes_per_second * image_bytes(workload.object_bytes, server) * (1 + EXPIRED_SHARE)
    return WorkingSet(
        size_class_bytes=size_class_bytes(workload.object_bytes),
        key_bytes=server.key_bytes,
        slots_bytes=server.slots_bytes,
        memory_bytes=sizing.usable_memory_bytes,
        room_bytes=room,
        own=own,
        scenarios=tuple(
            _scenario(workload, hit_rate, sizing.usable_memory_bytes, room, server) for hit_rate in DOCUMENT_HIT_RATES
        ),
        break_even_hit_rate=_break_even(workload, sizing.usable_memory_bytes, server),
        break_even_hit_rate_beside_backlog=_break_even(workload, room, server),
        seconds_to_eviction=None if own.fits else floor(room / fill_bytes_per_second),
        needed_total_memory_bytes=ceil((own.size_bytes + server.slots_bytes) / room_per_master)
        * sizing.pod_memory_bytes,
        needed_ttl_seconds=workload.ttl_seconds if own.fits else _longest_ttl_seconds(workload, room, server),
    )


def _longest_ttl_seconds(workload: Workload, room_bytes: int, server: ServerFigures) -> int:
    # Images count whole: where one is written every ten seconds, ten seconds more are one image too many.
    images = floor(room_bytes / (image_bytes(workload.object_bytes, server) * (1 + EXPIRED_SHARE)))
    return floor(round(images / misses_per_second(workload), 6))


def memory_over_time(working_set: WorkingSet, ttl_seconds: int, until_seconds: int) -> Iterator[tuple[int, int]]:
    """(seconds after a cold start, bytes held), at every corner of the line: it rises, then expiry equals writes."""
    fill = working_set.own.size_bytes / ttl_seconds
    full_after = min(ttl_seconds, working_set.room_bytes / fill) if fill else ttl_seconds
    yield 0, 0
    yield round(full_after), min(working_set.own.size_bytes, working_set.room_bytes)
    yield until_seconds, min(working_set.own.size_bytes, working_set.room_bytes)


def _scenario(
    workload: Workload, hit_rate: float, memory_bytes: int, room_bytes: int, server: ServerFigures
) -> Scenario:
    size = images_bytes(workload, hit_rate, server)
    return Scenario(
        hit_rate=hit_rate,
        writes_per_second=misses_per_second(workload, hit_rate),
        images=_alive(workload, hit_rate),
        size_bytes=size,
        memory_percent=100 * size / memory_bytes,
        fits=size <= room_bytes,
    )


def _break_even(workload: Workload, memory_bytes: int, server: ServerFigures) -> float:
    all_written = workload.requests_per_second * workload.ttl_seconds * image_bytes(workload.object_bytes, server)
    return max(0.0, 1 - memory_bytes / (all_written * (1 + EXPIRED_SHARE)))


def _header_bytes(length: int) -> int:
    """Redis's string header (sds.h): length and capacity in as many bytes as the length needs, and a flag."""
    if length < 1 << 8:
        return 3
    return 5 if length < 1 << 16 else 9
