"""Nodes leave: what must be so before the first pod goes, and where its slots go with their keys."""

from __future__ import annotations

from reconciler.decide.actions import Action, Failover, Forget, RuleResult
from reconciler.decide.balance import checked, plan_moves
from reconciler.decide.membership import refuse_where_not_admitted
from reconciler.decide.state import ClusterState
from reconciler.observe.observation import NodeReport
from reconciler.slots import ALL_SLOTS, describe
from reconciler.topology import MIN_MASTERS


def leaving_nodes(state: ClusterState) -> list[NodeReport]:
    """Members of the cluster that answer and that the topology does not have."""
    known = {node_id for report in state.desired_reports for node_id in report.known_nodes}
    return [r for r in state.observation.reports if r.node_id not in state.desired_ids and r.node_id in known]


def refuse_unless_admitted(state: ClusterState) -> RuleResult:
    """Before any pod is rolled: pods that start with another password could neither follow the others nor be followed.

    Whoever owns slots must let this program in. A pod beside them that does not is what an edit left behind which was
    not refused in time; the edit that takes it back must not be held up by it.
    """
    if not leaving_nodes(state) and _only_wanted_nodes_are_known(state):
        return RuleResult()
    return refuse_where_not_admitted(state)


def finish_unless_nodes_leave(state: ClusterState) -> RuleResult:
    """*release* runs before every change of a StatefulSet, and mostly has nothing to do."""
    if not state.is_formed:
        return RuleResult(notes=("no node of this topology owns a slot: nothing to release",), finished=True)
    if not state.desired_reports:
        return RuleResult(notes=("no pod of this topology runs yet: nothing to release",), finished=True)
    if not leaving_nodes(state) and (not state.observation.missing or _only_wanted_nodes_are_known(state)):
        return RuleResult(notes=("every node of the cluster stays: nothing to release",), finished=True)
    return RuleResult()


def _only_wanted_nodes_are_known(state: ClusterState) -> bool:
    """Whether no node leaves although some do not answer: those that do own every slot, and know of no node but this
    topology's.

    A node that leaves is known only from those that stay. But one that owns a slot is known to all that answer, since
    they would lack its slots. So a pod that cannot answer, as after an edit with a wrong password, does not hold up
    the edit that takes it back.
    """
    known = {entry.hostname for report in state.desired_reports for entry in report.known_nodes.values()}
    return state.owned_slots == ALL_SLOTS and known <= {node.host for node in state.desired.nodes}


def await_second_copies(state: ClusterState) -> RuleResult:
    """Until no pod that restarts first is alone with its keys.

    A roll begins with the pods whose initial role is replica. Where one of them was promoted and its shard has no
    other copy in sync, it would restart empty.
    """
    alone = [
        f"{master.name} has the only copy of {describe(master.myself.slots)} and would restart first"
        for master in state.desired_reports
        if master.is_master
        and master.myself.slots
        and state.desired.node(master.pod or "").role == "replica"
        and not any(replica.master_link_up for replica in state.replicas_of(master.node_id))
    ]
    return RuleResult(waiting=tuple(alone))


def fail_over_to_staying_replicas(state: ClusterState) -> RuleResult:
    """Where a master leaves and a replica of it stays, the replica takes over: no key needs to move."""
    actions: list[Action] = []
    waiting: list[str] = []
    for master in leaving_nodes(state):
        replica = _staying_replica(state, master)
        if not (master.is_master and master.myself.slots) or replica is None:
            continue
        if state.is_caught_up(replica):
            why = f"{master.name} leaves, and {replica.name} has its data and stays"
            actions.append(Failover(replica.node_id, "", why))
        else:
            waiting.append(f"{master.name} leaves, and {replica.name}, which stays, has not caught up with it yet")
    return RuleResult(tuple(actions), tuple(waiting))


def _staying_replica(state: ClusterState, master: NodeReport) -> NodeReport | None:
    """A replica in sync that stays, of a shard that does not own slots yet."""
    for replica in state.replicas_of(master.node_id):
        if replica.node_id in state.desired_ids and replica.master_link_up:
            shard = state.desired.node(replica.pod or "").shard
            if not any(report.myself.slots for report in state.shard_reports(shard)):
                return replica
    return None


def drain_leaving_nodes(state: ClusterState) -> RuleResult:
    """Slots of masters that leave go, with their keys, to the masters that stay."""
    given = {report.node_id: report.myself.slots for report in leaving_nodes(state) if report.is_master}
    given = {node_id: slots for node_id, slots in given.items() if slots}
    if not given:
        return RuleResult()
    # A shard that does not own slots yet is left to form: its replicas are not attached, so keys would have one copy.
    staying = [report for report in state.shard_masters.values() if report.myself.slots]
    if len(staying) < MIN_MASTERS:
        return RuleResult(
            refused=f"only {len(staying)} of the masters that stay own slots; a Redis Cluster needs {MIN_MASTERS}. "
            "Nothing was moved; form the topology first, or keep more masters"
        )
    # A second owner in one shard is to become a replica of the first, so its slots go too.
    given |= {
        report.node_id: report.myself.slots
        for report in state.desired_reports
        if report.is_master and report.myself.slots and report not in staying
    }
    return checked(state, plan_moves(state, given, staying, "leaving"))


def forget_leaving_nodes(state: ClusterState) -> RuleResult:
    """Nodes without slots that leave go from the tables of those that stay. They keep their own tables: until their
    pods are deleted they send clients to the right nodes.

    A replica of a master that stays is kept. Until its pod is deleted it is in sync, and its master may fail over to it
    when it restarts; nobody would believe a node that all have forgotten. It is forgotten when it has failed.
    """
    actions: list[Action] = []
    for report in leaving_nodes(state):
        knowing = tuple(r.node_id for r in state.desired_reports if report.node_id in r.known_nodes)
        replicates_staying = not report.is_master and report.myself.master_id in state.desired_ids
        if knowing and not report.myself.slots and not replicates_staying:
            actions.append(Forget(report.node_id, knowing, f"{report.name} leaves and owns no slot"))
    return RuleResult(tuple(actions))
