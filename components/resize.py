"""How slots change owner when the stack is resized, and how long that takes. Pure."""

from dataclasses import dataclass

from components.settings import MoveMode, Settings
from components.sizing import Sizing
from components.units import MIB

_COPY_SECONDS_MAX = 3600
"""A copy that would take longer than an hour is not the default: few want to watch a change for that long."""


@dataclass(frozen=True, slots=True)
class Move:
    """One way of moving all slots, with the prediction of both."""

    mode: MoveMode
    """copy or expire, never auto."""
    bytes_per_second: int
    extra_misses_per_second: int
    copy_seconds: float
    """Moving the working set with its keys at the bounded rate."""
    expire_seconds: float
    """Handing over ownership alone, within the budget of extra misses."""
    expire_extra_misses: int


def derive_move(settings: Settings, sizing: Sizing) -> Move:
    """Mode and duration of a move of everything that is cached, at most what the masters hold."""
    workload, resize = settings.workload, settings.resize
    writes_per_second = workload.requests_per_second * (1 - workload.hit_rate)
    objects = min(writes_per_second * workload.ttl_seconds, sizing.usable_memory_bytes / workload.object_bytes)
    rate = resize.max_mib_per_second * MIB
    copy_seconds = objects * workload.object_bytes / rate
    mode = resize.mode
    if mode is MoveMode.AUTO:
        mode = MoveMode.COPY if copy_seconds <= _COPY_SECONDS_MAX else MoveMode.EXPIRE
    return Move(
        mode=mode,
        bytes_per_second=rate,
        extra_misses_per_second=resize.extra_misses_per_second,
        copy_seconds=copy_seconds,
        expire_seconds=objects / resize.extra_misses_per_second,
        expire_extra_misses=int(objects),
    )
