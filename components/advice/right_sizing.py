"""The number of masters that suffices for what was measured, and what more masters of the same size cost.

Fewer masters are not always cheaper: each then sends more, and fewer fit on a node. So the number of masters is
searched for, not computed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from components.advice.figures import Figures, derive_figures
from components.config.formats import percent
from components.config.rules import MASTERS_MAX, MASTERS_MIN, REPLICAS_MAX
from components.config.settings import Settings
from components.config.units import format_size
from components.plan.refusal import Refused
from components.plan.servers import server_figures
from components.plan.sizing import derive_sizing
from components.plan.working_set import images_bytes

MEMORY_TARGET = 0.8
"""Upper end of the sizing document's target for memory usage (60-80 %)."""
SCALE_OUT_FACTORS = (1.0, 1.5, 2.0)
"""16, 24 and 32 masters in the document's case."""
_SEARCHED_MASTERS = 12
_NEIGHBOURS = 3
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Measured:
    """What `INFO` showed: memory in use of all masters together, hits over hits and misses; either may be missing."""

    memory_bytes: int | None = None
    hit_rate: float | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """The stack with another number of masters or replicas. Without `eks` it has no price."""

    masters: int
    pods: int
    total_memory_bytes: int
    """`totalMemory` to write into the config."""
    break_even_hit_rate: float
    ops_total_by_interface: tuple[float, ...]
    """Requests a second with the document's 10, 25 and 40 Gbps for each pod."""
    egress_gbps_per_master: float
    blast_radius_percent: float
    headroom: float
    """What it serves on its nodes over what is wanted; without nodes, with the network that is assumed for a pod."""
    instance_type: str | None
    nodes_total: int | None
    infrastructure_usd: float | None
    refusal: str | None
    """Why there is no plan of that size; None where there is one."""

    def serves(self, wanted: float = 1.0) -> bool:
        """Whether there is a plan of that size, which serves so many times what is wanted. Where TLS takes more of the
        core than there is, a planned stack serves less (ADR 32)."""
        return self.refusal is None and self.headroom >= min(1.0, wanted) - _ROUNDING


@dataclass(frozen=True, slots=True)
class RightSize:
    """Numbers of masters for `in_use_bytes`."""

    in_use_bytes: int
    """Measured, or the working set of the measured hit rate."""
    now: Step
    least: Step
    """Room for it to the last byte, as the sizing document counts ("500 GB: 8 masters")."""
    wanted: Step
    """Room for it at the sizing document's own target, 80 % in use."""
    recommended: Step
    """The cheapest with room for it at that target that serves what is wanted. Where no size that was tried does, nor
    does this one."""
    hit_rate: float | None
    """What all but `now` count with, where it is another one than the config has: they suffice only with it."""

    def use_percent(self, step: Step) -> float:
        """How full the masters of a step would be."""
        return 100 * self.in_use_bytes / step.total_memory_bytes


def right_size(settings: Settings, measured: Measured) -> RightSize:
    """What the measured memory needs or, where no memory was measured, the measured hit rate.

    Raises ValueError when nothing was measured, a figure is out of its range, or no cluster is that large.
    """
    in_use = _in_use_bytes(settings, measured)
    rate = settings.workload.hit_rate if measured.hit_rate is None else measured.hit_rate
    then = settings.model_copy(update={"workload": settings.workload.model_copy(update={"hit_rate": rate})})
    least = max(MASTERS_MIN, ceil(in_use / settings.pod_memory))
    wanted = max(MASTERS_MIN, ceil(in_use / (settings.pod_memory * MEMORY_TARGET)))
    if wanted > MASTERS_MAX:
        raise ValueError(
            f"{format_size(in_use)} at {percent(100 * MEMORY_TARGET)} in use needs {wanted:,} masters of this "
            f"podMemory, and a Redis Cluster carries at most {MASTERS_MAX}"
        )
    found = [_step(then, masters) for masters in range(wanted, min(wanted + _SEARCHED_MASTERS, MASTERS_MAX + 1))]
    planned = [step for step in found if step.serves()] or [step for step in found if step.refusal is None]
    return RightSize(
        in_use_bytes=in_use,
        now=_step(settings, derive_sizing(settings).masters),
        least=_step(then, least),
        wanted=found[0],
        recommended=min(planned, key=lambda step: step.infrastructure_usd or 0.0, default=found[0]),
        hit_rate=None if rate == settings.workload.hit_rate else rate,
    )


