"""The plan that would do, given what was measured; and what more masters of the same size come to."""

from dataclasses import dataclass
from math import ceil

from components.config_errors import MASTERS_MIN
from components.figures import Figures, derive_figures
from components.nodes import NodesRefused
from components.settings import Settings
from components.sizing import derive_sizing
from components.working_set import images_bytes

MEMORY_TARGET = 0.8
"""Upper end of the sizing document's target for memory usage (60-80 %)."""
MEMORY_ALERT = 0.9
"""Above this use the document raises an alert: "add instances or reduce TTL"."""
SCALE_OUT_STEPS = (1.0, 1.5, 2.0)
"""16, 24 and 32 masters in the document's case."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What `INFO` showed: memory in use of all masters together, hits over hits and misses; either may be missing."""

    memory_bytes: int | None = None
    hit_rate: float | None = None


@dataclass(frozen=True, slots=True)
class RightSize:
    """Masters of the stack's pod size that would hold what was measured."""

    in_use_bytes: int
    """Measured, or the working set of the measured hit rate."""
    masters_now: int
    masters_least: int
    """Hold it to the last byte, as the document counts ("500 GB: 8 masters")."""
    least_use_percent: float
    masters_wanted: int
    """Hold it at the document's own target of 80 %."""
    wanted_use_percent: float
    total_memory_bytes: int
    """`totalMemory` to write into the config."""
    pods_saved_percent: float
    infrastructure_usd_now: float | None
    infrastructure_usd_wanted: float | None


@dataclass(frozen=True, slots=True)
class ScaleOutStep:
    """The stack with more masters of the same size."""

    masters: int
    pods: int
    total_memory_bytes: int
    break_even_hit_rate: float
    ops_total_min: float
    ops_total_max: float
    egress_gbps_per_master: float
    blast_radius_percent: float
    nodes_total: int | None
    infrastructure_usd: float | None


def right_size(settings: Settings, measured: Measured, now: Figures) -> RightSize:
    """What the measured memory or, without it, the measured hit rate needs.

    Raises ValueError when nothing was measured or a figure is out of its range.
    """
    in_use = _in_use_bytes(settings, measured)
    rate = measured.hit_rate if measured.hit_rate is not None else settings.workload.hit_rate
    measured_settings = settings.model_copy(
        update={"workload": settings.workload.model_copy(update={"hit_rate": rate})}
    )
    pod = settings.pod_memory
    least = max(MASTERS_MIN, ceil(in_use / pod))
    wanted = max(MASTERS_MIN, ceil(in_use / (pod * MEMORY_TARGET)))
    then = _with_masters(measured_settings, wanted)
    pods_now = now.sizing.pods
    return RightSize(
        in_use_bytes=in_use,
        masters_now=now.sizing.masters,
        masters_least=least,
        least_use_percent=100 * in_use / (least * pod),
        masters_wanted=wanted,
        wanted_use_percent=100 * in_use / (wanted * pod),
        total_memory_bytes=wanted * pod,
        pods_saved_percent=100 * (pods_now - then.sizing.pods) / pods_now,
        infrastructure_usd_now=now.money.infrastructure_usd if now.money else None,
        infrastructure_usd_wanted=then.money.infrastructure_usd if then.money else None,
    )


def scale_out(settings: Settings) -> tuple[ScaleOutStep, ...]:
    """The stack as it is, half as large again, and twice as large."""
    masters = derive_sizing(settings).masters
    return tuple(_step(settings, ceil(masters * factor)) for factor in SCALE_OUT_STEPS)


def _step(settings: Settings, masters: int) -> ScaleOutStep:
    figures = _with_masters(settings, masters)
    _, at_25, at_40 = figures.capacity_by_interface
    return ScaleOutStep(
        masters=masters,
        pods=figures.sizing.pods,
        total_memory_bytes=figures.sizing.usable_memory_bytes,
        break_even_hit_rate=figures.working_set.break_even_hit_rate,
        ops_total_min=at_25.ops_total,
        ops_total_max=at_40.ops_total,
        egress_gbps_per_master=figures.traffic.egress_gbps_per_master,
        blast_radius_percent=figures.sizing.blast_radius_percent,
        nodes_total=figures.nodes.nodes_total if figures.nodes else None,
        infrastructure_usd=figures.money.infrastructure_usd if figures.money else None,
    )


def _with_masters(settings: Settings, masters: int) -> Figures:
    """Figures of as many masters; those of nodes stay None where none hold."""
    other = settings.model_copy(update={"total_memory": masters * settings.pod_memory})
    try:
        return derive_figures(other)
    except NodesRefused:
        return derive_figures(other.model_copy(update={"eks": None}))


def _in_use_bytes(settings: Settings, measured: Measured) -> int:
    if measured.memory_bytes is not None:
        if measured.memory_bytes <= 0:
            raise ValueError(f"measured memory is {measured.memory_bytes} bytes; it must be more than 0")
        return measured.memory_bytes
    if measured.hit_rate is None:
        raise ValueError("nothing was measured: give the memory in use of all masters, or the hit rate")
    if not 0 <= measured.hit_rate <= 1:
        raise ValueError(f"measured hit rate is {measured.hit_rate}; it must be from 0 to 1")
    return images_bytes(settings.workload, measured.hit_rate)
