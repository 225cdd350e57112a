"""Rules about jobs by which servers move slots themselves, and that nobody watches any more: their run was killed."""

from __future__ import annotations

from reconciler.decide.actions import Action, CancelNativeJob, RuleResult
from reconciler.decide.state import ClusterState
from reconciler.slots import describe

PATIENCE_S = 120.0
"""How old such a job may be. The mover makes jobs of some seconds, so one that is as old as this does not get on: its
target is lost, say, or its source has a child process that does not end."""


def await_native_jobs(state: ClusterState) -> RuleResult:
    """What a run that was killed has begun ends by itself, and is not done twice. What does not get on is cancelled."""
    actions: list[Action] = []
    waiting: list[str] = []
    for report in state.masters:
        for job in report.native_jobs:
            text = f"{state.name(job.source)} moves {describe(job.slots)} to {state.name(job.target)}"
            if job.may_be_cancelled and (job.has_failed or job.age_s > PATIENCE_S):
                why = f"{text}, which fails ({job.message})" if job.has_failed else f"{text}, which does not get on"
                actions.append(CancelNativeJob(report.node_id, job.way, job.name, why))
            else:
                waiting.append(f"{text}, as a run has begun it that is gone: waiting for its end")
    return RuleResult(tuple(actions), tuple(waiting))