def scale_out(settings: Settings) -> tuple[Step, ...]:
    """The stack as it is, half as large again, and twice as large, as far as a Redis Cluster goes."""
    masters = derive_sizing(settings).masters
    steps = (ceil(masters * factor) for factor in SCALE_OUT_FACTORS)
    return tuple(_step(settings, step) for step in steps if step <= MASTERS_MAX)


def copy_in_every_zone(settings: Settings, figures: Figures) -> Step | None:
    """The stack with a replica in each zone beside the master's; None where it has that many, where no stack may have
    so many, or without `eks`."""
    if figures.nodes is None:
        return None
    replicas = len(figures.nodes.zones) - 1
    if not settings.replicas_per_master < replicas <= REPLICAS_MAX:
        return None
    step = _step(settings.model_copy(update={"replicas_per_master": replicas}), figures.sizing.masters)
    return step if step.refusal or step.serves(figures.capacity.headroom) else None


def cheaper_with_more(settings: Settings, figures: Figures) -> Step | None:
    """The cheapest stack with up to three masters more, if it costs less than this one."""
    if figures.cost is None:
        return None
    best, best_usd = None, figures.cost.infrastructure_usd
    for step in _larger(settings, figures.sizing.masters):
        if not step.serves(figures.capacity.headroom):
            continue
        if step.infrastructure_usd is not None and step.infrastructure_usd < best_usd:
            best, best_usd = step, step.infrastructure_usd
    return best


def _larger(settings: Settings, masters: int) -> Iterator[Step]:
    for more in range(masters + 1, min(masters + _NEIGHBOURS, MASTERS_MAX) + 1):
        yield _step(settings, more)


def _step(settings: Settings, masters: int) -> Step:
    other = settings.model_copy(update={"total_memory": masters * settings.pod_memory})
    refusal = None
    try:
        figures = derive_figures(other)
    except Refused as error:
        refusal = error.messages[0]
        figures = derive_figures(other.model_copy(update={"eks": None}), judge=False)
    return Step(
        masters=masters,
        pods=figures.sizing.pods,
        total_memory_bytes=figures.sizing.usable_memory_bytes,
        break_even_hit_rate=figures.working_set.break_even_hit_rate,
        ops_total_by_interface=tuple(capacity.ops_total for capacity in figures.capacity_by_interface),
        egress_gbps_per_master=figures.traffic.egress_gbps_per_master,
        blast_radius_percent=figures.sizing.blast_radius_percent,
        headroom=figures.capacity.headroom,
        instance_type=figures.nodes.instance_type if figures.nodes else None,
        nodes_total=figures.nodes.nodes_total if figures.nodes else None,
        infrastructure_usd=figures.cost.infrastructure_usd if figures.cost else None,
        refusal=refusal,
    )


def _in_use_bytes(settings: Settings, measured: Measured) -> int:
    if measured.memory_bytes is not None:
        if measured.memory_bytes <= 0:
            raise ValueError(f"measured memory is {measured.memory_bytes} bytes; it must be more than 0")
        return measured.memory_bytes
    if measured.hit_rate is None:
        raise ValueError("nothing was measured: give the memory in use of all masters, or the hit rate")
    if not 0 <= measured.hit_rate <= 1:
        raise ValueError(f"measured hit rate is {measured.hit_rate}; it must be from 0 to 1")
    server = server_figures(settings.images.server.line)
    return images_bytes(settings.workload, measured.hit_rate, server) + server.slots_bytes
