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
        self.per_second = per_second
        self._lock = threading.Lock()
        self._free_at = network.now()

    def consume(self, amount: float) -> None:
        """Account for `amount`, and return when all that was consumed before is within the rate. A limit of 0 does not
        limit. Quiet times earn no credit, which would be a burst later."""
        if self.per_second <= 0 or amount <= 0:
            return
        with self._lock:
            now = self._network.now()
            start = max(now, self._free_at)
            self._free_at = start + amount / self.per_second
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


JOB_S = 10.0
"""How long one job by which servers move slots themselves should take. Writes to its slots wait in memory meanwhile,
and a run that is killed leaves it to its end. But each job costs a fork and a switch, half a second on a busy machine:
with jobs of 5 s a slow move took a seventh longer than with one job for all."""

PACED_JOB_S = 5.0
"""Of a limit of the rate, how much one job carries at most. It is sent as fast as the servers can, and then nothing
for the rest of that time."""

FIRST_JOB_BYTES = 1 << 30
"""The first job of a source, whose speed is not known yet: 10 s at 100 MB/s, which is slow for nodes of this kind."""

MAX_JOB_KEYS = 250_000
"""The source drops the keys of a job at once when it has ended, and answers nobody meanwhile (`make bench-resize`)."""


class JobSize:
    """How much one job may carry, adapted to how long the last one took. `per_second` is the source's share of the
    limit of the rate, in bytes; 0 for none."""

    def __init__(self, per_second: float) -> None:
        self._most_bytes = per_second * PACED_JOB_S if per_second > 0 else float("inf")
        self._size_bytes = min(float(FIRST_JOB_BYTES), self._most_bytes)

    def allows(self, keys: int, size_bytes: float) -> bool:
        return keys <= MAX_JOB_KEYS and size_bytes <= self._size_bytes

    def adapt(self, carried_bytes: int, seconds: float) -> None:
        """Learn from a job. One far below the size says nothing about larger ones, unless it was slow."""
        if seconds > JOB_S or carried_bytes * 2 >= self._size_bytes:
            wanted = carried_bytes * JOB_S / max(seconds, 1e-6)
            self._size_bytes = max(1.0, min(4 * self._size_bytes, wanted, self._most_bytes))
