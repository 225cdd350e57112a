"""What the server that an image holds takes of memory beside the values of keys, as measured on one like it.

The figures stand in `servers.csv`. A line that nobody measured has those of the nearest of its engine. Requests take of
the core what they take on every other server, within a sixth (docs/engines-measured.md).
"""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from components.config.engines import Engine, Line

SLOT_COUNT = 16_384
"""Of every Redis Cluster."""


@dataclass(frozen=True, slots=True)
class ServerFigures:
    """Of one server."""

    measured_on: str
    """Redis 8.2.3: the release that was measured."""
    key_bytes: int
    """Memory of a key beside its value: entry, name of some 40 bytes, and expiry."""
    slot_bytes: int
    """Memory of a slot that has keys, beside them. Redis 8 keeps statistics of each slot's keys."""

    @property
    def slots_bytes(self) -> int:
        """Memory of all slots of a cluster, beside their keys."""
        return SLOT_COUNT * self.slot_bytes


@dataclass(frozen=True, slots=True)
class ServerPlan:
    """What the pods run, and what another server would change."""

    title: str
    """Redis 7.4."""
    license: str
    slot_move: str
    """How slots move between servers of this line."""
    figures: ServerFigures


def server_plan(line: Line) -> ServerPlan:
    """What the plan says of a server."""
    return ServerPlan(line.title, line.license, line.slot_move, server_figures(line))


def server_figures(line: Line) -> ServerFigures:
    """Those of the newest measured release of the same first number that is not newer; else of the nearest."""
    measured = _measured()[line.engine]
    same_major = [version for version in measured if version[0] == line.major] or list(measured)
    wanted = (line.major, line.minor)
    not_newer = [version for version in same_major if version <= wanted]
    return measured[max(not_newer) if not_newer else min(same_major)]


@cache
def _measured() -> dict[Engine, dict[tuple[int, int], ServerFigures]]:
    found: dict[Engine, dict[tuple[int, int], ServerFigures]] = {engine: {} for engine in Engine}
    with (Path(__file__).parent / "servers.csv").open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(line for line in lines if not line.startswith("#")):
            name, _, release = row["server"].partition(" ")
            engine = Engine(name)
            major, minor, _ = map(int, release.split("."))
            found[engine][major, minor] = ServerFigures(
                measured_on=f"{engine.proper_name} {release}",
                key_bytes=int(row["key_bytes"]),
                slot_bytes=int(row["slot_bytes"]),
            )
    return found
