"""Moving slots that both sides serve for a while.

A slot is marked on both sides, and its keys leave the source little by little. Meanwhile the source answers for the
keys that it still has, and sends clients to the target for all others (ASK). So no request is lost, wherever a run is
cut off.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from reconciler.act.endpoint import KEYS_PER_ROUND, MAX_STALLED_ROUNDS, Endpoint, TargetFullError
from reconciler.act.new_owner import NewOwner
from reconciler.connection import ReplyError

if TYPE_CHECKING:
    from reconciler.act.slot_move import MoveContext

MAX_SLOTS_IN_PARTS = 256
"""Slots of one source that are half moved at a time. In such a slot a client pays a redirect for a key that is not
there, and nothing more. The first part is one slot, which may be a large one; quick parts double."""

PART_S = 2.0
"""How long a part should take at most. A run that is told to stop ends what it began first."""

Found = list[tuple[int, list[bytes]]]
"""Keys by slot."""


class SlotsInParts:
    """Moves slots of one source to one target, some at a time. `remove` takes keys of marked slots off the source."""

    def __init__(
        self,
        source: Endpoint,
        target: Endpoint,
        context: MoveContext,
        new_owner: NewOwner,
        remove: Callable[[Found], None],
    ) -> None:
        self._source = source
        self._target = target
        self._context = context
        self._new_owner = new_owner
        self._remove = remove
        self._slots_at_a_time = 1

    def move(self, slots: Sequence[int]) -> None:
        """Move the slots, unless the run is told to stop before their turn.

        Raises `TargetFullError`, `ReplyError` or `UnreachableError`.
        """
        waiting = list(slots)
        while waiting and not self._context.stopped():
            part, waiting = waiting[: self._slots_at_a_time], waiting[self._slots_at_a_time :]
            start = self._context.network.now()
            marked = self._mark(part)
            try:
                self._empty(marked)
            except TargetFullError:
                self._unmark_whole(marked)
                raise
            self._new_owner.give(marked)
            self._context.progress.add(slots=len(marked))
            seconds = max(self._context.network.now() - start, 1e-6)
            wanted = int(len(part) * PART_S / seconds)
            self._slots_at_a_time = max(1, min(MAX_SLOTS_IN_PARTS, 2 * self._slots_at_a_time, wanted))

    def _mark(self, slots: list[int]) -> list[int]:
        """Mark the slots on both sides, the target first: once the source sends clients there, it must let them in.
        Slots that have changed their owner meanwhile are left out."""
        source, target = self._source, self._target
        ready, _ = target.mark(slots, "IMPORTING", source.node_id)
        marked, lost = source.mark(ready, "MIGRATING", target.node_id)
        target.run_by_slot([("CLUSTER", "SETSLOT", slot, "STABLE") for slot in lost])
        return marked

    def _empty(self, slots: list[int]) -> None:
        """Remove keys until the source has none in these slots. A slot that is marked takes no new keys, so this
        ends."""
        left = slots
        last: set[bytes] = set()
        stalled = 0
        while left:
            found = [(slot, keys) for slot, keys in self._source.keys(left, KEYS_PER_ROUND).items() if keys]
            names = {key for _, keys in found for key in keys}
            stalled = stalled + 1 if names and names == last else 0
            last = names
            if stalled > MAX_STALLED_ROUNDS:
                raise ReplyError(f"{self._source.name} still has {len(names)} keys after {stalled} attempts")
            self._remove(found)
            left = [slot for slot, _ in found]

    def _unmark_whole(self, slots: list[int]) -> None:
        """Take the marks off slots of which no key has moved: they stay with the source, which hears of it first, so
        that it sends nobody to a target that lets nobody in."""
        on_target = self._target.count_keys(slots)
        stable = [("CLUSTER", "SETSLOT", slot, "STABLE") for slot in slots if not on_target[slot]]
        self._source.run_by_slot(stable)
        self._target.run_by_slot(stable)
