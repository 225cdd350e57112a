"""Rules whose patience is divided by one factor, so that an alert that waits for minutes is seen within seconds.

Thresholds stay as they are rendered. What is divided is how long a condition has to last (`for`) and how far a query
looks back (`[5m]`); neither gets shorter than Prometheus can see at its interval.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = r"(\d+)(ms|s|m|h|d)"
_SAMPLES_MIN = 4
"""A rate needs two samples, and one may be missing or late."""


def in_a_hurry(groups: Sequence[dict[str, Any]], hurry: float, interval_s: float) -> list[dict[str, Any]]:
    """The groups with every time divided by `hurry`; unchanged for 1."""
    if hurry == 1:
        return list(groups)
    return [{**group, "rules": [_rule(rule, hurry, interval_s) for rule in group["rules"]]} for group in groups]


def _rule(rule: dict[str, Any], hurry: float, interval_s: float) -> dict[str, Any]:
    changed = {**rule, "expr": re.sub(rf"\[{_DURATION}\]", lambda m: _range(m, hurry, interval_s), rule["expr"])}
    if "for" in rule:
        found = re.fullmatch(_DURATION, rule["for"])
        if found is None:
            raise ValueError(f"for: {rule['for']} is no duration")
        changed["for"] = _written(_seconds(found) / hurry)
    return changed


def _range(found: re.Match[str], hurry: float, interval_s: float) -> str:
    return f"[{_written(max(_SAMPLES_MIN * interval_s, _seconds(found) / hurry))}]"


def _seconds(found: re.Match[str]) -> float:
    return int(found[1]) * _UNITS_S[found[2]]


def _written(seconds: float) -> str:
    return f"{round(1000 * seconds)}ms"
