"""What is asked for: a process's share of the load, and each of its requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loadgen.connection import command
from loadgen.topology import Node
from loadgen.workload import Sizes

GET, SET = "get", "set"


@dataclass(frozen=True)
class Share:
    """What one process does of a load. `rate` 0: as much as its connections carry."""

    number: int
    rate: float
    hit_rate: float
    images: int
    popularity: str
    sizes: Sizes
    ttl_s: int
    connections: int
    warm_up_s: float
    duration_s: float
    prefix: str
    stop_file: str | None = None
    """The load ends early when this file is there."""
    fill_s: float = 300.0
    """How long writing all images once may take."""


@dataclass
class Request:
    """One request, from when it was due until it has ended. Times are of `time.monotonic()`."""

    operation: str
    image: int
    slot: int
    due: float
    should_hit: bool
    node: Node | None = None
    asking: bool = False
    attempts: int = 0
    redirects: int = 0
    not_before: float = 0.0
    sent_at: float = 0.0


def get_parts(key: bytes) -> Sequence[bytes | memoryview]:
    """The parts of a GET, as they are sent."""
    return [command(b"GET", key)]


def set_parts(key: bytes, payload: memoryview, size: int, ttl_s: int) -> Sequence[bytes | memoryview]:
    """The parts of a SET of so many bytes. The value begins with its key, so that an answer tells whose it is; the rest
    is not copied."""
    head = key + b" "
    rest = payload[: size - len(head)]
    return [
        b"*5\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s" % (len(key), key, len(head) + len(rest), head),
        rest,
        b"\r\n$2\r\nEX\r\n$%d\r\n%d\r\n" % (len(str(ttl_s)), ttl_s),
    ]
