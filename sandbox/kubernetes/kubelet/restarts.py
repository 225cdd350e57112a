"""How long the kubelet waits before it restarts a container. Pure."""

from __future__ import annotations

_BACKOFF_FIRST_S = 10.0
_BACKOFF_MAX_S = 300.0
_BACKOFF_FORGOTTEN_S = 600.0


class Backoff:
    """Delay before a restart: none the first time, then 10 s doubling to 300 s; forgotten after 10 quiet minutes."""

    def __init__(self) -> None:
        self._delay_s = 0.0
        self._updated = 0.0

    def next_delay_s(self, finished_at: float) -> float:
        if finished_at - self._updated > _BACKOFF_FORGOTTEN_S:
            self._delay_s = 0.0
        delay = self._delay_s
        self._delay_s = min(max(delay * 2, _BACKOFF_FIRST_S), _BACKOFF_MAX_S)
        self._updated = finished_at
        return delay
