"""Moving slots from one living master to another: what *copy* and *expire* have in common.

Slots are marked on both sides, a part at a time, the source is rid of their keys in one way or another, and the target
becomes the owner. A marked slot is served by both: the source answers for the keys it still has, for all others it
sends the client to the target, which lets it in. So no request is lost, whatever is cut off wherever.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from reconciler import introduction
from reconciler.act import owning
from reconciler.link import Address, Argument, Link, LinkError, Network, Reply, ReplyError, integer, text
from reconciler.pace import Progress
from reconciler.slots import NO_SLOTS, members, slot_set
from reconciler.views import parse_cluster_nodes

FIRST_OPEN_SLOTS = 16
MAX_OPEN_SLOTS = 256
"""Slots of one source half moved at a time. A client pays a redirect for a missing key in such a slot, nothing more."""

PART_SECONDS = 2.0
"""How long a part should take at most: so soon a run that is told to stop has ended what it began."""

SETTLE_EVERY_SLOTS = 2048
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


@dataclass(frozen=True)
class Surroundings:
    """What a move needs beside its two ends: connections to the `others` (masters), clock, counts, and when to stop."""

    network: Network
    others: tuple[Link, ...]
    progress: Progress
    stopped: Callable[[], bool]
    log: Callable[[str], None]


class SlotMove(ABC):
    """Moves slots from one source to one target. One per thread: connections are not shared."""

    def __init__(self, source: Peer, target: Peer, around: Surroundings) -> None:
        self._source = source
        self._target = target
        self._around = around
        self._slots_at_once = FIRST_OPEN_SLOTS

    @abstractmethod
    def _rid(self, found: list[tuple[int, list[bytes]]]) -> None:
        """Rid the source of keys (by slot) of slots that are marked."""

    @abstractmethod
    def _ridding(self, keys: list[bytes], size_bytes: int) -> list[tuple[Argument, ...]]:
        """Commands that rid the source of all of these keys, of one slot, at once; accounted for within the bounds."""

    def move(self, slots: int) -> None:
        """Move `slots`, those the source owns now. May be cut off anywhere; a later run finishes what is half moved.

        Raises `TargetFullError`, `ReplyError` or `LinkError`.
        """
        waiting = list(members(slots & own_slots(self._source.link)))
        given: list[int] = []
        while waiting and not self._around.stopped():
            part, waiting = waiting[: self._slots_at_once], waiting[self._slots_at_once :]
            start = self._around.network.now()
            opened = self._open(part)
            try:
                self._empty(opened)
            except TargetFullError:
                self._close_untouched(opened)
                raise
            self._give(opened)
            given += opened
            self._around.progress.add(slots=len(opened))
            seconds = max(self._around.network.now() - start, 1e-6)
            wanted = int(len(part) * PART_SECONDS / seconds)
            self._slots_at_once = max(1, min(MAX_OPEN_SLOTS, 2 * self._slots_at_once, wanted))
            if len(given) >= SETTLE_EVERY_SLOTS:
                self._settle(given)
                given = []
        self._settle(given)

    def introduce(self, slots: int) -> None:
        """Give a few slots one at a time, when clients of the source do not know the target, and wait for them.

        Raises `ReplyError` or `LinkError`.
        """
        source, target = self._source, self._target
        mine = slots & own_slots(source.link)
        if not mine or not introduction.strangers(source.link, target.link):
            return
        small = introduction.small_slots(source.link, list(members(mine)))
        if not small:
            return
        self._around.log(
            f"move: a few small slots of {source.name} go ahead, so that clients get to know {target.name}"
        )
        for number in introduction.ROUNDS:
            now, small = small[:number], small[number:]
            wait_s = introduction.ROUND_WAIT_S if small else introduction.WAIT_S
            self._settle([slot for slot in now if self._give_at_once(slot)])
            ends = source.link, target.link
            met = introduction.wait_for_clients(self._around.network, *ends, self._around.stopped, wait_s)
            if met or not small or self._around.stopped():
                return

    def _give_at_once(self, slot: int) -> bool:
        source, target = self._source, self._target
        keys, size_bytes = introduction.keys_of(source.link, slot)
        if size_bytes > introduction.MAX_BYTES or not keys:
            return False
        ridding = self._ridding(keys, size_bytes)
        start = self._around.network.now()
        ends = (source.node_id, source.link), (target.node_id, target.link)
        if not introduction.change_owner(*ends, slot, ridding):
            return False
        seconds = self._around.network.now() - start
        self._around.progress.add(slots=1, keys=len(keys), size_bytes=size_bytes, block_s=seconds)
        return True

    def _open(self, slots: list[int]) -> list[int]:
        """Mark the slots, the target first: once the source sends clients on, the target must let them in. Slots that
        changed hands meanwhile are left out."""
        source, target = self._source, self._target
        importing = target.link.pipeline([("CLUSTER", "SETSLOT", slot, "IMPORTING", source.node_id) for slot in slots])
        ready = [slot for slot, reply in zip(slots, importing, strict=True) if not isinstance(reply, ReplyError)]
        self._raise_unless(importing, "already the owner")
        migrating = source.link.pipeline([("CLUSTER", "SETSLOT", slot, "MIGRATING", target.node_id) for slot in ready])
        lost = [slot for slot, reply in zip(ready, migrating, strict=True) if isinstance(reply, ReplyError)]
        if lost:
            target.link.pipeline([("CLUSTER", "SETSLOT", slot, "STABLE") for slot in lost])
        self._raise_unless(migrating, "not the owner")
        return [slot for slot in ready if slot not in lost]

    @staticmethod
    def _raise_unless(replies: list[Reply | ReplyError], known: str) -> None:
        for reply in replies:
            if isinstance(reply, ReplyError) and known not in str(reply):
                raise reply

    def _empty(self, slots: list[int]) -> None:
        """Until the source has no key in these slots. A marked slot takes no new keys, so this ends."""
        left = slots
        seen: set[bytes] = set()
        stalled = 0
        while left:
            replies = self._source.link.pipeline([("CLUSTER", "GETKEYSINSLOT", slot, KEYS_PER_LOOK) for slot in left])
            found: list[tuple[int, list[bytes]]] = []
            for slot, reply in zip(left, replies, strict=True):
                if isinstance(reply, ReplyError):
                    raise reply
                if isinstance(reply, list) and reply:
                    found.append((slot, [key for key in reply if isinstance(key, bytes)]))
            names = {key for _, keys in found for key in keys}
            stalled = stalled + 1 if names and names == seen else 0
            seen = names
            if stalled > MAX_STALLED_LOOKS:
                raise ReplyError(f"{self._source.name} was rid of {len(names)} keys {stalled} times and still has them")
            self._rid(found)
            left = [slot for slot, _ in found]

    def _give(self, slots: list[int]) -> None:
        """Make the target the owner, the target first: it raises its config epoch, so whoever hears of it agrees. If
        this is cut off after the first step the source still sends clients on, and learns by gossip."""
        if not slots:
            return
        moved = slot_set(slots)
        replies = self._target.link.pipeline(owning(self._target.node_id, slots))
        replies += tell(self._source.link, moved, self._target.node_id)
        for reply in replies:
            if isinstance(reply, ReplyError):
                raise reply

    def _settle(self, slots: list[int]) -> None:
        """See that the other masters heard; tell those that did not. Two nodes that raised their epochs at the same
        moment may have kept one from believing the target's claim."""
        moved = slot_set(slots)
        for other in self._around.others:
            try:
                rows = parse_cluster_nodes(text(other.call("CLUSTER", "NODES")))
                heard = next((row.slots for row in rows if row.node_id == self._target.node_id), NO_SLOTS)
                tell(other, moved & ~heard, self._target.node_id)
            except LinkError:
                # A third node that is away learns by gossip when it is back.
                continue

    def _close_untouched(self, slots: list[int]) -> None:
        """Take the marks off slots of which no key has moved: they stay whole with the source."""
        on_target = count_keys(self._target.link, slots)
        for slot in slots:
            if not on_target[slot]:
                for link in (self._source.link, self._target.link):
                    link.call("CLUSTER", "SETSLOT", slot, "STABLE")


def count_keys(source: Link, slots: list[int]) -> dict[int, int]:
    """Keys per slot on a node."""
    replies = source.pipeline([("CLUSTER", "COUNTKEYSINSLOT", slot) for slot in slots])
    return {slot: integer(reply) for slot, reply in zip(slots, replies, strict=True)}


def tell(node: Link, slots: int, owner: str) -> list[Reply | ReplyError]:
    """Tell a master who owns slots now."""
    commands: list[tuple[Argument, ...]] = [("CLUSTER", "SETSLOT", slot, "NODE", owner) for slot in members(slots)]
    return node.pipeline(commands)


def own_slots(node: Link) -> int:
    rows = parse_cluster_nodes(text(node.call("CLUSTER", "NODES")))
    return next((row.slots for row in rows if "myself" in row.flags), NO_SLOTS)
