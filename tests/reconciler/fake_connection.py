"""A connection to a node of the cluster of dictionaries: pipelines, transactions, and being killed in between."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from reconciler.connection import REPLY_TIMEOUT_S, Argument, Reply, ReplyError, UnreachableError
from reconciler.credentials import Credentials
from tests.reconciler.fake_commands import answer
from tests.reconciler.fake_node import DATA, HARMLESS, READS, Killed

if TYPE_CHECKING:
    from tests.reconciler.fake_cluster import FakeCluster
    from tests.reconciler.refusals import Refusal


class FakeConnection:
    """A connection to whatever lives at an IP."""

    def __init__(self, world: FakeCluster, ip: str, name: str) -> None:
        self._world = world
        self._ip = ip
        self._name = name
        self._is_open = False
        self.credentials = Credentials()
        self._queue: list[list[str]] | None = None
        self._watched: list[bytes] = []

    def call(self, *arguments: Argument, timeout_s: float = REPLY_TIMEOUT_S) -> Reply:
        if refusal := self._refusal():
            return refusal.call()
        reply = self.pipeline([arguments])[0]
        if isinstance(reply, ReplyError):
            raise reply
        return reply

    def close(self) -> None:
        if self._is_open:
            self._world.named_connections[self._ip, self._name] -= 1
            self._is_open = False

    def pipeline(
        self, commands: Sequence[Sequence[Argument]], timeout_s: float = REPLY_TIMEOUT_S
    ) -> list[Reply | ReplyError]:
        if refusal := self._refusal():
            return refusal.pipeline(len(commands))
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

    def _refusal(self) -> Refusal | None:
        after = self._world.refuses_after
        if after is not None and len(self._world.writes) >= after[0]:
            self._world.refusals[after[1]], self._world.refuses_after = after[2], None
        refusal = self._world.refusals.get(self._ip)
        if refusal is not None and refusal.takes_s:
            self._world.sleep(refusal.takes_s)
        return refusal

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
        marks = any("SETSLOT" in words for words in queue)
        assert not (world.is_valkey and marks), (
            "its own assertion ends a Valkey that has to mark a slot in a transaction"
        )
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
            raise UnreachableError("nothing answers")
        if self._name and not self._is_open:
            world.named_connections[self._ip, self._name] += 1
            self._is_open = True
        asks = words[0] == "CLUSTER" and (words[1] in READS or words[1:3] == ["MIGRATION", "STATUS"])
        write = not (words[0] in HARMLESS or asks or words[1:2] == ["LIST"])
        if write and world.kill_at is not None and len(world.writes) == world.kill_at and not world.kill_after:
            raise Killed
        if write and words[0] in DATA and self._ip in world.refuses_writes:
            return ReplyError(str(world.refuses_writes[self._ip].of_pipeline))
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
