"""Rules about who replicates whom: each shard has one master, and its other pods are replicas of that master."""

from __future__ import annotations

from reconciler.decide.actions import Action, Failover, Replicate, Reset, RuleResult
from reconciler.decide.agreement import disagreements
from reconciler.decide.state import ClusterState
from reconciler.observe.observation import NodeReport
from reconciler.slots import describe


def give_every_shard_a_master(state: ClusterState) -> RuleResult:
    """Where all pods of a shard replicate a master of another shard, one of them is made an empty master.

    That happens after a shrink and a growth: Redis lets replicas without slots to serve follow another master.
    """
    actions: list[Action] = []
    for shard in range(state.desired.shard_count):
        reports = state.shard_reports(shard)
        if shard in state.shard_masters or not reports:
            continue
        report = reports[0]
        master = state.reports.get(report.myself.master_id or "")
        # The data must be elsewhere before a copy of it is dropped.
        if master is not None and master.is_master and not report.syncing:
            why = f"shard {shard} has no master; {report.name} only replicates {master.name}, which lives"
            actions.append(Reset(report.node_id, why))
    return RuleResult(tuple(actions))


def attach_replicas(state: ClusterState) -> RuleResult:
    """Every other pod of a shard replicates the shard's master. A full resync is never interrupted, since it would
    begin anew (docs/reference/redis.md, "Full resync"), and the data of a master that is gone is never dropped."""
    if state.disputed_slots:
        return RuleResult(waiting=(f"more than one node owns {describe(state.disputed_slots)}",))
    actions: list[Action] = []
    waiting: list[str] = []
    for shard, master in state.shard_masters.items():
        for report in state.shard_reports(shard):
            if report is master or report.myself.master_id == master.node_id:
                continue
            reason = _reason_not_to_attach(state, report, master)
            if reason:
                waiting.append(reason)
            else:
                why = f"shard {shard}: {report.name} is to replicate {master.name}"
                actions.append(Replicate(report.node_id, master.node_id, why))
    return RuleResult(tuple(actions), tuple(waiting))


def _reason_not_to_attach(state: ClusterState, report: NodeReport, master: NodeReport) -> str | None:
    entry = report.known_nodes.get(master.node_id)
    if entry is None or not entry.is_master:
        return f"{report.name} does not know {master.name} as a master yet"
    if report.is_master:
        if report.myself.slots:
            return f"{report.name} owns {describe(report.myself.slots)} beside its shard's master {master.name}"
        if report.keys:
            return f"{report.name} owns no slot but holds {report.keys} keys; it cannot replicate {master.name}"
        return None
    if report.syncing:
        return f"{report.name} is syncing with another master; that is not interrupted"
    if report.myself.master_id in state.slots_of_unreachable:
        return f"{report.name} has the data of a master that does not answer"
    return None


def await_replicas_in_sync(state: ClusterState) -> RuleResult:
    """Before slots move: a master whose replica has no copy yet would lose its keys if it failed."""
    return RuleResult(
        waiting=tuple(
            f"{report.name} is not in sync with its master yet"
            for report in state.desired_reports
            if not report.is_master and not report.master_link_up
        )
    )


def restore_initial_masters(state: ClusterState) -> RuleResult:
    """After failovers the pods of the StatefulSet of masters become masters again, one at a time, and only in a cluster
    that is healthy otherwise: each such failover holds back writes for a moment."""
    desired = state.desired
    if not desired.restore_initial_masters or state.observation.missing or state.slots_of_unreachable:
        return RuleResult()
    if state.unowned_slots or disagreements(state):
        return RuleResult()
    reports = state.desired_reports
    if not all(report.cluster_ok and (report.is_master or report.master_link_up) for report in reports):
        return RuleResult()
    for shard, master in sorted(state.shard_masters.items()):
        initial = state.by_pod[desired.shard(shard)[0].pod]
        if initial.myself.master_id != master.node_id or initial.syncing:
            continue
        if not state.is_caught_up(initial):
            return RuleResult(
                waiting=(
                    f"shard {shard}: {initial.name} is to be master again when it has caught up with {master.name}",
                )
            )
        why = f"shard {shard}: {initial.name} is to be master again, and has caught up with {master.name}"
        return RuleResult((Failover(initial.node_id, "", why),))
    return RuleResult()
