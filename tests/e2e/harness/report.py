"""What a person sees while the suite runs: every step with the time since it began, past pytest's capturing."""

from __future__ import annotations

import os
import time

_BEGAN = time.monotonic()
_DESCRIPTOR = os.dup(2)
"""Standard error as it was before pytest captured it."""


def say(text: str) -> None:
    """One line of progress."""
    os.write(_DESCRIPTOR, f"  {time.monotonic() - _BEGAN:5.0f} s  {text}\n".encode())
