"""What to change against a warning. Nothing is advised that the rules refuse or that does not help: every change is
planned before it is said, and said as an option of `python -m preview`."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil
from typing import Any

from pydantic.alias_generators import to_camel

from components.advice.figures import Figures, derive_figures
from components.config.formats import usd
from components.config.rules import contradictions
from components.config.settings import P95_LATENCY_MS_MAX, Settings
from components.config.units import GIB, MIB, format_size
from components.plan.refusal import Refused
from components.plan.sizing import derive_sizing

AUTO = "auto"
"""`nodes.instanceType` where the planner chooses."""
_SMALLER_PODS = (2, 4, 8)
_MORE_MEMORY = (1.125, 1.25, 1.5, 2, 3, 4, 8)
_LESS = (1.1, 1.25, 1.5, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
_MASTERS_TRIED = (3, 4, 5, 6, 8, 12, 16, 24, 32, 64, 125, 250, 500)
_TYPES_TRIED = 8
_ROUNDING = 1e-9
_ABOUT_THE_SAME = 1.01
"""Of the least cost. A hundredth is not worth an edit that moves more."""

Helps = Callable[[Settings, Figures], bool]


@dataclass(frozen=True, slots=True)
class Change:
    """One edit of a stack's config that was planned."""

    key: str
    value: str
    figures: Figures

    @property
    def option(self) -> str:
        """To paste behind `python -m preview`."""
        return f"--set {self.key}={self.value}"

    @property
    def usd(self) -> float:
        """What the stack then costs a month without traffic; 0 where nobody knows."""
        return self.figures.cost.infrastructure_usd if self.figures.cost else 0.0

    def sentence(self, before: Figures) -> str:
        """What to do and what it costs."""
        return f"Use {self.option}.{cost_of(before, self.figures)}"


def cost_of(before: Figures, after: Figures) -> str:
    """` It costs 993 USD a month more.`, or less; nothing without nodes or where both cost the same."""
    if before.cost is None or after.cost is None:
        return ""
    more = after.cost.infrastructure_usd - before.cost.infrastructure_usd
    return f" It costs {usd(abs(more))} USD a month {'more' if more > 0 else 'less'}." if abs(more) >= 1 else ""


def plan_of(settings: Settings, **fields: object) -> tuple[Settings, Figures] | None:
    """The stack with other values, if the rules allow them and a plan meets them."""
    changed = settings.model_copy(update=fields)
    if any(contradictions({name: getattr(changed, name) for name in Settings.model_fields})):
        return None
    try:
        return changed, derive_figures(changed)
    except Refused:
        return None


def planned_instead(settings: Settings) -> tuple[str, ...]:
    """For a stack that has no plan, the nearest ones that have one, as options: the first of each key. Empty where none
    that was tried has."""
    options: list[str] = []
    if settings.nodes.instance_type != AUTO:
        free = settings.model_copy(update={"nodes": settings.nodes.model_copy(update={"instance_type": AUTO})})
        if _serves(plan_of(free)):
            options.append(f"--set nodes.instanceType={AUTO}")
    masters = derive_sizing(settings).masters
    for key, tried in (("podMemory", _smaller_pods(settings)), ("totalMemory", _more_masters(settings, masters))):
        found = next((value for value, fields in tried if _serves(plan_of(settings, **fields))), None)
        options += [f"--set {key}={found}"] if found else []
    return tuple(options) or tuple(_with_less_asked(settings))


