"""What a run tells of itself: values, and their text as Prometheus reads it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import get_args

from reconciler.decide.actions import Action
from reconciler.decide.phases import PHASES, rule_name
from reconciler.exit_status import ExitStatus
from reconciler.shown_certificate import Validity

_PREFIX = "redis_image_cache_reconciler"
ACTIONS = tuple(sorted(kind.__name__ for kind in get_args(Action)))


@dataclass(frozen=True)
class RunReport:
    """The state of one run: `seconds` after its begin, and `status` once it has ended.

    `actions` counts what this run has begun, by the action's name, and `failed` those of them that went wrong.
    `pending` counts the actions that are still to be done. `waiting` counts, by the name of a rule, the things that
    must come true by themselves before that rule is satisfied. `slots` has, by the name of a pod or an address, how
    many slots each master owns. `certificates` has, by the same names, how long that holds which each node shows.
    """

    phase: str
    pool: str
    seconds: float = 0.0
    status: ExitStatus | None = None
    actions: Mapping[str, int] = field(default_factory=dict)
    failed: int = 0
    pending: int = 0
    waiting: Mapping[str, int] = field(default_factory=dict)
    slots: Mapping[str, int] = field(default_factory=dict)
    certificates: Mapping[str, Validity] = field(default_factory=dict)


def exposition(report: RunReport, now: float) -> str:
    """In the text format of Prometheus; `now` is in seconds since 1970.

    Every rule and every action is there, most with zero: a Pushgateway keeps what was told last, and what is left out
    would look as if it still held.
    """
    lines: list[str] = []
    for name, text, samples in _families(report, now):
        series = f"{_PREFIX}_{name}"
        lines += (f"# HELP {series} {text}", f"# TYPE {series} gauge")
        lines += (f"{series}{label} {value:.15g}" for label, value in samples)
    return "".join(f"{line}\n" for line in lines)


_Samples = list[tuple[str, float]]


def _families(report: RunReport, now: float) -> Iterator[tuple[str, str, _Samples]]:
    def by(label: str, names: tuple[str, ...], counts: Mapping[str, float]) -> _Samples:
        return [(f'{{{label}="{name}"}}', counts.get(name, 0)) for name in names]

    yield "last_seen_timestamp_seconds", "When a run of this phase last told anything.", [("", now)]
    if report.status is ExitStatus.DONE:
        yield "last_success_timestamp_seconds", "When a run last ended with nothing left to do.", [("", now)]
    if report.status is not None:
        yield "exit_status", "Of the last run: 0 done, 1 not in time, 2 refused.", [("", float(report.status))]
    yield "run_seconds", "How long the last run took, or has taken so far.", [("", report.seconds)]
    yield "actions", "What the last run has begun to do.", by("action", ACTIONS, report.actions)
    yield "failed_actions", "How much of that went wrong.", [("", report.failed)]
    yield "pending_actions", "What the last run has still to do.", [("", report.pending)]
    rules = tuple(rule_name(rule) for rule in PHASES[report.phase])
    yield "waiting", "Things that each rule of the last run waits for.", by("rule", rules, report.waiting)
    if report.slots:
        yield "slots", "Slots that each master owns.", by("pod", tuple(sorted(report.slots)), report.slots)
    if report.certificates:
        pods = tuple(sorted(report.certificates))
        begin, end = ({pod: getattr(report.certificates[pod], at) for pod in pods} for at in ("begins", "ends"))
        yield "certificate_begin_timestamp_seconds", "From when each node's certificate holds.", by("pod", pods, begin)
        yield "certificate_end_timestamp_seconds", "Until when each node's certificate holds.", by("pod", pods, end)
