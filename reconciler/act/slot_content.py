"""What slots hold, and what came of an attempt to move it. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from reconciler.connection import Reply, ReplyError


@dataclass(frozen=True)
class SlotContent:
    """A slot and its keys, as they were a moment ago, with the bytes that each takes to send."""

    slot: int
    sizes: Mapping[bytes, int]

    @property
    def keys(self) -> tuple[bytes, ...]:
        return tuple(self.sizes)

    @cached_property
    def size_bytes(self) -> int:
        return sum(self.sizes.values())


@dataclass(frozen=True)
class GroupTotal:
    """The sums over several slots."""

    slots_with_keys: int = 0
    keys: int = 0
    size_bytes: int = 0

    def plus(self, content: SlotContent) -> GroupTotal:
        return GroupTotal(
            self.slots_with_keys + bool(content.keys),
            self.keys + len(content.keys),
            self.size_bytes + content.size_bytes,
        )


@dataclass(frozen=True)
class TransactionReply:
    """What a transaction answered that marks a slot as migrating and removes its keys from the source, and how many
    keys the slot has there afterwards."""

    reply: Reply | ReplyError
    keys_left: int

    @property
    def is_marked(self) -> bool:
        """Whether the transaction was carried out, and its first command, which sets the mark, succeeded."""
        return isinstance(self.reply, list) and self.reply[0] == b"OK"
