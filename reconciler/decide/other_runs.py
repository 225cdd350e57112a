"""Rules about other runs of the reconciler: two runs must never change the cluster at the same time.

While slots move, a slot has no owner for a moment. A second run that starts then would see slots that nobody owns, and
give them to somebody else.
"""

from __future__ import annotations

from reconciler.decide.actions import RuleResult
from reconciler.decide.state import ClusterState


def _named(state: ClusterState) -> str:
    return f"another run is moving slots or changing the cluster otherwise ({', '.join(sorted(state.other_runs))})"


def await_other_runs(state: ClusterState) -> RuleResult:
    """*form* and *release* have work of their own to do, and begin when the other run has ended."""
    return RuleResult(waiting=(f"{_named(state)}: waiting for its end",)) if state.other_runs else RuleResult()


def leave_to_other_runs(state: ClusterState) -> RuleResult:
    """A repair starts every minute: what is left then is done by the next one."""
    if not state.other_runs:
        return RuleResult()
    return RuleResult(notes=(f"{_named(state)}: repairs are left to the next repair",), finished=True)
