"""How fast things move: a shared bound on a rate, a batch that keeps a master responsive, and what people are told."""

from __future__ import annotations

import threading
from collections.abc import Callable

from reconciler.link import Network

TARGET_BLOCK_S = 0.015
"""What one batch aims to take: a master answers nobody else meanwhile. The bound asked for is 100 ms; a seventh of it
leaves room for a slow moment, and a batch is then still long against its round trip (`make bench-resize`)."""

FIRST_BATCH_BYTES = 1 << 20
MAX_BATCH_BYTES = 64 << 20
REPORT_EVERY_S = 5.0


class Bound:
    """A bound on a rate that many threads share: `spend` returns once what was spent before is within the rate."""

    def __init__(self, network: Network, per_second: float) -> None:
        self._network = network
        self._per_second = per_second
        self._lock = threading.Lock()
        self._free_at = network.now()

    def spend(self, amount: float) -> None:
        """Account for `amount` and wait for the turn. A bound of 0 does not bound."""
        if self._per_second <= 0 or amount <= 0:
            return
        with self._lock:
            now = self._network.now()
            start = max(now, self._free_at)
            self._free_at = start + amount / self._per_second
        if start > now:
            self._network.sleep(start - now)


class Batch:
    """How many bytes one MIGRATE step of one source may carry, adapted to how long the last one took."""

    def __init__(self) -> None:
        self.size_bytes = FIRST_BATCH_BYTES

    def took(self, carried_bytes: int, seconds: float) -> None:
        """Learn from a step. Grows at most twofold, shrinks at once; a step far below the size teaches nothing."""
        if seconds > TARGET_BLOCK_S:
            self.size_bytes = max(1, int(min(carried_bytes, self.size_bytes) * TARGET_BLOCK_S / seconds))
        elif carried_bytes * 2 >= self.size_bytes:
            factor = min(2.0, TARGET_BLOCK_S / max(seconds, 1e-6))
            self.size_bytes = min(MAX_BATCH_BYTES, int(self.size_bytes * factor) + 1)


class Progress:
    """Counts what has moved and says so every few seconds. Shared by threads."""

    def __init__(self, network: Network, log: Callable[[str], None], total_slots: int) -> None:
        self._network = network
        self._log = log
        self._total_slots = total_slots
        self._start = self._said = network.now()
        self._lock = threading.Lock()
        self.slots = 0
        self.keys = 0
        self.size_bytes = 0
        self.longest_block_s = 0.0

    def add(self, slots: int = 0, keys: int = 0, size_bytes: int = 0, block_s: float = 0.0) -> None:
        with self._lock:
            self.slots += slots
            self.keys += keys
            self.size_bytes += size_bytes
            self.longest_block_s = max(self.longest_block_s, block_s)
            if self._network.now() - self._said < REPORT_EVERY_S:
                return
            self._said = self._network.now()
            text = self._text()
        self._log(text)

    def _text(self) -> str:
        seconds = max(self._network.now() - self._start, 1e-3)
        left = seconds * (self._total_slots - self.slots) / self.slots if self.slots else None
        return (
            f"move: {self.slots:,} of {self._total_slots:,} slots, {self.keys:,} keys, "
            f"{self.size_bytes / 2**20:,.0f} MiB, {self.size_bytes / 2**20 / seconds:,.0f} MiB/s, "
            f"longest block {self.longest_block_s * 1000:.0f} ms, "
            + ("time left not known yet" if left is None else f"about {left:,.0f} s left")
        )

    def last_word(self) -> None:
        self._log(self._text())
