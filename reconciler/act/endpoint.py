"""One end of a move, source or target, and what is asked of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.act.ownership import checked, own, run_by_slot
from reconciler.connection import Address, Argument, Connection, Reply, ReplyError, integer, text
from reconciler.observe.cluster_nodes import NodeEntry, parse_cluster_nodes

KEYS_PER_ROUND = 256
MAX_STALLED_ROUNDS = 20
"""After so many rounds that found the same keys again, something keeps them there, and more rounds would not help."""


class TargetFullError(Exception):
    """The target refuses keys because it has no memory left."""


@dataclass(frozen=True)
class Endpoint:
    """A master that slots leave or come to: id, name for people, address, connection.

    `takes_marks_in_transactions`: see `NodeReport`. `more_connections` are for commands of which a node answers one of
    a connection at a time: a Valkey answers `SETSLOT` when its replicas have it, a round trip between zones for each.
    """

    node_id: str
    name: str
    address: Address
    connection: Connection
    takes_marks_in_transactions: bool = True
    more_connections: tuple[Connection, ...] = ()

    @property
    def _connections(self) -> tuple[Connection, ...]:
        return (self.connection, *self.more_connections)

    def myself(self) -> NodeEntry:
        """What the node says of itself now."""
        entries = parse_cluster_nodes(text(self.connection.call("CLUSTER", "NODES")))
        return next(entry for entry in entries if "myself" in entry.flags)

    def run(self, commands: Sequence[Sequence[Argument]], harmless: str | None = None) -> list[Reply | ReplyError]:
        """All commands in one round trip. Raises the first `ReplyError`, except those with the text `harmless`."""
        return checked(self.connection.pipeline(commands), harmless)

    def run_by_slot(
        self, commands: Sequence[Sequence[Argument]], harmless: str | None = None
    ) -> list[Reply | ReplyError]:
        """Many `CLUSTER SETSLOT`, on all connections at once. Raises as `run` does."""
        return checked(run_by_slot(self._connections, commands), harmless)

    def own(self, slots: Sequence[int]) -> None:
        """Make this node the owner of slots of which it imports the last."""
        own(self._connections, self.node_id, slots)

    def count_keys(self, slots: Sequence[int]) -> dict[int, int]:
        replies = self.run([("CLUSTER", "COUNTKEYSINSLOT", slot) for slot in slots])
        return {slot: integer(reply) for slot, reply in zip(slots, replies, strict=True)}

    def keys(self, slots: Sequence[int], most: int) -> dict[int, list[bytes]]:
        """At most `most` keys of each slot."""
        replies = self.run([("CLUSTER", "GETKEYSINSLOT", slot, most) for slot in slots])
        return {
            slot: [key for key in reply if isinstance(key, bytes)] if isinstance(reply, list) else []
            for slot, reply in zip(slots, replies, strict=True)
        }

    def mark(self, slots: Sequence[int], direction: str, other: str) -> tuple[list[int], list[int]]:
        """Mark slots as IMPORTING from or MIGRATING to another node. Returns those that were marked, and those that
        have another owner by now than the caller believes."""
        harmless = "already the owner" if direction == "IMPORTING" else "not the owner"
        replies = self.run_by_slot([("CLUSTER", "SETSLOT", slot, direction, other) for slot in slots], harmless)
        refused = {slot for slot, reply in zip(slots, replies, strict=True) if isinstance(reply, ReplyError)}
        return [slot for slot in slots if slot not in refused], [slot for slot in slots if slot in refused]

    def mark_duplicates(self, slot: int) -> None:
        """Mark a slot as imported from this node itself, which no move does: the keys it has here are duplicates of
        keys that the source still serves. The mark is in nodes.conf, so it outlives the run that set it."""
        self.run([("CLUSTER", "SETSLOT", slot, "IMPORTING", self.node_id)])

    def drop_duplicates(self, among: int) -> None:
        """Drop the keys of the slots (of the set `among`) that are marked as duplicates, and the marks."""
        importing = self.myself().importing
        slots = [slot for slot, former in importing if former == self.node_id and among >> slot & 1]
        left = slots
        for _ in range(MAX_STALLED_ROUNDS):
            if not left:
                break
            found = self.keys(left, KEYS_PER_ROUND)
            # A slot that is only imported accepts a command that follows ASKING.
            self.run([command for keys in found.values() for key in keys for command in (("ASKING",), ("UNLINK", key))])
            left = [slot for slot, keys in found.items() if keys]
        if left:
            raise ReplyError(f"{self.name} cannot drop duplicate keys in {len(left)} slots")
        self.run([("CLUSTER", "SETSLOT", slot, "STABLE") for slot in slots])
