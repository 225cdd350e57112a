"""Which zone each pod lives in: decided here, not by chance, because a volume ties its pod to a zone for life.

Left to the scheduler alone, hard rules can lock: of three shards in three zones, replicas 0 and 1 may take
each other's master's zone, and replica 2 then has only its own master's zone left. A ring has no such end.
"""

from collections import Counter


def zone_of(copy: int, ordinal: int, zones: tuple[str, ...]) -> str:
    """Zone of the n-th copy (0 = initial master) of shard `ordinal`: a ring, each copy one zone further on.

    Copies of a shard have different zones wherever there are as many zones as copies; every role differs by at
    most one pod between zones.
    """
    return zones[(ordinal + copy) % len(zones)]


def pods_per_zone(copies: int, shards: int, zones: tuple[str, ...]) -> dict[str, Counter[int]]:
    """Zone -> {copy: pods}, for every zone."""
    counts: dict[str, Counter[int]] = {zone: Counter() for zone in zones}
    for copy in range(copies):
        for ordinal in range(shards):
            counts[zone_of(copy, ordinal, zones)][copy] += 1
    return counts
