"""Sets of hash slots as integers: bit *s* is set when slot *s* is in the set.

Python's integers are immutable, hashable and do union, difference and counting on all 16,384 slots in under a
microsecond, which is what comparing every node's report with every other's needs.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

SLOT_COUNT = 16384
"""Fixed by the Redis Cluster specification."""

NO_SLOTS = 0
ALL_SLOTS = (1 << SLOT_COUNT) - 1


def slot_range(first: int, last: int) -> int:
    """The set of slots from `first` to `last`, both included."""
    return ((1 << (last - first + 1)) - 1) << first


def slot_set(slots: Iterable[int]) -> int:
    result = NO_SLOTS
    for slot in slots:
        result |= 1 << slot
    return result


def ranges(slots: int) -> Iterator[tuple[int, int]]:
    """Maximal contiguous ranges (first, last), both included, in ascending order."""
    offset = 0
    while slots:
        gap = (slots & -slots).bit_length() - 1
        slots >>= gap
        offset += gap
        length = ((slots + 1) & ~slots).bit_length() - 1
        yield offset, offset + length - 1
        slots >>= length
        offset += length


def members(slots: int) -> Iterator[int]:
    for first, last in ranges(slots):
        yield from range(first, last + 1)


def count(slots: int) -> int:
    return slots.bit_count()


def take(slots: int, wanted: int) -> int:
    """The lowest `wanted` slots of the set (all of it when it holds fewer)."""
    taken = NO_SLOTS
    for first, last in ranges(slots):
        if wanted <= 0:
            break
        length = min(wanted, last - first + 1)
        taken |= slot_range(first, first + length - 1)
        wanted -= length
    return taken


def even_split(shards: int) -> list[int]:
    """Slots per shard: contiguous, sizes differing by at most one, cut where redis-cli cuts them."""
    bounds = [(2 * SLOT_COUNT * index + shards) // (2 * shards) for index in range(shards + 1)]
    return [slot_range(first, following - 1) for first, following in itertools.pairwise(bounds)]


def describe(slots: int, most: int = 4) -> str:
    """For people: `5461 slots (0-5460)`; long lists are cut after `most` ranges."""
    parts = [str(first) if first == last else f"{first}-{last}" for first, last in ranges(slots)]
    shown = ",".join(parts[:most]) + (",…" if len(parts) > most else "")
    number = count(slots)
    return "no slots" if not number else f"{number} slot{'s' if number > 1 else ''} ({shown})"
