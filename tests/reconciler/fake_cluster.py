"""A Redis Cluster made of dictionaries that answers the commands the reconciler sends, for generated tests.

It keeps the rules that matter: each node has a table of its own, gossip spreads over known and living nodes, the higher
config epoch owns a slot, a node that loses a slot drops its keys, a replica receives its master's writes, a majority of
masters promotes the replica of a dead one that has received most. Every write can be the moment when the reconciler is
killed, before or after it is done. Failures are noticed, elections held and DNS updated as late as a test says.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable

from reconciler.connection import Address, Connection, NameNotResolvedError, NoSuchNameError
from reconciler.observe.native_jobs import NativeWay
from reconciler.slots import NO_SLOTS, members, slot_set
from tests.reconciler.fake_connection import FakeConnection
from tests.reconciler.fake_native import FakeJob, settle
from tests.reconciler.fake_node import ACK_S, FakeNode, KnownNode
from tests.reconciler.refusals import Refusal

OTHER_RUN = "reconciler-mover:form:00000000"


class FakeCluster:
    """The world: nodes by IP, names in DNS, a clock that only sleeping moves."""

    def __init__(self) -> None:
        self.nodes: dict[str, FakeNode] = {}
        self.graveyard: list[FakeNode] = []
        self.names: dict[str, str | None] = {}
        self.time_s = 0.0
        self.writes: list[tuple[str, tuple[str, ...]]] = []
        self.kill_at: int | None = None
        self.kill_after = False
        self.kill_at_word: str | None = None
        """The reconciler is killed after the first command with this word."""
        self.epochs_settle_s = 0.0
        """Until then masters of one config epoch have not pinged each other."""
        self.clients = False
        self.is_valkey = False
        self.native_way: NativeWay | None = None
        """How nodes move slots by themselves."""
        self.jobs: list[FakeJob] = []
        self.job_s = 1.0
        """How long a job takes by which nodes move slots themselves."""
        self.failing_jobs: list[str] = []
        """Why the next of them fail."""
        self.refuses_jobs = ""
        """Why nodes refuse to begin any."""
        self.named_connections: Counter[tuple[str, str]] = Counter()
        """Open connections that have a name, by the IP they lead to."""
        self.fails_after_s = 0.0
        """So long after a node's death the others agree that it failed."""
        self.elects_after_s = 0.0
        """So long after that a replica is elected."""
        self.events: list[tuple[float, Callable[[], None]]] = []
        """What happens at a time, whatever the reconciler does."""
        self.dns_ttl_s = 0.0
        """So long DNS leads to the old address of a pod that has a new one."""
        self.precious: set[bytes] = set()
        self.dropped: list[tuple[float, str]] = []
        self.key_bytes = 100
        self.changing: dict[bytes, int] = {}
        """Keys that clients write while they are watched, and how often."""
        self.deleting: set[bytes] = set()
        """Keys that clients delete while they are watched."""
        self.deleted: set[bytes] = set()
        self.functions: set[str] = set()
        """Libraries that a master must have before it gets a slot from another."""
        self.refusals: dict[str, Refusal] = {}
        """How nodes answer that refuse every command, by IP. The others still hear them on the cluster bus."""
        self.refuses_writes: dict[str, Refusal] = {}
        """How nodes answer that refuse what adds to their data or removes from it, by IP."""
        self.refuses_after: tuple[int, str, Refusal] | None = None
        """After so many writes the node at an IP begins to refuse."""
        self._stale_names: dict[str, tuple[str, float]] = {}
        self._ids = itertools.count(1)

    # The network as the reconciler sees it.

    def connect(self, address: Address) -> Connection:
        return FakeConnection(self, address[0], "")

    def named(self, name: str) -> NamedNetwork:
        return NamedNetwork(self, name)

    def resolve(self, host: str) -> list[str]:
        if host not in self.names:
            raise NoSuchNameError(f"DNS has no address for {host}")
        old_ip, until_s = self._stale_names.get(host, ("", 0.0))
        ip = old_ip if self.time_s < until_s else self.names[host]
        if ip is None:
            raise NameNotResolvedError(f"DNS did not answer for {host}")
        return [ip]

    def now(self) -> float:
        return self.time_s

    def sleep(self, seconds: float) -> None:
        self.time_s += max(seconds, 0.001)
        due = [happen for when_s, happen in self.events if when_s <= self.time_s]
        self.events = [(when_s, happen) for when_s, happen in self.events if when_s > self.time_s]
        for happen in due:
            happen()
        settle(self)
        self.gossip()

    # The world's own ways.

    def start(self, pod: str, ip: str, node_id: str | None = None) -> FakeNode:
        """A pod starts: with a new id when it has no volume, else as the node it was, without its keys."""
        host = f"{pod}.test"
        old = next((node for node in self.nodes.values() if node.node_id == node_id), None) if node_id else None
        node = FakeNode(node_id or f"{next(self._ids):040x}", ip, host, alive_s=self.time_s)
        if old is not None:
            node.epoch, node.master_id, node.table, node.slots = old.epoch, old.master_id, old.table, old.slots
            node.migrating, node.importing = old.migrating, old.importing
        gone = [kept for kept in self.nodes.values() if kept.ip == ip or kept.hostname == host]
        for kept in gone:
            kept.alive = False
            del self.nodes[kept.ip]
        self.graveyard += [kept for kept in gone if kept.node_id != node_id]
        self.nodes[ip] = node
        old_ip = self.names.get(host)
        if old_ip is not None and old_ip != ip:
            self._stale_names[host] = (old_ip, self.time_s + self.dns_ttl_s)
        self.names[host] = ip
        self.named_connections = Counter({key: n for key, n in self.named_connections.items() if key[0] != ip})
        return node

    def by_id(self, node_id: str | None) -> FakeNode | None:
        return next((node for node in self.ever() if node.node_id == node_id), None)

    def ever(self) -> list[FakeNode]:
        return [*self.nodes.values(), *self.graveyard]

    def living(self) -> list[FakeNode]:
        return [node for node in self.nodes.values() if node.alive]

    def all_keys(self) -> set[bytes]:
        return {key for node in self.living() for key in node.all_keys()}

    def delete(self, key: bytes) -> None:
        """As a client does, at the slot's owner and with it at its replicas."""
        slot = int(key.split(b":")[0])
        for owner in self.living():
            if owner.slots >> slot & 1 and owner.master_id is None:
                owner.keys.get(slot, set()).discard(key)
                for replica in self.living():
                    if replica.master_id == owner.node_id:
                        replica.keys.get(slot, set()).discard(key)
        self.precious.discard(key)
        self.deleted.add(key)

    def write(self, key: bytes) -> None:
        """As a client does, at the slot's owner. Replicas receive it with the next gossip."""
        slot = int(key.split(b":")[0])
        owner = next(node for node in self.living() if node.slots >> slot & 1 and node.master_id is None)
        owner.keys.setdefault(slot, set()).add(key)
        owner.offset += self.key_bytes

    def other_run_begins(self) -> None:
        """Another run of the reconciler changes the cluster from now on."""
        self.named_connections.update((node.ip, OTHER_RUN) for node in self.living() if node.master_id is None)

    def other_run_ends(self) -> None:
        for key in [key for key in self.named_connections if key[1] == OTHER_RUN]:
            del self.named_connections[key]

    def end_process(self) -> None:
        """The reconciler's process has ended, and with it its connections."""
        for key in [key for key in self.named_connections if key[1] != OTHER_RUN]:
            del self.named_connections[key]

    def gossip(self) -> None:
        for node in self.living():
            node.alive_s = self.time_s
        for _ in range(2):
            for node in self.living():
                for other in self.living():
                    known = node.table.get(other.node_id)
                    mutual = node.node_id in other.table
                    if node is not other and known is not None and mutual and known.ip == other.ip:
                        self._hear(node, other)
        for node in self.living():
            for node_id, known in node.table.items():
                there = self.by_id(node_id)
                if there is not None and there.alive:
                    known.failed, known.heard_s = False, self.time_s
                else:
                    # A node that was never heard of has no time of its own.
                    last_s = there.alive_s if there is not None else -self.fails_after_s
                    known.failed = self.time_s - last_s >= self.fails_after_s
        self._elect()
        for node in self.living():
            master = self.by_id(node.master_id)
            was_linked = node.linked
            node.linked = bool(node.master_id and master and master.alive and master.master_id is None)
            if node.linked and not was_linked:
                node.linked_s = self.time_s
            if node.linked and master is not None and not node.stalled:
                node.keys = {slot: set(keys) for slot, keys in master.keys.items()}
                node.libraries = dict(master.libraries)
                node.offset = master.offset

    def _hear(self, node: FakeNode, other: FakeNode) -> None:
        """`node` gets a ping of `other`: its role, its slots, and whom it knows."""
        old = node.table[other.node_id]
        settles = self.time_s >= self.epochs_settle_s
        if settles and node.epoch == other.epoch and node.master_id is None and other.master_id is None:
            # Redis settles it so: the lower id gets a new epoch.
            lower = min(node, other, key=lambda one: one.node_id)
            lower.epoch = 1 + max([lower.epoch, *(known.epoch for known in lower.table.values())])
        same = (old.ip, old.master_id, old.epoch, old.slots) == (other.ip, other.master_id, other.epoch, other.slots)
        if same and not node.slots & other.slots and other.table.keys() - {node.node_id} <= node.table.keys():
            return
        node.table[other.node_id] = KnownNode(other.ip, other.master_id, other.epoch, node.table[other.node_id].slots)
        if other.master_id is None:
            self._claims(node, other.node_id, other.slots, other.epoch)
        else:
            node.table[other.node_id].slots = NO_SLOTS
        for node_id, known in other.table.items():
            fresh = node_id not in node.table and node_id != node.node_id and not known.failed
            if fresh and node.banned.get(node_id, 0) <= self.time_s:
                node.table[node_id] = KnownNode(known.ip, known.master_id, known.epoch)

    def _claims(self, node: FakeNode, claimer: str, slots: int, epoch: int) -> None:
        if node.deaf:
            return
        for node_id, known in node.table.items():
            if node_id != claimer and known.slots & slots and known.epoch < epoch:
                known.slots &= ~slots
        # A slot that is being imported does not learn its owner by gossip.
        slots &= ~slot_set(node.importing)
        taken = NO_SLOTS
        for node_id, known in node.table.items():
            taken |= known.slots if node_id != claimer else NO_SLOTS
        mine = node.slots & slots
        if mine and node.master_id is None:
            if node.epoch < epoch:
                node.slots &= ~mine
                for slot in members(mine):
                    node.keys.pop(slot, None)
                    node.migrating.pop(slot, None)
            else:
                taken |= mine
        # A slot that a node stops claiming stays its own in this table until somebody else claims it.
        node.table[claimer].slots = (node.table[claimer].slots | slots) & ~taken

    def _elect(self) -> None:
        owners = [node for node in self.ever() if node.slots and node.master_id is None]
        alive = [node for node in owners if node.alive]
        if len(alive) * 2 <= len(owners):
            return
        late_s = self.fails_after_s + self.elects_after_s
        for dead in [node for node in owners if not node.alive and self.time_s - node.alive_s >= late_s]:
            replicas = [node for node in self.living() if node.master_id == dead.node_id and dead.node_id in node.table]
            if replicas:
                self.promote(max(replicas, key=lambda node: node.offset), dead)

    def promote(self, replica: FakeNode, former: FakeNode) -> None:
        replica.epoch = 1 + max(node.epoch for node in self.ever())
        replica.master_id, replica.slots = None, former.slots
        for known in replica.table.values():
            known.slots &= ~replica.slots
        if former.alive:
            former.master_id, former.slots = replica.node_id, NO_SLOTS
            former.migrating, former.importing = {}, {}
        else:
            former.slots = NO_SLOTS

    def online(self, master: FakeNode) -> list[FakeNode]:
        """Replicas that get the writes as they come: only some time after their link is up."""
        replicas = [node for node in self.living() if node.master_id == master.node_id and node.linked]
        return [node for node in replicas if self.time_s - node.linked_s >= ACK_S]

    def check(self) -> None:
        lost = self.precious - self.all_keys()
        assert not lost, f"{len(lost)} keys are lost after {self.writes[-1:]}"


class NamedNetwork:
    """The same world through connections that have a name."""

    def __init__(self, world: FakeCluster, name: str) -> None:
        self._world = world
        self._name = name

    def connect(self, address: Address) -> Connection:
        return FakeConnection(self._world, address[0], self._name)

    def resolve(self, host: str) -> list[str]:
        return self._world.resolve(host)

    def now(self) -> float:
        return self._world.now()

    def sleep(self, seconds: float) -> None:
        self._world.sleep(seconds)
