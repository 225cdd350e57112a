"""*expire*: slots change owner without their keys, paced so that the extra misses stay within a budget."""

from __future__ import annotations

from reconciler.link import Argument, ReplyError
from reconciler.pace import Bound
from reconciler.slot_move import Peer, SlotMove, Surroundings

KEYS_AT_ONCE = 16
"""Keys dropped in one round trip: few enough that the pace is even, and freed in the background by UNLINK."""


class Expire(SlotMove):
    """The source drops the keys of a slot before the slot goes; the target gets them again from those who miss them.

    A key costs one extra miss at most, so keys per second are the budget. Ownership could also change first, and the
    source would drop the keys by itself; but Redis 7.0 does not tell its replicas, which would keep them for ever.
    """

    def __init__(self, source: Peer, target: Peer, around: Surroundings, misses: Bound) -> None:
        super().__init__(source, target, around)
        self._misses = misses

    def _ridding(self, keys: list[bytes], size_bytes: int) -> list[tuple[Argument, ...]]:
        self._misses.spend(len(keys))
        return [("UNLINK", key) for key in keys]

    def _rid(self, found: list[tuple[int, list[bytes]]]) -> None:
        for _, keys in found:
            for start in range(0, len(keys), KEYS_AT_ONCE):
                part = keys[start : start + KEYS_AT_ONCE]
                self._misses.spend(len(part))
                for reply in self._source.link.pipeline([("UNLINK", key) for key in part]):
                    if isinstance(reply, ReplyError):
                        raise reply
                self._around.progress.add(keys=len(part))
