"""The derived plan: everything a stack comes to, from its settings alone.

Pure: the same settings give the same plan.
"""

import re
from dataclasses import asdict, dataclass, fields
from typing import Any

from components.config_errors import NAMESPACE
from components.figures import Figures, derive_figures
from components.findings import Finding, derive_findings
from components.names import pool_name
from components.pod_sizes import PodSize, compare_pod_sizes
from components.refusal import Refused
from components.right_sizing import Step, cheaper_with_more, copy_in_every_zone, scale_out
from components.settings import Settings
from components.sizing import Sizing
from components.tuning import Tuning

_POD_START_SECONDS = 120
"""A pod's volume moves to its node and its image is pulled; EBS attaches within a minute as a rule."""


class PlanRefused(Refused):
    """No plan holds."""


@dataclass(frozen=True, slots=True)
class Plan(Figures):
    """The figures of one stack, grouped by topic, and what to compare them with."""

    pool: str
    rollout_timeout_seconds: int
    """How long a StatefulSet may take to roll all its pods, one after the other."""
    pod_sizes: tuple[PodSize, ...]
    scale_out: tuple[Step, ...]
    copy_in_every_zone: Step | None
    """What reading from the own zone alone takes; None where the stack has it."""
    findings: tuple[Finding, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """The findings as text: what is so, what to change, and the finding's code."""
        return tuple(str(finding) for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Every derived figure, snake_case with units in the names; the sizing's own at the top."""
        figures = asdict(self)
        return {"pool": figures.pop("pool"), **figures.pop("sizing"), **figures}


def derive_plan(settings: Settings) -> Plan:
    """The plan of a stack. Raises PlanRefused when no plan holds."""
    try:
        figures = derive_figures(settings)
    except Refused as refusal:
        raise PlanRefused([_with_namespace(message) for message in refusal.messages]) from None
    everywhere = copy_in_every_zone(settings, figures)
    return Plan(
        **{field.name: getattr(figures, field.name) for field in fields(figures)},
        pool=pool_name(settings),
        rollout_timeout_seconds=_rollout_timeout_seconds(figures.sizing, figures.tuning),
        pod_sizes=compare_pod_sizes(settings, figures),
        scale_out=scale_out(settings),
        copy_in_every_zone=everywhere,
        findings=derive_findings(settings, figures, cheaper_with_more(settings, figures), everywhere),
    )


def _rollout_timeout_seconds(sizing: Sizing, tuning: Tuning) -> int:
    each = tuning.termination_grace_seconds + _POD_START_SECONDS + 2 * tuning.resync_seconds + tuning.min_ready_seconds
    return sizing.masters * each


def _with_namespace(message: str) -> str:
    """A message that begins with a config key names it as the stack file does."""
    return f"{NAMESPACE}:{message}" if re.match(r"[a-zA-Z.]+ = ", message) else message
