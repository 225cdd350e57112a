"""*copy*: slots change owner with their keys, by MIGRATE, in batches that keep the source responsive.

A slot that one batch can carry moves in the transaction that marks it. A larger one is duplicated in batches first,
while the source goes on serving it. WATCH sees to it that the transaction which marks it and drops its keys on the
source takes place only if none of them has changed meanwhile.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from reconciler.act.endpoint import Endpoint, TargetFullError
from reconciler.act.rate import BatchSize, RateLimit
from reconciler.act.slot_content import GroupTotal, SlotContent
from reconciler.act.slot_move import MAX_KEYS_AT_ONCE, MoveContext, SlotMove
from reconciler.connection import Argument, ReplyError

MAX_MIGRATES_PER_BATCH = 32
MIGRATE_BASE_TIMEOUT_S = 1.0
"""MIGRATE blocks its master until the target answers, and tries a second time by itself. A target whose machine is lost
says nothing, so its source stands still for twice this. It must stay well below the node timeout (5 s at least), or the
others take the source for lost, too. A target that was only busy is asked again (`ATTEMPTS`).

That holds for one MIGRATE. A batch goes out as one pipeline, which Redis carries out to its end whatever becomes of the
target: a batch of 32 small slots may still stand still for a minute, and its replica is promoted meanwhile."""
MIGRATE_SLOWEST_BYTES_PER_S = 10_000_000
"""A key of any size gets so long to travel before the source gives up: about a minute for a value of 512 MB."""

TARGET_ALIVE_S = 3.0
"""How long a target may take to show that it lives, before the source is blocked for it once more. A fork stalls a node
for a second or so."""

LARGE_KEY_BYTES = 16 << 20
"""From this size on a single key may block its master for longer than is wanted. People are told of such keys."""

ATTEMPTS = 5
RETRY_PAUSE_S = 0.5

DUPLICATION_ATTEMPTS = 2
"""How often a slot is duplicated whose keys change meanwhile, before it moves in parts."""

MAX_DUPLICATION_S = 2.0
"""If it takes longer, some key has probably changed by its end: the slot moves in parts."""


class MoveWithKeys(SlotMove):
    """Keys travel from source to target. MIGRATE itself leaves out keys that have expired."""

    def __init__(self, source: Endpoint, target: Endpoint, context: MoveContext, rate: RateLimit) -> None:
        super().__init__(source, target, context)
        self._rate = rate
        self._batch = BatchSize()
        self._too_large_bytes = math.inf
        """Slots of this size take longer than MAX_DUPLICATION_S, as one was seen to do."""

    def _fits(self, total: GroupTotal) -> bool:
        return total.slots_with_keys <= MAX_MIGRATES_PER_BATCH and total.size_bytes <= self._batch.size_bytes

    def _removal(self, content: SlotContent) -> list[tuple[Argument, ...]]:
        self._rate.consume(content.size_bytes)
        return [self._migrate(list(content.keys), _migrate_timeout_s(content.size_bytes))] if content.keys else []

    def _timeout_s(self, contents: list[SlotContent]) -> float:
        return _reply_timeout_s(sum(content.size_bytes for content in contents))

    def _learn_from(self, group: list[SlotContent], seconds: float) -> None:
        if carried_bytes := sum(content.size_bytes for content in group):
            self._learn(carried_bytes, sum(len(content.keys) for content in group), seconds)

    def _move_group(self, group: list[SlotContent]) -> None:
        (first, *others) = group
        if others or len(first.keys) < 2 or first.size_bytes <= self._batch.size_bytes:
            self._move_at_once(group)
        elif (
            not self._source.takes_marks_in_transactions
            or first.size_bytes >= self._too_large_bytes
            or not self._duplicate_and_switch(first)
        ):
            self._move_in_parts([first.slot])

    def _duplicate_and_switch(self, content: SlotContent) -> bool:
        """Duplicate the keys of a slot on the target, then make that the owner if they are as they were. False when
        that did not come about; the duplicates are dropped then."""
        slot = content.slot
        for _ in range(DUPLICATION_ATTEMPTS):
            try:
                is_whole = self._duplicate(content)
            except (ReplyError, TargetFullError):
                self._drop_duplicates(slot)
                raise
            if is_whole and self._switch_if_unchanged(content):
                return True
            self._drop_duplicates(slot)
            if self._context.stopped() or content.size_bytes >= self._too_large_bytes:
                return False
            (content,) = self._contents([slot])
            if not 0 < len(content.keys) <= MAX_KEYS_AT_ONCE:
                return False
        return False

    def _duplicate(self, content: SlotContent) -> bool:
        """Whether all keys were duplicated soon enough. They are watched from before that on."""
        start = self._context.network.now()
        self._target.mark_duplicates(content.slot)
        self._source.run([("WATCH", *content.keys)])
        sent_bytes = 0
        for batch in self._batches([(content.slot, list(content.keys))], content.sizes):
            self._send(batch, content.sizes, "COPY")
            sent_bytes += sum(content.sizes[key] for group in batch for key in group)
            if self._context.network.now() - start > MAX_DUPLICATION_S:
                self._too_large_bytes = min(self._too_large_bytes, sent_bytes)
                return False
            if self._context.stopped():
                return False
        return True

    def _switch_if_unchanged(self, content: SlotContent) -> bool:
        # From here on the target's keys count. Should the answer get lost, a later run must keep them.
        self._target.mark([content.slot], "IMPORTING", self._source.node_id)
        answers, seconds = self._transact({content.slot: [("UNLINK", *content.keys)]})
        answer = answers[content.slot]
        if answer.reply is None or isinstance(answer.reply, ReplyError):
            return False
        if not answer.is_marked:
            raise ReplyError(f"{self._source.name} did not mark slot {content.slot}: {answer.reply!r:.200}")
        self._context.progress.add(block_s=seconds)
        if answer.keys_left:
            # They were written after the keys were listed, and were never duplicated.
            self._move_in_parts([content.slot])
        else:
            self._new_owner.give([content.slot])
            self._context.progress.add(slots=1)
        return True

    def _drop_duplicates(self, slot: int) -> None:
        self._source.connection.call("UNWATCH")
        self._target.mark_duplicates(slot)
        self._target.drop_duplicates(1 << slot)

    def _remove(self, found: list[tuple[int, list[bytes]]]) -> None:
        sizes = self._sizes([key for _, keys in found for key in keys])
        for batch in self._batches(found, sizes):
            self._send(batch, sizes)

    def _sizes(self, keys: list[bytes]) -> dict[bytes, int]:
        replies = self._source.connection.pipeline([("MEMORY", "USAGE", key) for key in keys])
        return {key: reply if isinstance(reply, int) else 0 for key, reply in zip(keys, replies, strict=True)}

    def _batches(self, found: list[tuple[int, list[bytes]]], sizes: Mapping[bytes, int]) -> Iterator[list[list[bytes]]]:
        """Keys in batches of at most the size that is allowed now. A batch has one MIGRATE for each slot, because keys
        of different slots may not share one. A key that is larger than a batch is a batch of its own."""
        batch: list[list[bytes]] = []
        carried_bytes = 0
        for _, keys in found:
            group: list[bytes] = []
            for key in keys:
                if (batch or group) and carried_bytes + sizes[key] > self._batch.size_bytes:
                    yield [*batch, group] if group else batch
                    batch, group, carried_bytes = [], [], 0
                group.append(key)
                carried_bytes += sizes[key]
            if group:
                batch.append(group)
            if len(batch) >= MAX_MIGRATES_PER_BATCH:
                yield batch
                batch, carried_bytes = [], 0
        if batch:
            yield batch

    def _send(self, batch: list[list[bytes]], sizes: Mapping[bytes, int], *options: str) -> None:
        carried_bytes = sum(sizes[key] for group in batch for key in group)
        self._rate.consume(carried_bytes)
        commands = [self._migrate(group, _migrate_timeout_s(carried_bytes), *options) for group in batch]
        for attempt in range(1, ATTEMPTS + 1):
            start = self._context.network.now()
            replies = self._source.connection.pipeline(commands, timeout_s=_reply_timeout_s(carried_bytes))
            seconds = self._context.network.now() - start
            errors = [reply for reply in replies if isinstance(reply, ReplyError)]
            if not errors:
                break
            if any("OOM" in str(error) for error in errors):
                raise TargetFullError(
                    f"{self._target.name} has no memory left for the keys of {self._source.name}, which go on being "
                    "served. Give the target more memory and run this again"
                )
            if attempt == ATTEMPTS or not all("IOERR" in str(error) for error in errors):
                raise self._explained(errors[0], batch, carried_bytes)
            # The target did not answer in time. If it is lost, this raises UnreachableError, and the source is not
            # blocked again. If it was only busy: keys that arrived stay, and REPLACE makes a repetition safe.
            self._target.connection.call("PING", timeout_s=TARGET_ALIVE_S)
            self._context.network.sleep(RETRY_PAUSE_S * attempt)
        keys = sum(map(len, batch))
        self._learn(carried_bytes, keys, seconds)
        self._context.progress.add(keys=keys, size_bytes=carried_bytes, block_s=seconds)

    def _explained(self, error: ReplyError, batch: list[list[bytes]], carried_bytes: int) -> ReplyError:
        """Of a large key that travels alone, Redis says no more than that the target did not take it."""
        keys = [key for group in batch for key in group]
        if len(keys) > 1 or carried_bytes < LARGE_KEY_BYTES:
            return error
        return ReplyError(
            f"{self._target.name} did not take the key {keys[0]!r:.100} of {carried_bytes / 2**20:,.0f} MiB: {error}. "
            "A key travels as one value, and none may be larger than the target's proto-max-bulk-len. Delete it, or "
            "divide it, and run this again"
        )

    def _learn(self, carried_bytes: int, keys: int, seconds: float) -> None:
        self._batch.adapt(carried_bytes, seconds)
        if keys == 1 and carried_bytes >= LARGE_KEY_BYTES:
            self._context.log(
                f"move: a key of {carried_bytes / 2**20:,.0f} MiB blocked {self._source.name} for "
                f"{seconds * 1000:.0f} ms; a single key cannot be moved in parts"
            )

    def _migrate(self, keys: list[bytes], timeout_s: float, *options: str) -> tuple[Argument, ...]:
        ip, port = self._target.address
        # REPLACE: if both have a key, the source's is the one that clients were served.
        head: list[Argument] = ["MIGRATE", ip, port, "", 0, int(timeout_s * 1000), *options, "REPLACE"]
        # The source says by them who it is, to the target.
        credentials = self._target.connection.credentials
        if credentials.password and credentials.user:
            head += ["AUTH2", credentials.user, credentials.password]
        elif credentials.password:
            head += ["AUTH", credentials.password]
        return (*head, "KEYS", *keys)


def _migrate_timeout_s(size_bytes: int) -> float:
    return MIGRATE_BASE_TIMEOUT_S + size_bytes / MIGRATE_SLOWEST_BYTES_PER_S


def _reply_timeout_s(size_bytes: int) -> float:
    """How long to wait for the source: MIGRATE may take its time-out to connect, and again for the target's reply."""
    return _migrate_timeout_s(size_bytes) * 2 + 1
