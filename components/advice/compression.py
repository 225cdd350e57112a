"""What smaller images would change: the sizing document's "compress images before storing", for a measured ratio."""

from dataclasses import dataclass

from components.advice.figures import derive_figures
from components.advice.right_sizing import Measured, Step, right_size
from components.config.settings import Settings
from components.plan.refusal import Refused


@dataclass(frozen=True, slots=True)
class Compression:
    """The stack with images of `ratio` times their size. Memory follows the allocator's class, traffic the size."""

    ratio: float
    object_bytes: int
    size_class_bytes: int
    images_size_bytes: int
    memory_percent: float
    break_even_hit_rate: float
    egress_gbps_per_master: float
    enough: Step
    """The cheapest number of masters that holds the smaller images, 80 % full at most."""


def compressed(settings: Settings, ratio: float) -> Compression:
    """Figures for images of `ratio` times their size: 0.3 keeps 30 %. ValueError outside 0 to 1."""
    if not 0 < ratio <= 1:
        raise ValueError(f"compression ratio is {ratio}; it is new size over old, more than 0 and at most 1")
    workload = settings.workload.model_copy(
        update={"object_bytes": max(1, round(settings.workload.object_bytes * ratio))}
    )
    smaller = settings.model_copy(update={"workload": workload})
    try:
        figures = derive_figures(smaller)
    except Refused:
        figures = derive_figures(smaller.model_copy(update={"eks": None}), judge=False)
    return Compression(
        ratio=ratio,
        object_bytes=workload.object_bytes,
        size_class_bytes=figures.working_set.size_class_bytes,
        images_size_bytes=figures.working_set.own.size_bytes,
        memory_percent=figures.working_set.own.memory_percent,
        break_even_hit_rate=figures.working_set.break_even_hit_rate,
        egress_gbps_per_master=figures.traffic.egress_gbps_per_master,
        enough=right_size(smaller, Measured(hit_rate=workload.hit_rate)).recommended,
    )
