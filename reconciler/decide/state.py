"""One state of the cluster out of many reports: who owns which slot, who replicates whom, who does not answer."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from reconciler.addresses import with_port
from reconciler.observe.cluster_nodes import NodeEntry
from reconciler.observe.observation import NodeReport, Observation
from reconciler.slots import ALL_SLOTS, NO_SLOTS, count, even_split
from reconciler.topology import Topology, TopologyNode


class ClusterState:
    """Facts derived from what was observed, beside what is wanted. Never changed; every property is pure.

    A node that answers is believed about its own slots. What a node owns that does not answer is what others report.
    """

    def __init__(self, observation: Observation, desired: Topology) -> None:
        self.observation = observation
        self.desired = desired
        self.reports: dict[str, NodeReport] = {report.node_id: report for report in observation.reports}
        self.by_pod: dict[str, NodeReport] = {report.pod: report for report in observation.reports if report.pod}

    @cached_property
    def desired_reports(self) -> tuple[NodeReport, ...]:
        """Reports of the topology's pods, in its order, as far as they answer."""
        return tuple(self.by_pod[node.pod] for node in self.desired.nodes if node.pod in self.by_pod)

    @cached_property
    def desired_ids(self) -> frozenset[str]:
        return frozenset(report.node_id for report in self.desired_reports)

    @cached_property
    def masters(self) -> tuple[NodeReport, ...]:
        """All masters that answer, with slots or without."""
        return tuple(report for report in self.observation.reports if report.is_master)

    def name(self, node_id: str) -> str:
        """A name for people: the pod, else the announced host name, else the address, with the start of the id."""
        if node_id in self.reports:
            return self.reports[node_id].name
        for entry in self.entries_about(node_id):
            return f"{entry.hostname or with_port(entry.ip, entry.port)} (id {node_id[:8]})"
        return f"id {node_id[:8]}"

    def entries_about(self, node_id: str) -> list[NodeEntry]:
        """What each node that answers, and knows the node, says of it."""
        return [r.known_nodes[node_id] for r in self.observation.reports if node_id in r.known_nodes]

    # Who owns which slot.

    @cached_property
    def slots_by_owner(self) -> dict[str, int]:
        """Slots by the id of their owner, among the masters that answer."""
        return {report.node_id: report.myself.slots for report in self.masters if report.myself.slots}

    @cached_property
    def owned_slots(self) -> int:
        """All slots that masters which answer own."""
        return _union(self.slots_by_owner.values())

    @cached_property
    def disputed_slots(self) -> int:
        """Slots that more than one master claims. Config epochs settle that within a few pings."""
        once, twice = NO_SLOTS, NO_SLOTS
        for slots in self.slots_by_owner.values():
            twice |= once & slots
            once |= slots
        return twice

    @cached_property
    def unreachable_ids(self) -> tuple[str, ...]:
        """Nodes that some node knows, and that do not answer."""
        known = {node_id for report in self.observation.reports for node_id in report.known_nodes}
        return tuple(sorted(known - set(self.reports)))

    @cached_property
    def slots_of_unreachable(self) -> dict[str, int]:
        """Slots by the id of their owner, among the nodes that do not answer. A slot that a master which answers claims
        is not theirs any more."""
        result = {}
        for node_id in self.unreachable_ids:
            slots = _union(entry.slots for entry in self.entries_about(node_id)) & ~self.owned_slots
            if slots:
                result[node_id] = slots
        return result

    @cached_property
    def unowned_slots(self) -> int:
        """Slots that no node owns, by any account."""
        return ALL_SLOTS & ~(self.owned_slots | _union(self.slots_of_unreachable.values()))

    def refusal_of(self, node_id: str) -> str | None:
        """The error that a wanted pod answered with which is known as this node; None when it gave no answer."""
        for entry in self.entries_about(node_id):
            for missing in self.observation.missing:
                if missing.lives and self.desired.node(missing.pod).host in (entry.hostname, entry.ip):
                    return missing.reason
        return None

    @property
    def is_formed(self) -> bool:
        """Whether anybody owns a slot: there is a cluster, or what is left of one."""
        return self.unowned_slots != ALL_SLOTS

    @cached_property
    def has_majority(self) -> bool:
        """Whether most masters with slots answer. Without that no vote can promote a replica."""
        return len(self.slots_by_owner) > len(self.slots_of_unreachable)

    # Which nodes know each other.

    @cached_property
    def clusters(self) -> tuple[frozenset[str], ...]:
        """Ids of the nodes that answer, in groups that know each other (either way). Groups have not met yet."""
        groups: list[set[str]] = []
        for report in self.observation.reports:
            joined = {report.node_id} | (set(report.known_nodes) & set(self.reports))
            for group in [group for group in groups if group & joined]:
                joined |= group
                groups.remove(group)
            groups.append(joined)
        return tuple(frozenset(group) for group in groups)

    def slots_known_in(self, cluster: frozenset[str]) -> int:
        """Slots that have an owner, according to any node of the group."""
        return _union(entry.slots for node_id in cluster for entry in self.reports[node_id].entries)

    @cached_property
    def clusters_with_slots(self) -> tuple[frozenset[str], ...]:
        return tuple(cluster for cluster in self.clusters if self.slots_known_in(cluster))

    @cached_property
    def main_cluster(self) -> frozenset[str]:
        """The group that the others are to join: the one with slots, else the one with the most wanted pods in it. Of
        groups of one size it is the one with the topology's first pod, so that every run chooses the same."""
        if self.clusters_with_slots:
            return self.clusters_with_slots[0]
        order = [report.node_id for report in self.desired_reports]

        def rank(cluster: frozenset[str]) -> tuple[int, int]:
            first = min((order.index(node_id) for node_id in cluster & set(order)), default=len(order))
            return len(cluster & self.desired_ids), -first

        return max(self.clusters, key=rank, default=frozenset())

    # Who replicates whom.

    def shard_reports(self, shard: int) -> tuple[NodeReport, ...]:
        """Reports of the shard's pods that answer, its initial master first."""
        return tuple(self.by_pod[node.pod] for node in self.desired.shard(shard) if node.pod in self.by_pod)

    def _shard_master(self, shard: int) -> NodeReport | None:
        masters = [report for report in self.shard_reports(shard) if report.is_master]
        # max() takes the first of equals, and the initial master comes first.
        return max(masters, key=lambda report: count(report.myself.slots), default=None)

    @cached_property
    def shard_masters(self) -> dict[int, NodeReport]:
        """By shard the node that is, or is to be, its one master: which owns most slots, else the initial master, else
        any. A shard without a master that answers is left out."""
        found = {shard: self._shard_master(shard) for shard in range(self.desired.shard_count)}
        return {shard: report for shard, report in found.items() if report is not None}

    def replicas_of(self, master_id: str) -> list[NodeReport]:
        """Replicas of a master that answer, the one that has received most of its writes first."""
        reports = self.observation.reports
        replicas = [report for report in reports if not report.is_master and report.myself.master_id == master_id]
        return sorted(replicas, key=lambda report: -report.replication_offset)

    def is_caught_up(self, replica: NodeReport) -> bool:
        """Whether a replica could take over from its master, which lives, at once.

        Its connection being up is not enough: during a failover the master holds back writes until the replica has
        received them all. So all replicas of the master must confirm what they receive.
        """
        master = self.reports.get(replica.myself.master_id or "")
        if master is None or not replica.master_link_up:
            return False
        return master.replicas_online >= len(self.replicas_of(master.node_id))

    # What is wanted.

    @cached_property
    def even_layout(self) -> list[int]:
        """Slots by shard as a new cluster gets them."""
        return even_split(self.desired.shard_count)

    def node_of_host(self, hostname: str) -> TopologyNode | None:
        return next((node for node in self.desired.nodes if hostname and node.host == hostname), None)

    @cached_property
    def missing_hosts(self) -> frozenset[str]:
        return frozenset(self.desired.node(missing.pod).host for missing in self.observation.missing)

    @cached_property
    def other_runs(self) -> frozenset[str]:
        """Names of other runs of the reconciler that are changing the cluster now."""
        names = {name for report in self.observation.reports for name in report.run_names}
        return frozenset(names - {self.observation.own_run})


def _union(slot_sets: Iterable[int]) -> int:
    result = NO_SLOTS
    for slots in slot_sets:
        result |= slots
    return result


def first_few(texts: Iterable[str], most: int = 3) -> str:
    """The first few of many texts, for one line of a log."""
    listed = list(texts)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return "; ".join(listed[:most]) + more
