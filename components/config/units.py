"""Sizes as people write them, and back.

Redis's own units are binary: `maxmemory 64gb` is 64 GiB. This project follows Redis, so `64GB` in the
stack config is 64 x 2**30 bytes, and `1TB` is 1024 of them.
"""

import re

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
TIB = 1024 * GIB

_UNITS = {"TB": TIB, "GB": GIB, "MB": MIB}
SIZE_PATTERN = r"(0*[1-9][0-9]*)(MB|GB|TB)"
"""A size as the stack config spells it; no anchors."""
_SIZE = re.compile(SIZE_PATTERN)


def parse_size(text: str) -> int:
    """Bytes of a size such as `64GB`; ValueError names the rule when the text is none.

    Only a whole number directly followed by MB, GB or TB is taken: `64` could mean anything, and a
    fraction is better said in the smaller unit (1536MB).
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        meant = re.fullmatch(r"\s*([1-9]\d*)\s*([MGT])(?:i?B?)?\s*", text, re.IGNORECASE)
        hint = f"; did you mean {meant[1]}{meant[2].upper()}B?" if meant else ", such as 64GB"
        raise ValueError(f"must be a whole number of 1 or more directly followed by MB, GB or TB{hint}")
    number, unit = match.groups()
    return int(number) * _UNITS[unit]


def format_size(size_bytes: int) -> str:
    """The shortest exact spelling that `parse_size` reads back: 68719476736 -> 64GB.

    Raises ValueError for a size that is no whole number of MB.
    """
    for unit, unit_bytes in _UNITS.items():
        if size_bytes > 0 and size_bytes % unit_bytes == 0:
            return f"{size_bytes // unit_bytes}{unit}"
    raise ValueError(f"{size_bytes} bytes is no whole number of MB")


def redis_size(size_bytes: int) -> str:
    """redis.conf's spelling: 68719476736 -> 64gb; ValueError as for `format_size`."""
    return format_size(size_bytes).lower()


def kubernetes_quantity(size_mib: int) -> str:
    """A Kubernetes memory or storage quantity: 78848 -> 77Gi, 307 -> 307Mi."""
    return f"{size_mib // 1024}Gi" if size_mib % 1024 == 0 else f"{size_mib}Mi"
