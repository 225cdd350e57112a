"""*copy*: slots change owner with their keys, by MIGRATE, in steps that keep the source responsive.

A slot that one step can carry is moved in the transaction that marks it. A larger one is copied in steps first, while
the source goes on serving it; WATCH sees to it that the transaction which marks it and drops its keys takes place only
if none of them has changed meanwhile.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from reconciler.link import Argument, ReplyError
from reconciler.pace import Batch, Bound
from reconciler.peers import Content, Peer, TargetFullError, Total
from reconciler.slot_move import MAX_KEYS_AT_ONCE, SlotMove, Surroundings

MAX_MIGRATES_PER_STEP = 32
MIGRATE_BASE_TIMEOUT_S = 5.0
MIGRATE_SLOWEST_BYTES_PER_S = 10_000_000
"""A key of any size gets this long to travel before the source gives up: a 512 MB value about a minute."""

LARGE_KEY_BYTES = 16 << 20
"""From here on a single key may block its master for longer than is wanted, which is said."""

TRIES = 5
RETRY_PAUSE_S = 0.5

COPIES = 2
"""How often a slot is copied whose keys change meanwhile, before it goes in parts."""

MAX_COPY_S = 2.0
"""From here on the chance that one of the keys changes is too large: the slot goes in parts."""


class Copy(SlotMove):
    """Keys travel from source to target. Keys that expired on the way are left out by MIGRATE itself."""

    def __init__(self, source: Peer, target: Peer, around: Surroundings, password: str | None, rate: Bound) -> None:
        super().__init__(source, target, around)
        self._password = password
        self._rate = rate
        self._batch = Batch()
        self._too_large_bytes = math.inf

    def _fits(self, together: Total) -> bool:
        return together.slots_with_keys <= MAX_MIGRATES_PER_STEP and together.size_bytes <= self._batch.size_bytes

    def _ridding(self, content: Content) -> list[tuple[Argument, ...]]:
        self._rate.spend(content.size_bytes)
        return [self._migrate(list(content.keys), _timeout_s(content.size_bytes))] if content.keys else []

    def _timeout_s(self, contents: list[Content]) -> float:
        return _patience_s(sum(content.size_bytes for content in contents))

    def _took(self, group: list[Content], seconds: float) -> None:
        if carried := sum(content.size_bytes for content in group):
            self._learn(carried, sum(len(content.keys) for content in group), seconds)

    def _switch(self, group: list[Content]) -> None:
        (first, *others) = group
        if others or len(first.keys) < 2 or first.size_bytes <= self._batch.size_bytes:
            self._switch_at_once(group)
        elif first.size_bytes >= self._too_large_bytes or not self._switch_copied(first):
            self._in_parts([first.slot])

    def _switch_copied(self, content: Content) -> bool:
        """Copy a slot, then switch it if its keys are as they were; else the copies are dropped again."""
        slot = content.slot
        for _ in range(COPIES):
            try:
                is_whole = self._copy(content)
            except (ReplyError, TargetFullError):
                self._drop_copies(slot)
                raise
            if is_whole and self._switch_if_unchanged(content):
                return True
            self._drop_copies(slot)
            if self._around.stopped() or content.size_bytes >= self._too_large_bytes:
                return False
            (content,) = self._contents([slot])
            if not 0 < len(content.keys) <= MAX_KEYS_AT_ONCE:
                return False
        return False

    def _copy(self, content: Content) -> bool:
        """Whether all was copied soon enough. The keys are watched from now on."""
        start = self._around.network.now()
        self._target.mark_copies(content.slot)
        self._source.run([("WATCH", *content.keys)])
        copied_bytes = 0
        for step in self._steps([(content.slot, list(content.keys))], content.sizes):
            self._send(step, content.sizes, "COPY")
            copied_bytes += sum(content.sizes[key] for group in step for key in group)
            if self._around.network.now() - start > MAX_COPY_S:
                self._too_large_bytes = min(self._too_large_bytes, copied_bytes)
                return False
            if self._around.stopped():
                return False
        return True

    def _switch_if_unchanged(self, content: Content) -> bool:
        # From here on what the target has counts: should the answer get lost, a later run keeps it.
        self._target.mark([content.slot], "IMPORTING", self._source.node_id)
        outcomes, seconds = self._transact({content.slot: [("UNLINK", *content.keys)]})
        outcome = outcomes[content.slot]
        if outcome.reply is None or isinstance(outcome.reply, ReplyError):
            return False
        if not outcome.is_marked:
            raise ReplyError(f"{self._source.name} did not mark slot {content.slot}: {outcome.reply!r:.200}")
        self._around.progress.add(block_s=seconds)
        if outcome.keys_left:
            # Written since it was looked at, and never copied.
            self._in_parts([content.slot])
        else:
            self._give([content.slot])
            self._around.progress.add(slots=1)
        return True

    def _drop_copies(self, slot: int) -> None:
        self._source.link.call("UNWATCH")
        self._target.mark_copies(slot)
        self._target.drop_copies(1 << slot)

    def _rid(self, found: list[tuple[int, list[bytes]]]) -> None:
        sizes = self._sizes([key for _, keys in found for key in keys])
        for step in self._steps(found, sizes):
            self._send(step, sizes)

    def _sizes(self, keys: list[bytes]) -> dict[bytes, int]:
        replies = self._source.link.pipeline([("MEMORY", "USAGE", key) for key in keys])
        return {key: reply if isinstance(reply, int) else 0 for key, reply in zip(keys, replies, strict=True)}

    def _steps(self, found: list[tuple[int, list[bytes]]], sizes: Mapping[bytes, int]) -> Iterator[list[list[bytes]]]:
        """Keys grouped into steps of at most the batch's bytes; within a step one MIGRATE per slot (keys of different
        slots may not share one). A key larger than a batch is a step of its own."""
        step: list[list[bytes]] = []
        carried = 0
        for _, keys in found:
            group: list[bytes] = []
            for key in keys:
                if (step or group) and carried + sizes[key] > self._batch.size_bytes:
                    yield [*step, group] if group else step
                    step, group, carried = [], [], 0
                group.append(key)
                carried += sizes[key]
            if group:
                step.append(group)
            if len(step) >= MAX_MIGRATES_PER_STEP:
                yield step
                step, carried = [], 0
        if step:
            yield step

    def _send(self, step: list[list[bytes]], sizes: Mapping[bytes, int], *how: str) -> None:
        carried = sum(sizes[key] for group in step for key in group)
        self._rate.spend(carried)
        commands = [self._migrate(group, _timeout_s(carried), *how) for group in step]
        for attempt in range(1, TRIES + 1):
            start = self._around.network.now()
            replies = self._source.link.pipeline(commands, timeout_s=_patience_s(carried))
            seconds = self._around.network.now() - start
            errors = [reply for reply in replies if isinstance(reply, ReplyError)]
            if not errors:
                break
            if any("OOM" in str(error) for error in errors):
                raise TargetFullError(
                    f"{self._target.name} has no memory left for the keys of {self._source.name}, which go on being "
                    "served. Give the target more memory and run this again"
                )
            if attempt == TRIES or not all("IOERR" in str(error) for error in errors):
                raise errors[0]
            # The target did not answer in time: it may be busy. What it has stays there, REPLACE makes a repeat safe.
            self._around.network.sleep(RETRY_PAUSE_S * attempt)
        self._learn(carried, sum(map(len, step)), seconds)
        self._around.progress.add(keys=sum(map(len, step)), size_bytes=carried, block_s=seconds)

    def _learn(self, carried_bytes: int, keys: int, seconds: float) -> None:
        self._batch.took(carried_bytes, seconds)
        if keys == 1 and carried_bytes >= LARGE_KEY_BYTES:
            self._around.log(
                f"move: a key of {carried_bytes / 2**20:,.0f} MiB blocked {self._source.name} for "
                f"{seconds * 1000:.0f} ms; a single key cannot be moved in parts"
            )

    def _migrate(self, keys: list[bytes], timeout_s: float, *how: str) -> tuple[Argument, ...]:
        ip, port = self._target.address
        # REPLACE: where both have a key, the source's is the one clients were served from.
        head: list[Argument] = ["MIGRATE", ip, port, "", 0, int(timeout_s * 1000), *how, "REPLACE"]
        if self._password:
            head += ["AUTH", self._password]
        return (*head, "KEYS", *keys)


def _timeout_s(size_bytes: int) -> float:
    return MIGRATE_BASE_TIMEOUT_S + size_bytes / MIGRATE_SLOWEST_BYTES_PER_S


def _patience_s(size_bytes: int) -> float:
    """How long to wait for the source's reply: MIGRATE may use its time for connecting and again for the reply."""
    return _timeout_s(size_bytes) * 2 + 1
