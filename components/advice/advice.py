"""What is said about a stack's plan and changes no pod: figures to judge it by, comparisons, warnings."""

from dataclasses import asdict, dataclass, fields
from typing import Any

from components.advice.alternatives import Alternative, BreakEven, break_evens, derive_alternatives
from components.advice.figures import Figures, derive_figures
from components.advice.plan_warning import PlanWarning
from components.advice.pod_sizes import PodSize, compare_pod_sizes
from components.advice.remedies import planned_instead
from components.advice.right_sizing import Step, cheaper_with_more, copy_in_every_zone, scale_out
from components.advice.warnings import derive_warnings
from components.config.settings import Settings
from components.plan.plan import derive_plan
from components.plan.refusal import PlanRefused, Refused


@dataclass(frozen=True, slots=True)
class Advice(Figures):
    """The stack's plan, its figures, and what to compare them with."""

    pod_sizes: tuple[PodSize, ...]
    scale_out: tuple[Step, ...]
    copy_in_every_zone: Step | None
    """What reading from the own zone alone takes; None where the stack has it."""
    warnings: tuple[PlanWarning, ...]
    alternatives: tuple[Alternative, ...]
    """The stack itself first; empty without `eks`."""
    break_evens: tuple[BreakEven, ...]

    def to_json(self) -> dict[str, Any]:
        """Every derived figure, snake_case with units in the names; the sizing's own at the top."""
        figures = asdict(self)
        return {"pool": figures.pop("pool"), **figures.pop("sizing"), **figures}


def _refusal(settings: Settings) -> PlanRefused:
    """Why the stack has no plan, with the keys as the stack file names them, and which edits would give it one."""
    try:
        derive_plan(settings)
    except PlanRefused as refusal:
        options = planned_instead(settings)
        if not options:
            return refusal
        *others, last = refusal.messages
        return PlanRefused([*others, f"{last}; tried, and planned: {' or '.join(options)}"])
    raise AssertionError("the figures of a stack were refused, and its plan was not")


def derive_advice(settings: Settings) -> Advice:
    """The plan of a stack and all that is said about it. Raises PlanRefused when no plan meets every rule."""
    try:
        figures = derive_figures(settings)
    except Refused:
        raise _refusal(settings) from None
    everywhere = copy_in_every_zone(settings, figures)
    return Advice(
        **{field.name: getattr(figures, field.name) for field in fields(figures)},
        pod_sizes=compare_pod_sizes(settings, figures),
        scale_out=scale_out(settings),
        copy_in_every_zone=everywhere,
        warnings=derive_warnings(settings, figures, cheaper_with_more(settings, figures), everywhere),
        alternatives=derive_alternatives(settings, figures),
        break_evens=break_evens(figures, settings.workload.duty_cycle),
    )
