"""Moving slots from one living master to another: what *copy* and *expire* have in common.

A slot goes in one moment: the source is rid of its keys in the same transaction that marks it as going, and two round
trips later the target owns it. Until then the source serves it alone, after that the target; a client learns by MOVED.

What does not fit into a moment (very many keys, a slot whose keys change all the time) goes in parts: slots are marked
on both sides, the source is rid of their keys bit by bit, and both serve them meanwhile: the source answers for the
keys it still has, for all others it sends the client to the target, which lets it in (ASK). So no request is lost,
whatever is cut off wherever.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from reconciler import introduction
from reconciler.act import owning
from reconciler.link import (
    REPLY_TIMEOUT_S,
    Argument,
    Link,
    LinkError,
    Network,
    ReplyError,
    integer,
    text,
)
from reconciler.pace import Progress
from reconciler.peers import (
    KEYS_PER_LOOK,
    MAX_STALLED_LOOKS,
    Content,
    Outcome,
    Peer,
    TargetFullError,
    Total,
    telling,
)
from reconciler.slots import NO_SLOTS, members, slot_set
from reconciler.views import parse_cluster_nodes

LOOK_AHEAD_SLOTS = 256
MAX_KEYS_AT_ONCE = 1000
"""Keys of which the source is rid in one transaction: a few milliseconds when they are freed in the background."""

FIRST_OPEN_SLOTS = 16
MAX_OPEN_SLOTS = 256
"""Slots of one source half moved at a time. A client pays a redirect for a missing key in such a slot, nothing more."""

PART_SECONDS = 2.0
"""How long a part should take at most: so soon a run that is told to stop has ended what it began."""

SETTLE_EVERY_SLOTS = 2048


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
        self._unsettled: list[int] = []

    @abstractmethod
    def _sizes(self, keys: list[bytes]) -> dict[bytes, int]:
        """Bytes each key takes to send."""

    @abstractmethod
    def _fits(self, together: Total) -> bool:
        """Whether slots may go together in one moment."""

    @abstractmethod
    def _ridding(self, content: Content) -> list[tuple[Argument, ...]]:
        """Commands that rid the source of all keys of a slot, for a transaction; accounted for within the bounds."""

    @abstractmethod
    def _rid(self, found: list[tuple[int, list[bytes]]]) -> None:
        """Rid the source of keys (by slot) of slots that are marked."""

    @abstractmethod
    def _took(self, group: list[Content], seconds: float) -> None:
        """Learn from how long the source was busy with a group."""

    def _switch(self, group: list[Content]) -> None:
        """Slots that go together, and are no longer the source's afterwards."""
        self._switch_at_once(group)

    def move(self, slots: int) -> None:
        """Move `slots`, those the source owns now. May be cut off anywhere; a later run finishes what is half moved.

        Raises `TargetFullError`, `ReplyError` or `LinkError`.
        """
        mine, begun = self._prepared(slots)
        try:
            self._in_parts(list(members(begun)))
            waiting = list(members(mine & ~begun))
            while waiting and not self._around.stopped():
                ahead, waiting = self._ahead(waiting)
                for group in self._groups(ahead):
                    if self._around.stopped():
                        break
                    self._switch(group)
        finally:
            self._settle()

    def introduce(self, slots: int) -> None:
        """Give a few slots, when clients of the source do not know the target, and wait for them.

        Raises `TargetFullError`, `ReplyError` or `LinkError`.
        """
        source, target = self._source, self._target
        mine, begun = self._prepared(slots)
        mine &= ~begun
        if not mine or not introduction.strangers(source.link, target.link):
            return
        small = introduction.small_slots(source.link, list(members(mine)), MAX_KEYS_AT_ONCE)
        if not small:
            return
        self._around.log(
            f"move: a few small slots of {source.name} go ahead, so that clients get to know {target.name}"
        )
        for number in introduction.ROUNDS:
            now, small = small[:number], small[number:]
            wait_s = introduction.ROUND_WAIT_S if small else introduction.WAIT_S
            for content in self._contents(now):
                self._switch([content])
            self._settle()
            ends = source.link, target.link
            met = introduction.wait_for_clients(self._around.network, *ends, self._around.stopped, wait_s)
            if met or not small or self._around.stopped():
                return

    def _prepared(self, slots: int) -> tuple[int, int]:
        """What the source owns of `slots`, and what of it is half moved already. Copies that a run which was cut off
        has left on the target are removed: they may be outdated."""
        self._target.drop_copies(slots)
        me = self._source.me()
        return slots & me.slots, slot_set(slot for slot, _ in me.migrating) & slots & me.slots

    def _ahead(self, waiting: list[int]) -> tuple[list[Content], list[int]]:
        """The next slots with their keys, and the rest. Slots with very many keys are moved here, in parts."""
        ahead = waiting[:LOOK_AHEAD_SLOTS]
        counts = self._source.count_keys(ahead)
        if counts[ahead[0]] > MAX_KEYS_AT_ONCE:
            self._in_parts(ahead[:1])
            return [], waiting[1:]
        chosen, keys = 0, 0
        while chosen < len(ahead) and (keys := keys + counts[ahead[chosen]]) <= MAX_KEYS_AT_ONCE:
            chosen += 1
        return self._contents(ahead[:chosen]), waiting[chosen:]

    def _contents(self, slots: list[int]) -> list[Content]:
        found = self._source.keys(slots, MAX_KEYS_AT_ONCE + 1)
        sizes = self._sizes([key for keys in found.values() for key in keys])
        return [Content(slot, {key: sizes[key] for key in keys}) for slot, keys in found.items()]

    def _groups(self, contents: list[Content]) -> Iterator[list[Content]]:
        """As large as they may be at the moment they are taken."""
        group: list[Content] = []
        together = Total()
        for content in contents:
            together = together.with_another(content)
            if group and not self._fits(together):
                yield group
                group, together = [], Total().with_another(content)
            group.append(content)
        if group:
            yield group

    def _switch_at_once(self, group: list[Content]) -> None:
        """Rid the source of each slot's keys as it is marked, in one transaction a slot, and make the target the owner.

        The target owns it only now: without its mark a word of the source's that is still under way would take the
        slot from it again, and its keys would be dropped.
        """
        slots = [content.slot for content in group]
        ready = set(self._target.mark(slots, "IMPORTING", self._source.node_id)[0])
        contents = [content for content in group if content.slot in ready]
        outcomes, seconds = self._transact(
            {content.slot: self._ridding(content) for content in contents}, self._timeout_s(contents)
        )
        done = [content for content in contents if outcomes[content.slot].is_marked]
        self._took(done, seconds)
        empty = [content for content in done if not outcomes[content.slot].keys_left]
        gone = slot_set(content.slot for content in empty)
        self._give(list(members(gone)))
        keys, size_bytes = sum(len(content.keys) for content in empty), sum(content.size_bytes for content in empty)
        self._around.progress.add(len(empty), keys, size_bytes, seconds)
        # Whatever went wrong goes wrong there again, and is handled there.
        self._in_parts([content.slot for content in contents if not gone >> content.slot & 1])

    def _transact(
        self, ridding: Mapping[int, Sequence[tuple[Argument, ...]]], timeout_s: float = REPLY_TIMEOUT_S
    ) -> tuple[dict[int, Outcome], float]:
        """Mark each slot on the source and rid it of keys, a transaction a slot: how each ended, how long all took."""
        commands: list[tuple[Argument, ...]] = []
        ends = []
        for slot, rid in ridding.items():
            marking = ("CLUSTER", "SETSLOT", slot, "MIGRATING", self._target.node_id)
            commands += [("MULTI",), marking, *rid, ("EXEC",)]
            ends.append(len(commands) - 1)
        counts = [("CLUSTER", "COUNTKEYSINSLOT", slot) for slot in ridding]
        start = self._around.network.now()
        replies = self._source.link.pipeline([*commands, *counts], timeout_s=timeout_s)
        seconds = self._around.network.now() - start
        left = [integer(reply) for reply in replies[len(commands) :]]
        return {slot: Outcome(replies[end], keys) for slot, end, keys in zip(ridding, ends, left, strict=True)}, seconds

    def _timeout_s(self, contents: list[Content]) -> float:
        return REPLY_TIMEOUT_S

    def _in_parts(self, slots: list[int]) -> None:
        """Slots that both sides serve for a while."""
        waiting = slots
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
            self._around.progress.add(slots=len(opened))
            seconds = max(self._around.network.now() - start, 1e-6)
            wanted = int(len(part) * PART_SECONDS / seconds)
            self._slots_at_once = max(1, min(MAX_OPEN_SLOTS, 2 * self._slots_at_once, wanted))

    def _open(self, slots: list[int]) -> list[int]:
        """Mark the slots, the target first: once the source sends clients on, the target must let them in. Slots that
        changed hands meanwhile are left out."""
        source, target = self._source, self._target
        ready, _ = target.mark(slots, "IMPORTING", source.node_id)
        opened, lost = source.mark(ready, "MIGRATING", target.node_id)
        target.run([("CLUSTER", "SETSLOT", slot, "STABLE") for slot in lost])
        return opened

    def _empty(self, slots: list[int]) -> None:
        """Until the source has no key in these slots. A marked slot takes no new keys, so this ends."""
        left = slots
        seen: set[bytes] = set()
        stalled = 0
        while left:
            found = [(slot, keys) for slot, keys in self._source.keys(left, KEYS_PER_LOOK).items() if keys]
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
        self._target.run(owning(self._target.node_id, slots))
        self._source.run(telling(moved, self._target.node_id))
        self._unsettled += slots
        if len(self._unsettled) >= SETTLE_EVERY_SLOTS:
            self._settle()

    def _settle(self) -> None:
        """See that the other masters heard; tell those that did not. Two nodes that raised their epochs at the same
        moment may have kept one from believing the target's claim."""
        moved, self._unsettled = slot_set(self._unsettled), []
        if not moved:
            return
        for other in self._around.others:
            try:
                rows = parse_cluster_nodes(text(other.call("CLUSTER", "NODES")))
                heard = next((row.slots for row in rows if row.node_id == self._target.node_id), NO_SLOTS)
                other.pipeline(telling(moved & ~heard, self._target.node_id))
            except LinkError:
                # A third node that is away learns by gossip when it is back.
                continue

    def _close_untouched(self, slots: list[int]) -> None:
        """Take the marks off slots of which no key has moved: they stay whole with the source."""
        on_target = self._target.count_keys(slots)
        for slot in slots:
            if not on_target[slot]:
                for link in (self._source.link, self._target.link):
                    link.call("CLUSTER", "SETSLOT", slot, "STABLE")
