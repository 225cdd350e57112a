"""How long the kubelet waits before it tries again: to start a container, or to pull an image. Pure."""

from __future__ import annotations

_BACKOFF_FIRST_S = 10.0
_BACKOFF_MAX_S = 300.0
_BACKOFF_FORGOTTEN_S = 600.0


class Backoff:
    """10 s, doubling to 300 s; forgotten after 10 quiet minutes. The first wait is none at all where it is free, which
    a restart's is and an image's is not."""

    def __init__(self, *, first_free: bool = True) -> None:
        self._first_s = 0.0 if first_free else _BACKOFF_FIRST_S
        self._delay_s = self._first_s
        self._updated = 0.0

    def next_delay_s(self, failed_at: float) -> float:
        if failed_at - self._updated > _BACKOFF_FORGOTTEN_S:
            self._delay_s = self._first_s
        delay = self._delay_s
        self._delay_s = min(max(delay * 2, _BACKOFF_FIRST_S), _BACKOFF_MAX_S)
        self._updated = failed_at
        return delay
