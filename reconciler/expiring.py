"""*expire*: slots change owner without their keys, paced so that the extra misses stay within a budget."""

from __future__ import annotations

from reconciler.link import Argument, ReplyError
from reconciler.pace import Bound
from reconciler.peers import Content, Peer, Total
from reconciler.slot_move import SlotMove, Surroundings

KEYS_AT_ONCE = 16
"""Keys dropped in one round trip, of several slots or of one that goes in parts: few enough that the pace is even, and
freed in the background by UNLINK. A slot that goes in one moment drops its keys in that moment."""


class Expire(SlotMove):
    """The source drops the keys of a slot before the slot goes; the target gets them again from those who miss them.

    A key costs one extra miss at most, so keys per second are the budget. Ownership could also change first, and the
    source would drop the keys by itself; but Redis 7.0 does not tell its replicas, which would keep them for ever.
    """

    def __init__(self, source: Peer, target: Peer, around: Surroundings, misses: Bound) -> None:
        super().__init__(source, target, around)
        self._misses = misses

    def _sizes(self, keys: list[bytes]) -> dict[bytes, int]:
        return dict.fromkeys(keys, 0)

    def _fits(self, together: Total) -> bool:
        return together.keys <= KEYS_AT_ONCE

    def _took(self, group: list[Content], seconds: float) -> None:
        """Nothing is sent: there is nothing to learn."""

    def _ridding(self, content: Content) -> list[tuple[Argument, ...]]:
        self._misses.spend(len(content.keys))
        return [("UNLINK", *content.keys)] if content.keys else []

    def _rid(self, found: list[tuple[int, list[bytes]]]) -> None:
        for _, keys in found:
            for start in range(0, len(keys), KEYS_AT_ONCE):
                part = keys[start : start + KEYS_AT_ONCE]
                self._misses.spend(len(part))
                for reply in self._source.link.pipeline([("UNLINK", key) for key in part]):
                    if isinstance(reply, ReplyError):
                        raise reply
                self._around.progress.add(keys=len(part))
