"""Rules about membership: one cluster, every pod in it, and nobody in it who is gone for good."""

from __future__ import annotations

from reconciler.decide.actions import Action, Forget, Meet, RuleResult, SetEpoch
from reconciler.decide.state import ClusterState, first_few
from reconciler.decide.unreachable import is_agreed_failed, may_come_back
from reconciler.observe.observation import NodeReport
from reconciler.slots import describe

NOT_ADMITTED_STEP = (
    "The nodes were started with another password than this program has. Put the old one back into access.password, or "
    "keep it accepted for one update: the old one as access.alsoAccepted beside the new one. A cluster that was made "
    "before there were users takes access.defaultUser: everything for one update instead. Then run pulumi up "
    '(docs/runbook.md, "Change the password")'
)
"""What to do where nodes do not let a Job in."""


def refuse_two_clusters(state: ClusterState) -> RuleResult:
    """Two clusters that both have slots would settle by config epochs who owns what, and the loser drops its keys."""
    clusters = state.clusters_with_slots
    if len(clusters) < 2:
        return RuleResult()
    texts = [
        f"{', '.join(sorted(state.name(node) for node in cluster))} with {describe(state.slots_known_in(cluster))}"
        for cluster in clusters
    ]
    return RuleResult(
        refused=f"the nodes belong to {len(clusters)} different clusters that both have slots: "
        + " / ".join(texts)
        + ". Joining them would drop the keys of one. Decide which one is to live and empty the other's pods."
    )


def not_admitted(state: ClusterState) -> tuple[str, ...]:
    """The wanted pods, and the names of a cluster that serves, that do not let this program in, with what they said."""
    observation = state.observation
    return (
        *(f"{missing.pod}: {missing.reason}" for missing in observation.missing if missing.not_admitted),
        *(seed.reason for seed in observation.seeds if seed.not_admitted),
    )


def refuse_where_not_admitted(state: ClusterState) -> RuleResult:
    """What a node was started with does not change by waiting."""
    refusing = not_admitted(state)
    if not refusing:
        return RuleResult()
    # A user without a right has the right password, and its reply says what to do.
    steps = [] if all("NOPERM" in text for text in refusing) else [NOT_ADMITTED_STEP]
    return RuleResult(refused=". ".join([first_few(refusing).rstrip("."), "Nothing was changed", *steps]))


def await_every_pod(state: ClusterState) -> RuleResult:
    return RuleResult(waiting=tuple(f"{missing.pod}: {missing.reason}" for missing in state.observation.missing))


def name_missing_pods(state: ClusterState) -> RuleResult:
    """A repair says which pods are away, and does not wait for them: to bring them back is Kubernetes' task."""
    missing = state.observation.missing
    return RuleResult(
        notes=tuple(
            f"{pod.pod} {'lives, but answered with an error' if pod.lives else 'does not answer'}: {pod.reason}"
            for pod in missing
        )
    )


def finish_unless_formed(state: ClusterState) -> RuleResult:
    """A repair does not create a cluster. While pods are missing, one of them may own slots."""
    if state.is_formed:
        return RuleResult()
    if state.observation.missing:
        return RuleResult(waiting=("no node that answers owns a slot",), finished=True)
    return RuleResult(notes=("no node owns a slot: the cluster is not formed yet, which form does",), finished=True)


def await_seeds(state: ClusterState) -> RuleResult:
    """No cluster is created while a seed might lead to one that serves."""
    if state.is_formed:
        return RuleResult()
    seeds = state.observation.seeds
    return RuleResult(waiting=tuple(f"seed {seed.reason}" for seed in seeds if not seed.is_conclusive))


def refuse_unexpected_keys(state: ClusterState) -> RuleResult:
    """A node that belongs to no cluster and holds keys is somebody's. It is not taken, and nothing is wiped."""
    holding = [
        report
        for report in state.desired_reports
        if report.keys and not report.myself.slots and (report.knows_only_itself or not state.is_formed)
    ]
    if not holding:
        return RuleResult()
    held = first_few(f"{report.name} holds {report.keys} keys" for report in holding)
    return RuleResult(
        refused=f"nodes that should be empty hold keys without owning a slot: {held}. "
        "Nothing is wiped; if the keys are not needed, run FLUSHALL there and start this again."
    )


