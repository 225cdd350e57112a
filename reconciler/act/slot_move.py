"""Moving slots from one living master to another: what *copy* and *expire* have in common.

A slot moves in one moment: one transaction marks it as migrating and removes its keys from the source, and two round
trips later the target owns it. Until then the source alone serves it, after that the target; clients learn by MOVED.

What does not fit into a moment (very many keys, or keys that change all the time) moves in parts: the slot is marked on
both sides and its keys leave the source little by little (`SlotsInParts`). All slots of a Valkey move so: it takes no
mark in a transaction.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from reconciler.act import client_discovery
from reconciler.act.endpoint import Endpoint
from reconciler.act.move_in_parts import SlotsInParts
from reconciler.act.new_owner import NewOwner
from reconciler.act.progress import Progress
from reconciler.act.slot_content import GroupTotal, SlotContent, TransactionReply
from reconciler.connection import (
    REPLY_TIMEOUT_S,
    Argument,
    Connection,
    Network,
    integer,
)
from reconciler.slots import members, slot_set

SLOTS_AHEAD = 256
MAX_KEYS_AT_ONCE = 1000
"""Keys that one transaction removes from the source: a few milliseconds, since they are freed in the background."""


@dataclass(frozen=True)
class MoveContext:
    """What a move needs beside its two ends: clock, connections to all other nodes, counts, and when to stop."""

    network: Network
    other_masters: tuple[Connection, ...]
    replicas: tuple[Connection, ...]
    progress: Progress
    stopped: Callable[[], bool]
    log: Callable[[str], None]


class SlotMove(ABC):
    """Moves slots from one source to one target. One per thread: its connections are not shared."""

    def __init__(self, source: Endpoint, target: Endpoint, context: MoveContext) -> None:
        self._source = source
        self._target = target
        self._context = context
        self._new_owner = NewOwner(source, target, context)
        self._in_parts = SlotsInParts(source, target, context, self._new_owner, self._remove)

    @abstractmethod
    def _sizes(self, keys: list[bytes]) -> dict[bytes, int]:
        """Bytes that each key takes to send."""

    @abstractmethod
    def _fits(self, total: GroupTotal) -> bool:
        """Whether slots may move together in one moment."""

    @abstractmethod
    def _removal(self, content: SlotContent) -> list[tuple[Argument, ...]]:
        """Commands, for a transaction, that remove all keys of a slot from the source. They are accounted for in the
        rate limits, which may mean to wait."""

    @abstractmethod
    def _remove(self, found: list[tuple[int, list[bytes]]]) -> None:
        """Remove keys (by slot) of slots that are marked from the source."""

    @abstractmethod
    def _learn_from(self, group: list[SlotContent], seconds: float) -> None:
        """Learn from how long the source was busy with a group."""

    def _move_group(self, group: list[SlotContent]) -> None:
        """Move slots that fit together. They are no longer the source's afterwards."""
        self._move_at_once(group)

    def move(self, slots: int) -> None:
        """Move those of `slots` that the source owns now. May be cut off anywhere; a later run finishes what is half
        moved.

        Raises `TargetFullError`, `ReplyError` or `UnreachableError`.
        """
        whole, half_moved = self._prepare(slots)
        try:
            self._move_in_parts(list(members(half_moved)))
            if not self._source.takes_marks_in_transactions:
                self._move_in_parts(list(members(whole)))
                return
            waiting = list(members(whole))
            while waiting and not self._context.stopped():
                contents, waiting = self._next_contents(waiting)
                for group in self._groups(contents):
                    if self._context.stopped():
                        break
                    self._move_group(group)
        finally:
            self._confirm()

    def let_clients_discover_target(self, slots: int) -> None:
        """Move a few slots ahead if clients of the source do not know the target, and wait for these clients.

        Raises `TargetFullError`, `ReplyError` or `UnreachableError`.
        """
        source, target = self._source.connection, self._target.connection
        whole, _ = self._prepare(slots)
        if not whole or not client_discovery.missing_clients(source, target):
            return
        small = client_discovery.small_slots(source, list(members(whole)), MAX_KEYS_AT_ONCE)
        if not small:
            return
        self._context.log(
            f"move: a few small slots of {self._source.name} go ahead, so that clients get to know {self._target.name}"
        )
        network, stopped = self._context.network, self._context.stopped
        others = [source, *self._context.other_masters, *self._context.replicas]
        for turn, number in enumerate(client_discovery.SLOTS_BY_ROUND):
            now, small = small[:number], small[number:]
            wait_s = client_discovery.ROUND_WAIT_S if small else client_discovery.LAST_WAIT_S
            for content in self._contents(now):
                self._move_group([content])
            self._confirm()
            # Who has heard of one slot of the target names it to clients from then on.
            if not turn and not client_discovery.wait_until_all_have_heard(
                network, others, self._target.node_id, stopped
            ):
                self._context.log(f"move: some nodes have not heard yet that {self._target.name} owns slots")
            missing = client_discovery.wait_for_clients(network, source, target, stopped, wait_s)
            if not missing or not small or stopped():
                break
        if missing:
            clients = ", ".join(sorted(missing))
            self._context.log(f"move: clients of {self._source.name} do not use {self._target.name} yet: {clients}")

    def _prepare(self, slots: int) -> tuple[int, int]:
        """Those of `slots` that the source owns: which are whole, and which are half moved already.

        Duplicates on the target, left by a run that was cut off, are dropped. The source served their keys since, so
        they may be outdated.
        """
        self._target.drop_duplicates(slots)
        source = self._source.myself()
        half_moved = slot_set(slot for slot, _ in source.migrating) & slots & source.slots
        return slots & source.slots & ~half_moved, half_moved

    def _next_contents(self, waiting: list[int]) -> tuple[list[SlotContent], list[int]]:
        """The next slots with their keys, and the rest. A slot with very many keys is moved here, in parts."""
        ahead = waiting[:SLOTS_AHEAD]
        counts = self._source.count_keys(ahead)
        if counts[ahead[0]] > MAX_KEYS_AT_ONCE:
            self._move_in_parts(ahead[:1])
            return [], waiting[1:]
        chosen, keys = 0, 0
        while chosen < len(ahead) and (keys := keys + counts[ahead[chosen]]) <= MAX_KEYS_AT_ONCE:
            chosen += 1
        return self._contents(ahead[:chosen]), waiting[chosen:]

    def _contents(self, slots: list[int]) -> list[SlotContent]:
        found = self._source.keys(slots, MAX_KEYS_AT_ONCE + 1)
        sizes = self._sizes([key for keys in found.values() for key in keys])
        return [SlotContent(slot, {key: sizes[key] for key in keys}) for slot, keys in found.items()]

    def _groups(self, contents: list[SlotContent]) -> Iterator[list[SlotContent]]:
        """Slots that move together. Each group is as large as it may be at the moment when it is taken."""
        group: list[SlotContent] = []
        total = GroupTotal()
        for content in contents:
            total = total.plus(content)
            if group and not self._fits(total):
                yield group
                group, total = [], GroupTotal().plus(content)
            group.append(content)
        if group:
            yield group

    def _move_at_once(self, group: list[SlotContent]) -> None:
        """Mark each slot and remove its keys from the source, in one transaction a slot, and make the target the owner.

        The target imports the slots from before that on. Without this mark, a message of the source that is still under
        way would take a slot from it again, and its keys would be dropped.
        """
        slots = [content.slot for content in group]
        if not self._source.takes_marks_in_transactions:
            self._move_in_parts(slots)
            return
        ready = set(self._target.mark(slots, "IMPORTING", self._source.node_id)[0])
        contents = [content for content in group if content.slot in ready]
        removals = {content.slot: self._removal(content) for content in contents}
        answers, seconds = self._transact(removals, self._timeout_s(contents))
        done = [content for content in contents if answers[content.slot].is_marked]
        self._learn_from(done, seconds)
        empty = [content for content in done if not answers[content.slot].keys_left]
        self._new_owner.give([content.slot for content in empty])
        keys, size_bytes = sum(len(content.keys) for content in empty), sum(content.size_bytes for content in empty)
        self._context.progress.add(len(empty), keys, size_bytes, seconds)
        # Whatever went wrong with the others goes wrong there again, and is raised there.
        given = {content.slot for content in empty}
        self._move_in_parts([content.slot for content in contents if content.slot not in given])

    def _transact(
        self, removals: Mapping[int, Sequence[tuple[Argument, ...]]], timeout_s: float = REPLY_TIMEOUT_S
    ) -> tuple[dict[int, TransactionReply], float]:
        """Mark each slot on the source and remove its keys, in one transaction a slot: how each ended, and the seconds
        that all took."""
        commands: list[tuple[Argument, ...]] = []
        ends = []
        for slot, removal in removals.items():
            marking = ("CLUSTER", "SETSLOT", slot, "MIGRATING", self._target.node_id)
            commands += [("MULTI",), marking, *removal, ("EXEC",)]
            ends.append(len(commands) - 1)
        counting = [("CLUSTER", "COUNTKEYSINSLOT", slot) for slot in removals]
        start = self._context.network.now()
        replies = self._source.connection.pipeline([*commands, *counting], timeout_s=timeout_s)
        seconds = self._context.network.now() - start
        left = [integer(reply) for reply in replies[len(commands) :]]
        answers = {
            slot: TransactionReply(replies[end], keys) for slot, end, keys in zip(removals, ends, left, strict=True)
        }
        return answers, seconds

    def _timeout_s(self, contents: list[SlotContent]) -> float:
        return REPLY_TIMEOUT_S

    def _move_in_parts(self, slots: list[int]) -> None:
        self._in_parts.move(slots)

    def _confirm(self) -> None:
        self._new_owner.confirm()
