"""How figures and values are written for people: in warnings, refusals and the printed plan alike.

Sizes that a stack config takes are written by `components.config.units`.
"""

import json
from typing import Any

from components.config.units import GIB, MIB

NONE = "–"
"""Stands where there is no figure."""
_VALUE_SHOWN = 200
"""Characters of a wrong value that a message repeats."""


def figure(value: float, digits: int = 0) -> str:
    """A number without a unit, rounded to so many digits behind the point: 1234.5 -> 1,234.

    What would round to nothing and is not nothing says so (`under 0.1`): 0.0 reads as if there were none. There is
    never an exponent, which nobody reads in a table.
    """
    least = 10.0**-digits
    if 0 < abs(value) < least / 2:
        return f"under {least:.{digits}f}" if value > 0 else "0"
    return f"{value:,.{digits}f}" if value else "0"


def short(value: float) -> str:
    """A number below ten with two digits that count, whole from ten on: 0.167 -> 0.17, 8.53 -> 8.5, 123.4 -> 123."""
    if abs(value) >= 9.95:
        return figure(value)
    if 0 < abs(value) < 0.01:
        return figure(value, 2)
    return f"{value:.2g}"


def plain(value: float) -> str:
    """A number with only the digits it needs, three behind the point at most: 12.5 -> 12.5, 4000 -> 4,000."""
    text = figure(value, 3)
    return text.rstrip("0").rstrip(".") if "." in text and not text.startswith("under") else text


def memory(size_bytes: float) -> str:
    """Memory, in GiB from 10 GiB on: 503316480000 -> 469 GiB."""
    return f"{figure(size_bytes / GIB)} GiB" if size_bytes >= 10 * GIB else f"{figure(size_bytes / MIB)} MiB"


def memory_to_a_tenth(size_mib: float) -> str:
    """Where a tenth decides whether a pod fits a node: 94208 -> 92.0 GiB."""
    return f"{figure(size_mib / 1024, 1)} GiB"


def usd(amount: float | None) -> str:
    """Whole dollars, without the unit."""
    return NONE if amount is None else figure(amount)


def percent(value: float, digits: int = 0) -> str:
    """6.25 -> 6.25 % with two digits; 0.02 -> under 0.1 % with one."""
    return f"{figure(value, digits)} %"


def share(value: float, digits: int = 3) -> str:
    """A share of one with the digits it needs, so many behind the point at most: 0.8 -> 80 %, 0.995 -> 99.5 %.

    It has more of them where it would read as all and is not: a hit rate of 99.99 % still writes images.
    """
    hundredfold = 100 * value
    for places in range(digits, 4):
        text = figure(hundredfold, places) if places < 3 else plain(hundredfold)
        if value >= 1 or not text.startswith("100"):
            return f"{text} %"
    return "over 99.999 %"


def seconds(value: float) -> str:
    """Seconds below two minutes, then minutes, then hours: 440 -> 7 min 20 s."""
    if value < 120:
        return f"{short(value)} s"
    whole = round(value)
    (large, rest), units = (divmod(whole, 60), "min s") if whole < 7200 else (divmod(whole // 60, 60), "h min")
    large_unit, small_unit = units.split()
    return f"{large:,} {large_unit} {rest} {small_unit}" if rest else f"{large:,} {large_unit}"


def milliseconds(value: float | None) -> str:
    """0.5 -> 0.5 ms, 1234 -> 1,234 ms; None is a queue that only grows."""
    if value is None:
        return "unbounded"
    return f"{figure(value, 1 if value < 10 else 0)} ms"


def rate(value: float) -> str:
    """Events a second: 500 -> 500/s, 2.67 -> 2.7/s."""
    return f"{short(value)}/s"


def thousands(low: float, high: float) -> str:
    """A span as the sizing document writes it: 50K-80K, 12.5K-20K, 1,500K-2,400K."""
    least, most = thousand(low), thousand(high)
    return least if least == most else f"{least}-{most}"


def thousand(value: float) -> str:
    """12500 -> 12.5K, 1500000 -> 1,500K, 500 -> 0.5K."""
    if value >= 99_950:
        return f"{figure(value / 1000)}K"
    return f"{plain(round(value / 1000, 1)) if value >= 50 or not value else figure(value / 1000, 1)}K"


def gbps(value: float) -> str:
    """4.8 -> 4.8 Gbps, 0.0267 -> 0.03 Gbps."""
    return f"{figure(value, 1 if value >= 0.1 else 2)} Gbps"


def times(value: float) -> str:
    """Capacity over demand: 1.25 -> 1.25x, 375 -> 375x. What is too little never reads as if it were enough."""
    text = figure(value, 2 if value < 100 else 0)
    return f"under {text}x" if value < 1 and text == "1.00" else f"{text}x"


def count(number: int, singular: str, plural: str | None = None) -> str:
    """1 pod, 4 pods; an irregular plural is given."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def shown(value: Any) -> str:
    """A value as a stack file has it, and no more of it than tells which one it is."""
    text = json.dumps(value, default=str, skipkeys=True)
    return text if len(text) <= _VALUE_SHOWN else f"{text[:_VALUE_SHOWN]}…"
