"""The programs of a cluster as children of whoever builds it: logs, waiting, ending."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

_STOP_WITHIN_S = 10.0
_LAST_LINES = 25


class NotReady(Exception):
    """A program did not become ready in time; the message has the end of its log."""


class Components:
    """Starts programs with their output in `home`/NAME.log."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *command: str) -> None:
        with (self.home / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=os.getcwd(), start_new_session=True
            )

    def wait(self, name: str, is_ready: Callable[[], bool], within_s: float) -> None:
        """Raises NotReady when the program ended or is not ready in time."""
        deadline = time.monotonic() + within_s
        while not is_ready():
            ended = self._running[name].poll()
            if ended is not None or time.monotonic() > deadline:
                what = f"not ready after {within_s:.0f} s" if ended is None else f"ended with status {ended}"
                lines = (self.home / f"{name}.log").read_text(errors="replace").splitlines()[-_LAST_LINES:]
                raise NotReady("\n".join([f"{name}: {what}", *lines]))
            time.sleep(0.1)

    def stop(self) -> None:
        """Ends them all, those that were started last first."""
        for process in reversed(self._running.values()):
            process.terminate()
            try:
                process.wait(_STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()
