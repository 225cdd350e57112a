"""Constant load by an ordinary cluster client, for tests that change the cluster under it."""

from __future__ import annotations

import random
import threading
from typing import Any

from tests.reconciler.servers import Fleet, value_of


class Load:
    """Reads and rewrites known keys until stopped. `failures` are requests the client gave up on, after its ordinary
    retries; `misses` are reads of a known key that found nothing (the key is then written again)."""

    def __init__(self, fleet: Fleet, keys: int, size_bytes: int = 8) -> None:
        self._client: Any = fleet.client()
        self._values = [(f"key:{index}", value_of(index, size_bytes)) for index in range(keys)]
        self.failures: list[str] = []
        self.misses = 0
        self.requests = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join(30)
        self._client.close()

    def _run(self) -> None:
        choice = random.Random(0)
        while not self._stop.is_set():
            name, value = choice.choice(self._values)
            try:
                self.requests += 1
                if choice.random() < 0.3:
                    self._client.set(name, value)
                elif self._client.get(name) is None:
                    self.misses += 1
                    self._client.set(name, value)
            except Exception as error:
                self.failures.append(f"{name}: {type(error).__name__}: {error}")
