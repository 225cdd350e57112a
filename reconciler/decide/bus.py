"""The language of the cluster bus: with TLS or without.

A node makes and takes connections of the bus in one language only, so all nodes change it together, while they run.
They can take to TLS once every pod has its certificate and its port for TLS: after the roll. They must leave it before
the first pod goes that has neither: before the roll. Pods that restart in between ask another one (scripts/start.sh).
"""

from __future__ import annotations

from reconciler.decide.actions import RuleResult, SwitchBus
from reconciler.decide.state import ClusterState


def refuse_a_change_in_one_step(state: ClusterState) -> RuleResult:
    """Nodes that take connections in the opposite way only, or with a certificate of another authority: their clients
    would be cut off, and so would the nodes from each other while the pods roll."""
    wrong = [
        *(f"{pod.pod}: {pod.reason}" for pod in state.observation.missing if pod.wrong_mode),
        *(f"{seed.name}: {seed.reason}" for seed in state.observation.seeds if seed.wrong_mode),
        *(f"{name}: {says}" for name, says in state.observation.not_trusted.items()),
    ]
    return RuleResult(refused=wrong[0]) if wrong else RuleResult()


def refuse_tls_beside_another_change(state: ClusterState) -> RuleResult:
    """Nodes that are no pods of this topology keep what they were started with. While one of them owns slots and has no
    port for TLS, the bus cannot take to TLS."""
    if state.desired.tls.mode == "plain" or state.desired.tls.port is None:
        return RuleResult()
    for report in state.observation.reports:
        if report.pod is None and report.myself.slots and not report.has_tls_port:
            return RuleResult(
                refused=f"{report.name} owns slots, is no pod of this config, and has no port for TLS. Change tls.mode "
                "in an edit of its own, before or after the one that changes the pods' number or size"
            )
    return RuleResult()


def switch_before_the_roll(state: ClusterState) -> RuleResult:
    """Every node leaves TLS where it is not wanted any more. Every node takes to it where all can: the *form* of an
    earlier update may have failed."""
    return _switch(state, wait=False)


def switch_after_the_roll(state: ClusterState) -> RuleResult:
    """Every node takes to TLS where it is wanted, as soon as all have a port for it."""
    return _switch(state, wait=True)


def _switch(state: ClusterState, wait: bool) -> RuleResult:
    wanted = state.desired.tls.mode != "plain"
    reports = state.observation.reports
    wrong = [report for report in reports if report.bus_has_tls != wanted]
    if state.desired.tls.port is None or not wrong:
        return RuleResult()
    unable = [f"{report.name} has no port for TLS yet" for report in reports if not report.has_tls_port]
    if wanted and unable:
        return RuleResult(waiting=tuple(unable)) if wait else RuleResult()
    language = "TLS" if wanted else "no TLS"
    why = f"{len(wrong)} of {len(reports)} nodes change to {language} on the cluster bus"
    return RuleResult((SwitchBus(tuple(report.node_id for report in reports), wanted, why),))