def pod_memory_instead(settings: Settings, too_large: int) -> str | None:
    """For a size of a pod that no number of masters allows, the nearest that has a plan, as an option; None where none
    that was tried has. `settings` has any other size."""
    total = settings.total_memory
    sizes = [_whole(-(-total // masters)) for masters in _MASTERS_TRIED]
    for size in sizes if too_large > total // _MASTERS_TRIED[0] else reversed(sizes):
        if _serves(plan_of(settings, pod_memory=size)):
            return f"--set podMemory={format_size(size)}"
    return None


def _whole(size_bytes: int) -> int:
    """Rounded up to what people write."""
    unit = GIB if size_bytes >= 8 * GIB else MIB
    return -(-size_bytes // unit) * unit


def _with_less_asked(settings: Settings) -> Iterator[str]:
    """Of each key of the workload that the plan can fail by, the nearest value with which it does not."""
    workload = settings.workload
    for key, values in (
        ("requests_per_second", [int(workload.requests_per_second / less) for less in _LESS]),
        ("object_bytes", [int(workload.object_bytes / less) for less in _LESS]),
        ("hit_rate", [min(0.9999, round(1 - (1 - workload.hit_rate) / less, 4)) for less in _LESS]),
        ("ttl_seconds", [int(workload.ttl_seconds / less) for less in _LESS]),
        ("p95_latency_ms", [min(P95_LATENCY_MS_MAX, ceil(workload.p95_latency_ms * less)) for less in _LESS]),
    ):
        for value in dict.fromkeys(value for value in values if value > 0):
            if _serves(plan_of(settings, workload=workload.model_copy(update={key: value}))):
                yield f"--set workload.{to_camel(key)}={value}"
                break


def serves_as_much(other: Figures, before: Figures | None = None) -> bool:
    """Whether a stack serves what is wanted, or at least what another one serves. Nodes are chosen for it; where TLS
    takes more of the core than there is, they do not help (ADR 32)."""
    wanted = min(1.0, before.capacity.headroom) if before else 1.0
    return other.capacity.headroom >= wanted - _ROUNDING


def _serves(planned: tuple[Settings, Figures] | None) -> bool:
    return planned is not None and (planned[1].nodes is None or serves_as_much(planned[1]))


def first_change(
    settings: Settings, figures: Figures, keys: tuple[str, ...], helps: Helps, least_memory: float = 0
) -> Change | None:
    """Of each of `keys` the first change that helps, and of these the one that costs least; of several that cost about
    the same, or whose cost is not known, the one whose key stands first: the edit with the least to move.
    `totalMemory` is at least `least_memory` bytes."""

    def of_key(key: str) -> Change | None:
        for value, fields in _OPTIONS[key](settings, figures):
            if key == "totalMemory" and fields["total_memory"] < least_memory:
                continue
            found = plan_of(settings, **fields)
            if found is not None and serves_as_much(found[1], figures) and helps(*found):
                return Change(key, value, found[1])
        return None

    found = [change for change in map(of_key, keys) if change is not None]
    most = _ABOUT_THE_SAME * min((change.usd for change in found), default=0)
    return next((change for change in found if change.usd <= most), None)


Options = Iterator[tuple[str, dict[str, Any]]]


def _pod_memory(settings: Settings, figures: Figures) -> Options:
    return _smaller_pods(settings)


def _smaller_pods(settings: Settings) -> Options:
    for divisor in _SMALLER_PODS:
        if settings.pod_memory % (divisor << 20) == 0:
            size = settings.pod_memory // divisor
            if settings.nodes.instance_type == AUTO:
                yield format_size(size), {"pod_memory": size}


def _total_memory(settings: Settings, figures: Figures) -> Options:
    return _more_masters(settings, figures.sizing.masters)


def _more_masters(settings: Settings, masters: int) -> Options:
    for count in dict.fromkeys(
        (masters + 1, masters + 2, masters + 3, *(-int(-masters * more) for more in _MORE_MEMORY))
    ):
        if count > masters:
            size = count * settings.pod_memory
            yield format_size(size), {"total_memory": size}


def _instance_type(settings: Settings, figures: Figures) -> Options:
    for kind in figures.nodes.passing[:_TYPES_TRIED] if figures.nodes else ():
        nodes = settings.nodes.model_copy(update={"instance_type": kind.instance_type})
        yield kind.instance_type, {"nodes": nodes}


_OPTIONS: dict[str, Callable[[Settings, Figures], Options]] = {
    "podMemory": _pod_memory,
    "totalMemory": _total_memory,
    "nodes.instanceType": _instance_type,
}
