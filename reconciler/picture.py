"""One picture out of many views: who owns which slot, who belongs to whom, who is gone."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from reconciler.slots import ALL_SLOTS, NO_SLOTS, describe, even_split, slot_set
from reconciler.topology import Desired, DesiredNode
from reconciler.views import Observed, Row, View


class Picture:
    """Facts derived from what was observed, against what is wanted. Immutable by use; every property is pure.

    A node that answers is believed about its own slots. What an unreachable node owns is what others say of it.
    """

    def __init__(self, observed: Observed, desired: Desired) -> None:
        self.observed = observed
        self.desired = desired
        self.views: dict[str, View] = {view.node_id: view for view in observed.views}
        self.by_pod: dict[str, View] = {view.pod: view for view in observed.views if view.pod}

    @cached_property
    def desired_views(self) -> tuple[View, ...]:
        return tuple(self.by_pod[node.pod] for node in self.desired.nodes if node.pod in self.by_pod)

    @cached_property
    def desired_ids(self) -> frozenset[str]:
        return frozenset(view.node_id for view in self.desired_views)

    def name(self, node_id: str) -> str:
        """A name for people: the pod, else the announced host, else the address, with the start of the id."""
        if node_id in self.views:
            return self.views[node_id].name
        for row in self.rows_about(node_id):
            return f"{row.hostname or f'{row.ip}:{row.port}'} (id {node_id[:8]})"
        return f"id {node_id[:8]}"

    def rows_about(self, node_id: str) -> list[Row]:
        return [view.table[node_id] for view in self.observed.views if node_id in view.table]

    @cached_property
    def owned(self) -> dict[str, int]:
        """Slots by owner, among the nodes that answer."""
        return {view.node_id: view.me.slots for view in self.observed.views if view.is_master and view.me.slots}

    @cached_property
    def claimed(self) -> int:
        result = NO_SLOTS
        for slots in self.owned.values():
            result |= slots
        return result

    @cached_property
    def disputed(self) -> int:
        """Slots more than one answering node owns. Config epochs settle that within a few pings."""
        once, twice = NO_SLOTS, NO_SLOTS
        for slots in self.owned.values():
            twice |= once & slots
            once |= slots
        return twice

    @cached_property
    def absent_ids(self) -> tuple[str, ...]:
        """Nodes that stand in some table and do not answer."""
        known = {row.node_id for view in self.observed.views for row in view.rows if not row.in_handshake}
        return tuple(sorted(known - set(self.views)))

    @cached_property
    def absent_owned(self) -> dict[str, int]:
        """Slots by owner, among the nodes that do not answer; a slot an answering node owns is not theirs."""
        result = {}
        for node_id in self.absent_ids:
            slots = NO_SLOTS
            for row in self.rows_about(node_id):
                slots |= row.slots
            if slots & ~self.claimed:
                result[node_id] = slots & ~self.claimed
        return result

    @cached_property
    def holes(self) -> int:
        """Slots that no table gives to anybody."""
        taken = self.claimed
        for slots in self.absent_owned.values():
            taken |= slots
        return ALL_SLOTS & ~taken

    @property
    def formed_before(self) -> bool:
        return self.holes != ALL_SLOTS

    @cached_property
    def clusters(self) -> tuple[frozenset[str], ...]:
        """Answering nodes grouped by knowing each other (either way); more than one group: they have not met."""
        groups: list[set[str]] = []
        for view in self.observed.views:
            joined = {view.node_id} | (set(view.table) & set(self.views))
            for group in [group for group in groups if group & joined]:
                joined |= group
                groups.remove(group)
            groups.append(joined)
        return tuple(frozenset(group) for group in groups)

    def slots_known_in(self, group: frozenset[str]) -> int:
        slots = NO_SLOTS
        for node_id in group:
            for row in self.views[node_id].rows:
                slots |= row.slots
        return slots

    @cached_property
    def slot_clusters(self) -> tuple[frozenset[str], ...]:
        return tuple(group for group in self.clusters if self.slots_known_in(group))

    @cached_property
    def main_cluster(self) -> frozenset[str]:
        """The group the others are to join: the one with slots, else the one most desired nodes are in."""
        if self.slot_clusters:
            return self.slot_clusters[0]
        order = [view.node_id for view in self.desired_views]
        return max(
            self.clusters,
            key=lambda group: (
                len(group & self.desired_ids),
                -min((order.index(i) for i in group & set(order)), default=len(order)),
            ),
            default=frozenset(),
        )

    def shard_views(self, shard: int) -> tuple[View, ...]:
        """The shard's answering nodes, its initial master first."""
        return tuple(self.by_pod[node.pod] for node in self.desired.shard(shard) if node.pod in self.by_pod)

    def shard_master(self, shard: int) -> View | None:
        """The node that is, or is to be, the shard's one master: who owns most slots, else the initial master."""
        masters = [view for view in self.shard_views(shard) if view.is_master]
        owners = [view for view in masters if view.me.slots]
        if owners:
            return max(owners, key=lambda view: view.me.slots.bit_count())
        initial = self.desired.shard(shard)[0].pod
        return next((view for view in masters if view.pod == initial), masters[0] if masters else None)

    @cached_property
    def shard_masters(self) -> dict[int, View]:
        found = {shard: self.shard_master(shard) for shard in range(self.desired.shard_count)}
        return {shard: view for shard, view in found.items() if view is not None}

    @cached_property
    def splits(self) -> list[int]:
        return even_split(self.desired.shard_count)

    def node_of_host(self, hostname: str) -> DesiredNode | None:
        return next((node for node in self.desired.nodes if hostname and node.host == hostname), None)

    @cached_property
    def _missing_hosts(self) -> frozenset[str]:
        return frozenset(self.desired.node(missing.pod).host for missing in self.observed.missing)

    def replaced(self, node_id: str) -> bool:
        """Whether a node that does not answer can provably never come back: where it lived, another id answers.

        A StatefulSet runs at most one pod of a name, so the pod's announced name (or, without names, its address)
        answering with another id is proof that the old process is no more.
        """
        here = {view.node_id: view for view in self.desired_views}
        for row in self.rows_about(node_id):
            node = self.node_of_host(row.hostname)
            if node is not None:
                return node.pod in self.by_pod
            if row.ip and any((view.ip, view.port) == (row.ip, row.port) for view in here.values()):
                return True
        # Redis takes a node's address away (noaddr) when another id answers there. With every wanted pod answering,
        # there is no pod left the node could have moved to.
        return not self.observed.missing and any("noaddr" in row.flags for row in self.rows_about(node_id))

    def may_be_missing_pod(self, node_id: str) -> bool:
        """Whether an absent id may belong to a pod, of this topology or another, that may come back with it."""
        if any(row.hostname in self.observed.existing_hosts for row in self.rows_about(node_id)):
            return True
        if not self.observed.missing or self.replaced(node_id):
            return False
        names = {row.hostname for row in self.rows_about(node_id)} - {""}
        return not names or bool(names & self._missing_hosts)

    def silent_ms(self, node_id: str) -> float:
        """How long nobody has heard of a node; 0 when unknown."""
        heard = [row.silent_ms for row in self.rows_about(node_id) if row.silent_ms]
        return min(heard, default=0.0)

    def down(self, node_id: str) -> bool:
        """Whether every node that knows it holds an absent node for failed, or has lost its address."""
        rows = self.rows_about(node_id)
        return bool(rows) and all(row.failed or "noaddr" in row.flags for row in rows)

    def copies_of(self, master_id: str) -> list[View]:
        """Answering replicas of a master, the one with most of its data first."""
        copies = [view for view in self.observed.views if not view.is_master and view.me.master_id == master_id]
        return sorted(copies, key=lambda view: -view.replication_offset)

    @cached_property
    def unsettled_epochs(self) -> tuple[str, ...]:
        """Owners of slots whose config epoch is not theirs alone, or not known to every master.

        Two masters with one epoch settle that when they next ping each other: one raises its own. Should that be the
        source of a slot which has just gone to a target with the epoch before, the source outranks the target, takes
        the slot back, with it loses its keys, and a moment later is told that the slot is not its own.
        """
        masters = [view for view in self.observed.views if view.is_master]
        found = []
        for owner in masters:
            if not owner.me.slots:
                continue
            for other in masters:
                row = other.table.get(owner.node_id)
                if other is not owner and other.me.epoch == owner.me.epoch:
                    found.append(f"{owner.name} and {other.name} have the same config epoch")
                elif row is not None and row.epoch != owner.me.epoch:
                    found.append(f"{other.name} does not know the config epoch of {owner.name} yet")
        return tuple(found)

    def cannot_receive(self, targets: Iterable[str]) -> tuple[str, ...]:
        """What must come true before slots are given to nodes."""
        closed = [f"{self.name(target)} does not serve yet" for target in sorted(targets) if not self.serves(target)]
        return (*closed, *((some(self.unsettled_epochs),) if self.unsettled_epochs else ()))

    def serves(self, node_id: str) -> bool:
        """Whether a node would serve slots given to it. One that has just joined refuses every command for up to 5 s
        (`clusterUpdateState` in the source of Redis), and says so."""
        view = self.views.get(node_id)
        return view is not None and view.cluster_ok

    def in_step(self, copy: View) -> bool:
        """Whether a replica could take over from its living master at once.

        A link that is up is not enough: during a hand-over the master holds back writes until the replica has them all.
        """
        master = self.views.get(copy.me.master_id or "")
        return copy.link_up and master is not None and master.replicas_online >= len(self.copies_of(master.node_id))

    @cached_property
    def has_majority(self) -> bool:
        """Whether most masters with slots answer: without that, no vote can promote a replica."""
        return len(self.owned) > len(self.absent_owned)

    @cached_property
    def other_movers(self) -> frozenset[str]:
        names = {name for view in self.observed.views for name in view.movers}
        return frozenset(names - {self.observed.own_mover})

    @cached_property
    def disagreements(self) -> tuple[str, ...]:
        """What the desired nodes do not yet agree on: who belongs to them, and who owns what."""
        found = []
        for view in self.desired_views:
            # Redis does not update the owner of a slot it imports from what it hears.
            importing = slot_set(slot for slot, _ in view.me.importing)
            for other in self.desired_views:
                row = view.table.get(other.node_id)
                if row is None:
                    found.append(f"{view.name} does not know {other.name} yet")
                elif other is not view and (row.suspected or not row.connected):
                    found.append(f"{view.name} is not connected to {other.name} yet")
                elif (row.slots ^ other.me.slots) & ~importing and (other.is_master or row.slots):
                    found.append(
                        f"{view.name} gives {other.name} {describe(row.slots)}, which has {describe(other.me.slots)}"
                    )
                elif row.is_master != other.is_master:
                    found.append(f"{view.name} does not know the role of {other.name} yet")
        if self.disputed:
            found.append(f"more than one node owns {describe(self.disputed)}")
        return tuple(found)


def some(texts: Iterable[str], most: int = 3) -> str:
    """The first few of many texts, for one log line."""
    listed = list(texts)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return "; ".join(listed[:most]) + more
