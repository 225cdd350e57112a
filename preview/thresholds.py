"""`--fail-on`: what a plan must keep to, for CI to ask."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from components.config.did_you_mean import did_you_mean
from components.config.formats import times, usd

if TYPE_CHECKING:
    from components.advice.advice import Advice

FAILED = 3
"""Exit status when a plan does not keep to what `--fail-on` names."""
FORMS = "cost=USD (a month, without traffic), capacity=FACTOR (of what is wanted), warning=CODE"


@dataclass(frozen=True, slots=True)
class Threshold:
    """One condition; `cost` and `capacity` have a figure, `warning` has a code."""

    kind: str
    figure: float = 0.0
    code: str = ""

    def reasons(self, plan: Advice) -> Iterator[str]:
        """Why the plan fails; nothing where it does not."""
        yield from _REASONS[self.kind](self, plan)


def threshold(text: str) -> Threshold:
    """What `--fail-on` is given, for argparse: ArgumentTypeError says what is allowed."""
    kind, _, value = text.partition("=")
    if kind not in _REASONS or not value:
        hint = "" if kind in _REASONS else did_you_mean(kind, _REASONS, suffix="=…")
        raise argparse.ArgumentTypeError(f"{text}: {hint}must be one of {FORMS}")
    if kind == "warning":
        if value not in codes():
            raise argparse.ArgumentTypeError(
                f"{text}: {did_you_mean(value, codes())}the codes are {', '.join(codes())}"
            )
        return Threshold(kind, code=value)
    try:
        figure = float(value)
    except ValueError:
        figure = math.nan
    if not (0 < figure < math.inf):
        example = "cost=20000" if kind == "cost" else "capacity=1.0"
        raise argparse.ArgumentTypeError(f"{text}: must be a number above 0, such as {example}")
    return Threshold(kind, figure)


def failures(thresholds: Iterable[Threshold], plan: Advice) -> list[str]:
    """Every reason, of all of them."""
    return [reason for item in thresholds for reason in item.reasons(plan)]


@cache
def codes() -> tuple[str, ...]:
    """The codes of all warnings that a plan can have. They stand where each warning is made, and nowhere else."""
    sources = (
        entry.read_text(encoding="utf-8") for entry in files("components.advice").iterdir() if entry.name[-3:] == ".py"
    )
    found = {code for source in sources for code in re.findall(r"\bPlanWarning\(\s*\"([a-z0-9-]+)\"", source)}
    return tuple(sorted(found))


def _cost(wanted: Threshold, plan: Advice) -> Iterator[str]:
    if plan.cost is None:
        yield "cost: this stack has no nodes of its own, so nobody knows what it costs; ask this of a stack with eks"
    elif plan.cost.infrastructure_usd > wanted.figure:
        yield (
            f"cost: {usd(plan.cost.infrastructure_usd)} USD a month without traffic is above the ceiling of "
            f"{usd(wanted.figure)} USD"
        )


def _capacity(wanted: Threshold, plan: Advice) -> Iterator[str]:
    if plan.capacity.headroom < wanted.figure:
        yield (
            f"capacity: {times(plan.capacity.headroom)} of what is wanted is below the {times(wanted.figure)} that "
            "must be kept"
        )


def _warning(wanted: Threshold, plan: Advice) -> Iterator[str]:
    for found in plan.warnings:
        if found.code == wanted.code:
            yield f"warning {found.code}: {found.what} {found.change}"


_REASONS: dict[str, Callable[[Threshold, Advice], Iterator[str]]] = {
    "cost": _cost,
    "capacity": _capacity,
    "warning": _warning,
}
