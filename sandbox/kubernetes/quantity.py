"""Kubernetes resource quantities (`77Gi`, `1000m`, `1e3`) as integers with a unit in the name."""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal

_SUFFIX = {
    "": Decimal(1),
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "k": Decimal(10) ** 3,
    "M": Decimal(10) ** 6,
    "G": Decimal(10) ** 9,
    "T": Decimal(10) ** 12,
    "P": Decimal(10) ** 15,
    "E": Decimal(10) ** 18,
    "Ki": Decimal(2) ** 10,
    "Mi": Decimal(2) ** 20,
    "Gi": Decimal(2) ** 30,
    "Ti": Decimal(2) ** 40,
    "Pi": Decimal(2) ** 50,
    "Ei": Decimal(2) ** 60,
}
_PATTERN = re.compile(r"^([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|([a-zA-Z]*))$")


def parse(quantity: str | int | float) -> Decimal:
    """The value in base units. Raises ValueError with the accepted forms for anything else."""
    match = _PATTERN.match(str(quantity).strip())
    if match is None or (match[3] or "") not in _SUFFIX:
        suffixes = ", ".join(filter(None, _SUFFIX))
        raise ValueError(f"{quantity!r} is not a quantity: a number with one of {suffixes}, or with an exponent (1e3)")
    if match[2]:
        return Decimal(match[1] + match[2])
    return Decimal(match[1]) * _SUFFIX[match[3] or ""]


def to_bytes(quantity: str | int | float) -> int:
    """Bytes, rounded up as the API server does."""
    return int(parse(quantity).to_integral_value(ROUND_CEILING))


def to_millicores(quantity: str | int | float) -> int:
    """Thousandths of a core, rounded up."""
    return int((parse(quantity) * 1000).to_integral_value(ROUND_CEILING))


def show_bytes(count: float) -> str:
    """`256Mi`-like text for people; one decimal where it matters."""
    for suffix in ("", "Ki", "Mi", "Gi", "Ti"):
        if abs(count) < 1024 or suffix == "Ti":
            return f"{count:.0f}{suffix}" if suffix == "" or count == int(count) else f"{count:.1f}{suffix}"
        count /= 1024
    raise AssertionError("unreachable")
