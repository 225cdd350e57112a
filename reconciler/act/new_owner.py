"""Makes the target of a move the owner of slots, and sees that everybody hears of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from reconciler.act.endpoint import Endpoint
from reconciler.act.ownership import commands_to_tell
from reconciler.connection import ReplyError, UnreachableError, text
from reconciler.observe.cluster_nodes import parse_cluster_nodes
from reconciler.slots import NO_SLOTS, slot_set

if TYPE_CHECKING:
    from reconciler.act.slot_move import MoveContext

CONFIRM_EVERY_SLOTS = 2048


class NewOwner:
    """Gives slots of one source to one target."""

    def __init__(self, source: Endpoint, target: Endpoint, context: MoveContext) -> None:
        self._source = source
        self._target = target
        self._context = context
        self._unconfirmed: list[int] = []

    def give(self, slots: Sequence[int]) -> None:
        """Make the target the owner. The target is told first: it raises its config epoch, so whoever hears of it
        agrees. If this is cut off in between, the source still sends clients there, and learns by gossip."""
        if not slots:
            return
        self._target.own(slots)
        self._source.run_by_slot(commands_to_tell(slot_set(slots), self._target.node_id))
        self._unconfirmed += slots
        if len(self._unconfirmed) >= CONFIRM_EVERY_SLOTS:
            self.confirm()

    def confirm(self) -> None:
        """See that all other masters have heard of the new owner, and tell those that have not. If two nodes raised
        their config epochs at the same moment, a third may not have believed the target."""
        moved, self._unconfirmed = slot_set(self._unconfirmed), []
        if not moved:
            return
        for master in self._context.other_masters:
            try:
                entries = parse_cluster_nodes(text(master.call("CLUSTER", "NODES")))
                heard = next((entry.slots for entry in entries if entry.node_id == self._target.node_id), NO_SLOTS)
                master.pipeline(commands_to_tell(moved & ~heard, self._target.node_id))
            except (UnreachableError, ReplyError):
                # It learns by gossip, when it is back if it is away.
                continue
