"""What a person sees while the suite runs: every step, with the seconds since it began."""

from __future__ import annotations

import os
import time

MARK = "e2e| "
"""Begins every line of progress, by which `python -m tests.e2e` knows what to print at once."""
_BEGAN = time.monotonic()


def say(text: str) -> None:
    """Progress, line by line."""
    for line in text.splitlines():
        os.write(1, f"{MARK}{time.monotonic() - _BEGAN:5.0f} s  {line}\n".encode())
