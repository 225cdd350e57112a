"""What people are told while slots move."""

from __future__ import annotations

import threading
from collections.abc import Callable

from reconciler.connection import Network

REPORT_EVERY_S = 5.0


class Progress:
    """Counts what has moved and says so every few seconds. Shared by threads."""

    def __init__(self, network: Network, log: Callable[[str], None], total_slots: int) -> None:
        self._network = network
        self._log = log
        self._total_slots = total_slots
        self._start = self._last_report = network.now()
        self._lock = threading.Lock()
        self.slots = 0
        self.keys = 0
        self.size_bytes = 0
        self.longest_block_s = 0.0
        """The longest time for which a master answered nobody else."""

    def add(self, slots: int = 0, keys: int = 0, size_bytes: int = 0, block_s: float = 0.0) -> None:
        with self._lock:
            self.slots += slots
            self.keys += keys
            self.size_bytes += size_bytes
            self.longest_block_s = max(self.longest_block_s, block_s)
            if self._network.now() - self._last_report < REPORT_EVERY_S:
                return
            self._last_report = self._network.now()
            seconds = self._seconds()
            text = self._text(seconds)
            left = seconds * (self._total_slots - self.slots) / self.slots if self.slots else None
        self._log(f"{text}, " + ("time left not known yet" if left is None else f"about {left:,.0f} s left"))

    def _seconds(self) -> float:
        return max(self._network.now() - self._start, 1e-3)

    def _text(self, seconds: float) -> str:
        return (
            f"move: {self.slots:,} of {self._total_slots:,} slots, {self.keys:,} keys, "
            f"{self.size_bytes / 2**20:,.0f} MiB, {self.size_bytes / 2**20 / seconds:,.0f} MiB/s, "
            f"longest block {self.longest_block_s * 1000:.0f} ms"
        )

    def report_end(self) -> None:
        seconds = self._seconds()
        # A short move is told to a hundredth, by which the bench compares two.
        self._log(f"{self._text(seconds)}, in {seconds:.{1 if seconds >= 10 else 2}f} s")
