"""The two ends of a move, and what is asked of them. Knows commands, not the order of a move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from reconciler.link import Address, Argument, Link, Reply, ReplyError, integer, text
from reconciler.slots import members
from reconciler.views import Row, parse_cluster_nodes

KEYS_PER_LOOK = 256
MAX_STALLED_LOOKS = 20


class TargetFullError(Exception):
    """The target refuses keys for want of memory."""


@dataclass(frozen=True)
class Peer:
    """A master as seen by a move: id, name for people, address, connection."""

    node_id: str
    name: str
    address: Address
    link: Link

    def me(self) -> Row:
        """What it says of itself now."""
        rows = parse_cluster_nodes(text(self.link.call("CLUSTER", "NODES")))
        return next(row for row in rows if "myself" in row.flags)

    def run(self, commands: Sequence[Sequence[Argument]], known: str | None = None) -> list[Reply | ReplyError]:
        """All of them, in one round trip. Raises the first `ReplyError`, unless it is a `known` one."""
        replies = self.link.pipeline(commands)
        for reply in replies:
            if isinstance(reply, ReplyError) and (known is None or known not in str(reply)):
                raise reply
        return replies

    def count_keys(self, slots: Sequence[int]) -> dict[int, int]:
        replies = self.run([("CLUSTER", "COUNTKEYSINSLOT", slot) for slot in slots])
        return {slot: integer(reply) for slot, reply in zip(slots, replies, strict=True)}

    def keys(self, slots: Sequence[int], most: int) -> dict[int, list[bytes]]:
        """At most so many keys of each slot."""
        replies = self.run([("CLUSTER", "GETKEYSINSLOT", slot, most) for slot in slots])
        return {
            slot: [key for key in reply if isinstance(key, bytes)] if isinstance(reply, list) else []
            for slot, reply in zip(slots, replies, strict=True)
        }

    def mark(self, slots: Sequence[int], direction: str, other: str) -> tuple[list[int], list[int]]:
        """Mark slots as IMPORTING from or MIGRATING to another node: those marked, those that have changed hands."""
        known = "already the owner" if direction == "IMPORTING" else "not the owner"
        replies = self.run([("CLUSTER", "SETSLOT", slot, direction, other) for slot in slots], known)
        refused = {slot for slot, reply in zip(slots, replies, strict=True) if isinstance(reply, ReplyError)}
        return [slot for slot in slots if slot not in refused], [slot for slot in slots if slot in refused]

    def mark_copies(self, slot: int) -> None:
        """As imported from itself: what it has of this slot are copies, whatever becomes of the process that made
        them. The mark stands in nodes.conf."""
        self.run([("CLUSTER", "SETSLOT", slot, "IMPORTING", self.node_id)])

    def drop_copies(self, among: int) -> None:
        """Drop what is marked as copies, and the marks."""
        slots = [slot for slot, former in self.me().importing if former == self.node_id and among >> slot & 1]
        left = slots
        for _ in range(MAX_STALLED_LOOKS):
            if not left:
                break
            found = self.keys(left, KEYS_PER_LOOK)
            # A slot that is only imported is open to a command that follows ASKING.
            self.run([command for keys in found.values() for key in keys for command in (("ASKING",), ("UNLINK", key))])
            left = [slot for slot, keys in found.items() if keys]
        if left:
            raise ReplyError(f"{self.name} does not get rid of copies in {len(left)} slots")
        self.run([("CLUSTER", "SETSLOT", slot, "STABLE") for slot in slots])


@dataclass(frozen=True)
class Content:
    """A slot and its keys, as they were a moment ago, with the bytes each takes to send."""

    slot: int
    sizes: Mapping[bytes, int]

    @property
    def keys(self) -> tuple[bytes, ...]:
        return tuple(self.sizes)

    @cached_property
    def size_bytes(self) -> int:
        return sum(self.sizes.values())


@dataclass(frozen=True)
class Total:
    """What several slots come to."""

    slots_with_keys: int = 0
    keys: int = 0
    size_bytes: int = 0

    def with_another(self, content: Content) -> Total:
        return Total(
            self.slots_with_keys + bool(content.keys),
            self.keys + len(content.keys),
            self.size_bytes + content.size_bytes,
        )


@dataclass(frozen=True)
class Outcome:
    """What a transaction answered, and how many keys its slot has on the source afterwards."""

    reply: Reply | ReplyError
    keys_left: int

    @property
    def is_marked(self) -> bool:
        """Whether the transaction, which begins with the mark, was carried out, mark and all."""
        return isinstance(self.reply, list) and self.reply[0] == b"OK"


def telling(slots: int, owner: str) -> list[tuple[Argument, ...]]:
    """Commands that tell a master who owns slots now."""
    return [("CLUSTER", "SETSLOT", slot, "NODE", owner) for slot in members(slots)]
