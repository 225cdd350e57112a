"""*expire*: slots change owner without their keys, paced so that the extra misses stay within a budget."""

from __future__ import annotations

import math

from reconciler.act.endpoint import Endpoint
from reconciler.act.rate import RateLimit
from reconciler.act.slot_content import GroupTotal, SlotContent
from reconciler.act.slot_move import MAX_KEYS_AT_ONCE, MoveContext, SlotMove
from reconciler.connection import Argument

FEWEST_KEYS_AT_ONCE = 16
PACE_S = 0.04
"""What is dropped in one round trip, of several slots or of one that moves in parts, is what the budget allows in this
time: the pace is even, and small slots do not cost a round trip each. UNLINK frees keys in the background. A slot that
moves in one moment drops all of its keys in that moment."""


class MoveWithoutKeys(SlotMove):
    """The source drops the keys of a slot before the slot moves, and the applications write them again on a miss.

    A key costs one extra miss at most, so keys per second are the budget. Ownership could also change first, and the
    source would drop the keys by itself; but Redis 7.0 does not tell its replicas, which would keep them for ever.
    """

    def __init__(self, source: Endpoint, target: Endpoint, context: MoveContext, misses: RateLimit) -> None:
        super().__init__(source, target, context)
        self._misses = misses
        per_second = misses.per_second if misses.per_second > 0 else math.inf
        self._keys_at_once = int(max(FEWEST_KEYS_AT_ONCE, min(MAX_KEYS_AT_ONCE, per_second * PACE_S)))

    def _sizes(self, keys: list[bytes]) -> dict[bytes, int]:
        return dict.fromkeys(keys, 0)

    def _fits(self, total: GroupTotal) -> bool:
        return total.keys <= self._keys_at_once

    def _learn_from(self, group: list[SlotContent], seconds: float) -> None:
        """Nothing is sent, so there is nothing to learn."""

    def _removal(self, content: SlotContent) -> list[tuple[Argument, ...]]:
        self._misses.consume(len(content.keys))
        return [("UNLINK", *content.keys)] if content.keys else []

    def _remove(self, found: list[tuple[int, list[bytes]]]) -> None:
        every = [key for _, keys in found for key in keys]
        for start in range(0, len(every), self._keys_at_once):
            part = every[start : start + self._keys_at_once]
            self._misses.consume(len(part))
            self._source.run([("UNLINK", key) for key in part])
            self._context.progress.add(keys=len(part))
