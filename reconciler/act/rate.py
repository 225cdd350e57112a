"""How fast slots move: a rate limit that all threads share, and batches that keep a master responsive."""

from __future__ import annotations

import threading

from reconciler.connection import Network

TARGET_BLOCK_S = 0.015
"""How long one batch should take: for so long its master answers nobody else. 100 ms are allowed. A seventh of that
leaves room for a slow moment, and a batch is then still long beside its round trip (`make bench-resize`)."""

FIRST_BATCH_BYTES = 1 << 20
MAX_BATCH_BYTES = 64 << 20


class RateLimit:
    """A limit on a rate that many threads share."""

    def __init__(self, network: Network, per_second: float) -> None:
        self._network = network
        self._per_second = per_second
        self._lock = threading.Lock()
        self._free_at = network.now()

    def consume(self, amount: float) -> None:
        """Account for `amount`, and return when all that was consumed before is within the rate. A limit of 0 does not
        limit. Quiet times earn no credit, which would be a burst later."""
        if self._per_second <= 0 or amount <= 0:
            return
        with self._lock:
            now = self._network.now()
            start = max(now, self._free_at)
            self._free_at = start + amount / self._per_second
        if start > now:
            self._network.sleep(start - now)


class BatchSize:
    """How many bytes one batch of MIGRATE commands of one source may carry, adapted to how long the last one took."""

    def __init__(self) -> None:
        self.size_bytes = FIRST_BATCH_BYTES

    def adapt(self, carried_bytes: int, seconds: float) -> None:
        """Learn from a batch. The size grows at most twofold and shrinks at once. A batch far below the size says
        nothing about larger ones, unless it was slow."""
        if seconds > TARGET_BLOCK_S:
            self.size_bytes = max(1, int(min(carried_bytes, self.size_bytes) * TARGET_BLOCK_S / seconds))
        elif carried_bytes * 2 >= self.size_bytes:
            factor = min(2.0, TARGET_BLOCK_S / max(seconds, 1e-6))
            self.size_bytes = min(MAX_BATCH_BYTES, int(self.size_bytes * factor) + 1)
