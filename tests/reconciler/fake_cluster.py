"""A Redis Cluster made of dictionaries that answers the commands the reconciler sends, for generated tests.

It keeps the rules that matter: each node has a table of its own, gossip spreads over known and living nodes, the higher
config epoch owns a slot, a node that loses a slot drops its keys, a replica copies its master, a majority of masters
promotes the replica of a dead one. Every write can be the moment the reconciler is killed, before or after it is done.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from reconciler.link import (
    REPLY_TIMEOUT_S,
    Address,
    Argument,
    Link,
    LinkError,
    NameAbsentError,
    NameUnknownError,
    Reply,
    ReplyError,
)
from reconciler.slots import NO_SLOTS, members, slot_set
from tests.reconciler.fake_commands import answer
from tests.reconciler.fake_node import ACK_S, HARMLESS, READS, Killed, Known, Node


class FakeCluster:
    """The world: nodes by IP, names in DNS, a clock that only sleeping moves."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.graveyard: list[Node] = []
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
        self.other_mover = False
        self.precious: set[bytes] = set()
        self.dropped: list[tuple[float, str]] = []
        self.key_bytes = 100
        self.changing: dict[bytes, int] = {}
        """Keys that clients write while they are watched, and how often."""
        self.deleting: set[bytes] = set()
        """Keys that clients delete while they are watched."""
        self.deleted: set[bytes] = set()
        self._ids = itertools.count(1)

    # The network as the reconciler sees it.

    def connect(self, address: Address) -> Link:
        return FakeLink(self, address[0])

    def resolve(self, host: str) -> list[str]:
        if host not in self.names:
            raise NameAbsentError(f"DNS has no address for {host}")
        ip = self.names[host]
        if ip is None:
            raise NameUnknownError(f"DNS did not answer for {host}")
        return [ip]

    def now(self) -> float:
        return self.time_s

    def sleep(self, seconds: float) -> None:
        self.time_s += max(seconds, 0.001)
        self.gossip()

    # The world's own ways.

    def start(self, pod: str, ip: str, node_id: str | None = None) -> Node:
        """A pod starts: with a new id when it has no volume, else as the node it was, without its keys."""
        host = f"{pod}.test"
        old = next((node for node in self.nodes.values() if node.node_id == node_id), None) if node_id else None
        node = Node(node_id or f"{next(self._ids):040x}", ip, host)
        if old is not None:
            node.epoch, node.master_id, node.table, node.slots = old.epoch, old.master_id, old.table, old.slots
            node.migrating, node.importing = old.migrating, old.importing
        gone = [kept for kept in self.nodes.values() if kept.ip == ip or kept.hostname == host]
        for kept in gone:
            kept.alive = False
            del self.nodes[kept.ip]
        self.graveyard += [kept for kept in gone if kept.node_id != node_id]
        self.nodes[ip] = node
        self.names[host] = ip
        return node

    def by_id(self, node_id: str | None) -> Node | None:
        return next((node for node in self.ever() if node.node_id == node_id), None)

    def ever(self) -> list[Node]:
        return [*self.nodes.values(), *self.graveyard]

    def living(self) -> list[Node]:
        return [node for node in self.nodes.values() if node.alive]

    def all_keys(self) -> set[bytes]:
        return {key for node in self.living() for key in node.all_keys()}

    def delete(self, key: bytes) -> None:
        """As a client does, at the slot's owner and with it at its replicas."""
        slot = int(key.split(b":")[0])
        for owner in self.living():
            if owner.slots >> slot & 1 and owner.master_id is None:
                owner.keys.get(slot, set()).discard(key)
                for copy in self.living():
                    if copy.master_id == owner.node_id:
                        copy.keys.get(slot, set()).discard(key)
        self.precious.discard(key)
        self.deleted.add(key)

    def gossip(self) -> None:
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
                known.failed = there is None or not there.alive
                if not known.failed:
                    known.heard_s = self.time_s
        self._elect()
        for node in self.living():
            master = self.by_id(node.master_id)
            was_linked = node.linked
            node.linked = bool(node.master_id and master and master.alive and master.master_id is None)
            if node.linked and not was_linked:
                node.linked_s = self.time_s
            if node.linked and master is not None:
                node.keys = {slot: set(keys) for slot, keys in master.keys.items()}

    def _hear(self, node: Node, other: Node) -> None:
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
        node.table[other.node_id] = Known(other.ip, other.master_id, other.epoch, node.table[other.node_id].slots)
        if other.master_id is None:
            self._claims(node, other.node_id, other.slots, other.epoch)
        else:
            node.table[other.node_id].slots = NO_SLOTS
        for node_id, known in other.table.items():
            fresh = node_id not in node.table and node_id != node.node_id and not known.failed
            if fresh and node.banned.get(node_id, 0) <= self.time_s:
                node.table[node_id] = Known(known.ip, known.master_id, known.epoch)

    def _claims(self, node: Node, claimer: str, slots: int, epoch: int) -> None:
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
        for dead in [node for node in owners if not node.alive]:
            copies = [node for node in self.living() if node.master_id == dead.node_id and dead.node_id in node.table]
            if copies:
                self.promote(copies[0], dead)

    def promote(self, copy: Node, former: Node) -> None:
        copy.epoch = 1 + max(node.epoch for node in self.ever())
        copy.master_id, copy.slots = None, former.slots
        for known in copy.table.values():
            known.slots &= ~copy.slots
        if former.alive:
            former.master_id, former.slots = copy.node_id, NO_SLOTS
            former.migrating, former.importing = {}, {}
        else:
            former.slots = NO_SLOTS

    def online(self, master: Node) -> list[Node]:
        """Replicas that get the writes as they come: only some time after their link is up."""
        replicas = [node for node in self.living() if node.master_id == master.node_id and node.linked]
        return [node for node in replicas if self.time_s - node.linked_s >= ACK_S]

    def check(self) -> None:
        lost = self.precious - self.all_keys()
        assert not lost, f"{len(lost)} keys are lost after {self.writes[-1:]}"


