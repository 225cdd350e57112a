"""How figures are written for people: in warnings, refusals and the printed plan alike."""

from components.config.units import GIB, MIB


def gib(size_bytes: float) -> str:
    """Memory, in GiB from 10 GiB on: 503316480000 -> 469 GiB."""
    return f"{size_bytes / GIB:,.0f} GiB" if size_bytes >= 10 * GIB else f"{size_bytes / MIB:,.0f} MiB"


def gib_to_a_tenth(size_mib: float) -> str:
    """Memory where a tenth decides whether a pod fits a node: 94208 -> 92.0 GiB."""
    return f"{size_mib / 1024:.1f} GiB"


def usd(amount: float | None) -> str:
    """Whole dollars; a dash where there is no figure."""
    return "–" if amount is None else f"{amount:,.0f}"


def percent(value: float, digits: int = 0) -> str:
    """6.25 -> 6.25 % with two digits."""
    return f"{value:.{digits}f} %"


def seconds(value: float) -> str:
    """Seconds below two minutes, then minutes: 440 -> 7 min 20 s."""
    if value < 120:
        return f"{value:.2g} s" if value < 10 else f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def rate(value: float) -> str:
    """Requests a second: 500 -> 500/s, 2.67 -> 2.7/s."""
    return f"{value:,.0f}/s" if value >= 10 else f"{value:.2g}/s"


def thousands(low: float, high: float) -> str:
    """A span as the sizing document writes it: 50K-80K."""
    return f"{low / 1000:,.3g}K-{high / 1000:,.3g}K"


def gbps(value: float) -> str:
    """4.8 -> 4.8 Gbps, 0.0267 -> 0.03 Gbps."""
    return f"{value:,.1f} Gbps" if value >= 0.1 else f"{value:.2f} Gbps"


def times(value: float) -> str:
    """Headroom: 1.25 -> 1.25x, 375 -> 375x."""
    return f"{value:.2f}x" if value < 100 else f"{value:,.0f}x"