def forget_failed_nodes(state: ClusterState) -> RuleResult:
    """Failed nodes without slots go from every table, unless they may be a pod that is only away for now.

    Left there, each of them would be pinged for ever, and its address may belong to another pod some day.
    """
    actions: list[Action] = []
    for node_id in state.unreachable_ids:
        # Redis refuses to forget the master of a replica, and the replica has its data.
        if any(entry.slots for entry in state.entries_about(node_id)) or state.replicas_of(node_id):
            continue
        if not is_agreed_failed(state, node_id) or may_come_back(state, node_id):
            continue
        knowing = tuple(report.node_id for report in state.observation.reports if node_id in report.known_nodes)
        actions.append(Forget(node_id, knowing, f"{state.name(node_id)} failed and no pod has this id any more"))
    return RuleResult(tuple(actions))


def set_config_epochs(state: ClusterState) -> RuleResult:
    """Redis takes a config epoch by hand only from a node that knows no other. Masters that all begin with 0 would have
    to settle it among themselves, one after the other."""
    if state.is_formed:
        return RuleResult()
    actions: list[Action] = []
    for epoch, node in enumerate(state.desired.nodes, start=1):
        report = state.by_pod.get(node.pod)
        if report is not None and report.knows_only_itself and report.myself.config_epoch == 0:
            why = f"{report.name} gets config epoch {epoch}, so that no two masters have the same"
            actions.append(SetEpoch(report.node_id, epoch, why))
    return RuleResult(tuple(actions))


def _address(report: NodeReport) -> tuple[str, int]:
    """Where others are to meet a node; it may not know its own IP yet."""
    return report.myself.ip or report.ip, report.myself.port or report.port


def _meet(report: NodeReport, other: NodeReport, why: str) -> Meet:
    ip, port = _address(other)
    return Meet(report.node_id, other.node_id, ip, port, why)


def _in_handshake(report: NodeReport, other: NodeReport) -> bool:
    """A MEET is under way; another would start it anew."""
    address = _address(other)
    return any(entry.in_handshake and (entry.ip, entry.port) == address for entry in report.entries)


def _reaches(report: NodeReport, other: NodeReport) -> bool:
    """Whether a node knows another at the address it has now."""
    entry = report.known_nodes.get(other.node_id)
    return entry is not None and (entry.ip, entry.port) == _address(other) and not entry.address_lost


def _gossip_will_tell(report: NodeReport, other: NodeReport, member: NodeReport) -> bool:
    """Two nodes that never heard of each other hear it from a member that both are connected to. Of a node whose old
    address they know, gossip tells them nothing new."""
    if other.node_id in report.known_nodes:
        return False
    return all(_reaches(node, member) and _reaches(member, node) for node in (report, other))


def meet(state: ClusterState) -> RuleResult:
    """A newcomer is met by one member, and gossip tells the others. Members that lost each other's address meet each
    with each: after a restart of all pods with new addresses nobody is left whose gossip would reach the others."""
    main = state.main_cluster
    members = [report for report in state.desired_reports if report.node_id in main]
    owners = [report for report in state.observation.reports if report.node_id in main and report.myself.slots]
    if not owners and not members:
        return RuleResult()
    host = (owners or members)[0]
    actions: list[Action] = []
    notes: list[str] = []
    for report in state.desired_reports:
        if report.node_id in main:
            continue
        if report.keys:
            notes.append(f"{report.name} is in no cluster but holds {report.keys} keys: it is left alone")
        elif not _in_handshake(host, report):
            actions.append(_meet(host, report, f"{report.name} is not in the cluster"))
    for report in members:
        for other in members:
            known = report is other or _reaches(report, other)
            if known or _gossip_will_tell(report, other, host) or _in_handshake(report, other):
                continue
            what = "an old address of" if other.node_id in report.known_nodes else "nothing of"
            actions.append(_meet(report, other, f"{report.name} knows {what} {other.name}"))
    return RuleResult(tuple(actions), notes=tuple(notes))


def await_every_member(state: ClusterState) -> RuleResult:
    """Before any node leaves, all that stay must be there to be told, and it must be certain which ones leave.

    A pod that the topology wants and that DNS does not lead to would be taken for one that leaves, and emptied.
    """
    waiting = [
        f"{state.name(node_id)} is a member of the cluster and does not answer"
        for node_id in state.unreachable_ids
        if not is_agreed_failed(state, node_id) or node_id in state.slots_of_unreachable
    ]
    # A pod without a host name does not run: after an edit that shrinks and grows at once it is yet to be created.
    missing = [pod for pod in state.observation.missing if not pod.no_such_name]
    waiting += [f"{pod.pod}: {pod.reason}" for pod in missing]
    waiting += [
        f"{report.name} announces {report.myself.hostname}, which DNS does not lead to"
        for report in state.observation.reports
        if report.myself.hostname in state.missing_hosts
    ]
    return RuleResult(waiting=tuple(waiting))