class FakeLink:
    """A connection to whatever lives at an IP."""

    def __init__(self, world: FakeCluster, ip: str) -> None:
        self._world = world
        self._ip = ip
        self._queue: list[list[str]] | None = None
        self._watched: list[bytes] = []

    def call(self, *arguments: Argument, timeout_s: float = REPLY_TIMEOUT_S) -> Reply:
        reply = self.pipeline([arguments])[0]
        if isinstance(reply, ReplyError):
            raise reply
        return reply

    def close(self) -> None:
        return None

    def pipeline(
        self, commands: Sequence[Sequence[Argument]], timeout_s: float = REPLY_TIMEOUT_S
    ) -> list[Reply | ReplyError]:
        replies: list[Reply | ReplyError] = []
        before = len(self._world.writes)
        for command in commands:
            replies.append(self._one([word.decode() if isinstance(word, bytes) else str(word) for word in command]))
        written = [words for _, words in self._world.writes[before:]]
        if any(words[0] not in ("MIGRATE", "UNLINK") and words[1] != "SETSLOT" for words in written):
            # The bus is as fast as clients are: by the next round trip every node has heard.
            self._world.gossip()
            self._world.check()
        return replies

    def _one(self, words: list[str]) -> Reply | ReplyError:
        if words == ["MULTI"]:
            self._queue = []
            return b"OK"
        if words == ["EXEC"]:
            queue, self._queue = self._queue or [], None
            watched, self._watched = self._watched, []
            if any(self._written_meanwhile(key) for key in watched):
                return None
            return self._transaction(queue)
        if words[0] == "WATCH":
            assert not self._watched, "watched from an earlier slot"
            self._watched = [key.encode() for key in words[1:]]
        if words == ["UNWATCH"]:
            self._watched = []
        if self._queue is not None:
            self._queue.append(words)
            return b"QUEUED"
        return self._now(words)

    def _written_meanwhile(self, key: bytes) -> bool:
        left = self._world.changing.get(key, 0)
        self._world.changing[key] = max(0, left - 1)
        if key in self._world.deleting:
            self._world.delete(key)
        return left > 0 or key in self._world.deleting

    def _transaction(self, queue: list[list[str]]) -> Reply | ReplyError:
        """All or nothing as far as a kill goes; an error of one command does not stop the next."""
        world = self._world
        if world.kill_at is not None and len(world.writes) + len(queue) > world.kill_at and not world.kill_after:
            raise Killed
        kill_at, world.kill_at = world.kill_at, None
        replies: list[Reply] = []
        for words in queue:
            reply = self._now(words)
            replies.append(reply if not isinstance(reply, ReplyError) else str(reply).encode())
        world.kill_at = kill_at
        if kill_at is not None and len(world.writes) > kill_at:
            raise Killed
        return replies

    def _now(self, words: list[str]) -> Reply | ReplyError:
        world = self._world
        node = world.nodes.get(self._ip)
        if node is None or not node.alive:
            raise LinkError("nothing answers")
        write = not (words[0] in HARMLESS or (words[0] == "CLUSTER" and words[1] in READS))
        if write and world.kill_at is not None and len(world.writes) == world.kill_at and not world.kill_after:
            raise Killed
        try:
            reply = answer(world, node, words)
        except ReplyError as error:
            return error
        if write:
            world.writes.append((node.hostname, tuple(words)))
            if words[0] == "MIGRATE":
                world.check()
            if (world.kill_at is not None and len(world.writes) > world.kill_at) or world.kill_at_word in words:
                raise Killed
        return reply
