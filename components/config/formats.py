"""How figures are written for people: in warnings, refusals and the printed plan alike.

Sizes that a stack config takes are written by `components.config.units`.
"""

from components.config.units import GIB, MIB

NONE = "–"
"""Stands where there is no figure."""


def memory(size_bytes: float) -> str:
    """Memory, in GiB from 10 GiB on: 503316480000 -> 469 GiB."""
    return f"{size_bytes / GIB:,.0f} GiB" if size_bytes >= 10 * GIB else f"{size_bytes / MIB:,.0f} MiB"


def memory_to_a_tenth(size_mib: float) -> str:
    """Where a tenth decides whether a pod fits a node: 94208 -> 92.0 GiB."""
    return f"{size_mib / 1024:.1f} GiB"


def usd(amount: float | None) -> str:
    """Whole dollars, without the unit."""
    return NONE if amount is None else f"{amount:,.0f}"


def percent(value: float, digits: int = 0) -> str:
    """6.25 -> 6.25 % with two digits."""
    return f"{value:,.{digits}f} %"


def seconds(value: float) -> str:
    """Seconds below two minutes, then minutes, then hours: 440 -> 7 min 20 s."""
    if value < 120:
        return f"{value:.2g} s" if value < 9.95 else f"{value:.0f} s"
    whole = round(value)
    (large, rest), units = (divmod(whole, 60), "min s") if whole < 7200 else (divmod(whole // 60, 60), "h min")
    large_unit, small_unit = units.split()
    return f"{large:,} {large_unit} {rest} {small_unit}" if rest else f"{large:,} {large_unit}"


def milliseconds(value: float | None) -> str:
    """0.5 -> 0.5 ms, 1234 -> 1,234 ms; None is a queue that only grows."""
    if value is None:
        return "unbounded"
    return f"{value:.1f} ms" if value < 10 else f"{value:,.0f} ms"


def rate(value: float) -> str:
    """Events a second: 500 -> 500/s, 2.67 -> 2.7/s."""
    return f"{value:,.0f}/s" if value >= 10 else f"{value:.2g}/s"


def thousands(low: float, high: float) -> str:
    """A span as the sizing document writes it: 50K-80K."""
    return f"{low / 1000:,.3g}K-{high / 1000:,.3g}K"


def gbps(value: float) -> str:
    """4.8 -> 4.8 Gbps, 0.0267 -> 0.03 Gbps."""
    return f"{value:,.1f} Gbps" if value >= 0.1 else f"{value:.2f} Gbps"


def times(value: float) -> str:
    """Capacity over demand: 1.25 -> 1.25x, 375 -> 375x."""
    return f"{value:.2f}x" if value < 100 else f"{value:,.0f}x"


def count(number: int, singular: str, plural: str | None = None) -> str:
    """1 pod, 4 pods; an irregular plural is given."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"
