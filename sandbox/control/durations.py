"""Durations as a command line has them."""

from __future__ import annotations

import argparse
import re

_UNITS_S = {"h": 3600, "m": 60, "s": 1}


def seconds_of(text: str) -> float:
    """`1h30m`, `5m`, `30s` in seconds. Raises ArgumentTypeError for anything else."""
    if re.fullmatch(r"(?:\d+[hms])+", text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; give one such as 30s, 5m or 1h")
    return float(sum(int(number) * _UNITS_S[unit] for number, unit in re.findall(r"(\d+)([hms])", text)))
