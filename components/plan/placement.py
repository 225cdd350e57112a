"""Which zone each pod lives in. It is decided here, because a volume ties its pod to a zone for life.

Left to the scheduler, a pod can find no place: of three shards in three zones, replicas 0 and 1 may take each other's
master's zone, and replica 2 then has only its own master's zone left. Zones in a ring have a place for every pod.
"""

from collections import Counter


def zone_of(copy: int, ordinal: int, zones: tuple[str, ...]) -> str:
    """Zone of pod number `copy` of shard `ordinal`, where copy 0 is the initial master: each one zone further on.

    The copies of a shard have different zones wherever there are as many zones as copies. Of every role, zones differ
    by one pod at most.
    """
    return zones[(ordinal + copy) % len(zones)]


def pods_per_zone(copies: int, shards: int, zones: tuple[str, ...]) -> dict[str, Counter[int]]:
    """Zone -> {copy: pods}, for every zone."""
    counts: dict[str, Counter[int]] = {zone: Counter() for zone in zones}
    for copy in range(copies):
        for ordinal in range(shards):
            counts[zone_of(copy, ordinal, zones)][copy] += 1
    return counts
