"""Asks a Prometheus what a stack's pool uses. Bounded: one answer for each figure, small, and soon."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from components.advice.right_sizing import Measured
from components.plan.alerting import HIT_RATE, MEMORY_USED
from preview.errors import EvaluationError

_TIMEOUT_S = 10.0
_ANSWER_BYTES_MAX = 1 << 20
LOOKED_BACK = "1d"
"""A day has its busiest hour in it."""


def measured_from(url: str, pool: str) -> Measured:
    """Most memory in use, and the hit rate on average, within a day. A pool that nobody reads has no hit rate.

    Raises EvaluationError for an address that is none, and where nobody answers, no Prometheus does, or it knows
    nothing of the pool.
    """
    if urllib.parse.urlsplit(url).scheme not in ("http", "https") or not urllib.parse.urlsplit(url).hostname:
        raise EvaluationError(f"--measured-from {url}: no address; give one such as http://prometheus.example:9090")
    memory = _value(url, f'max_over_time({MEMORY_USED}{{namespace="{pool}"}}[{LOOKED_BACK}])')
    if memory is None:
        raise EvaluationError(
            f"--measured-from {url}: it has no {MEMORY_USED} of namespace {pool}; monitoring.exporter must be true, "
            "and Prometheus must have the rules that it renders; or give the figures with --measured-memory and "
            "--measured-hit-rate"
        )
    return Measured(memory_bytes=round(memory), hit_rate=_value(url, hit_rate_of(pool)))


def hit_rate_of(pool: str) -> str:
    """The average hit rate. Minutes without a lookup have none (NaN), and one of them would leave the day without."""
    return f'avg_over_time(({HIT_RATE}{{namespace="{pool}"}} >= 0)[{LOOKED_BACK}:30s])'


def _value(url: str, expr: str) -> float | None:
    """Of the one series that an expression has; None without one, and for NaN, such as no hits of no lookups."""
    found = _answer(url, expr)
    try:
        if not found["data"]["result"]:
            return None
        value = float(found["data"]["result"][0]["value"][1])
    except (KeyError, IndexError, TypeError, ValueError):
        raise EvaluationError(f"--measured-from {url}: what answers is no Prometheus") from None
    return None if value != value else value


def _answer(url: str, expr: str) -> Any:
    asked = f"{url.rstrip('/')}/api/v1/query?{urllib.parse.urlencode({'query': expr})}"
    try:
        # measured_from has checked that the scheme is that of HTTP.
        with urllib.request.urlopen(asked, timeout=_TIMEOUT_S) as answer:  # noqa: S310
            return json.loads(answer.read(_ANSWER_BYTES_MAX))
    except urllib.error.HTTPError as error:
        raise EvaluationError(f"--measured-from {url}: it answers {error.code} {error.reason}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        what = "what answers is no Prometheus" if isinstance(error, ValueError) else f"it does not answer: {reason}"
        raise EvaluationError(f"--measured-from {url}: {what}") from None
