"""AWS availability zones by name: us-east-1a is zone a of region us-east-1.

Local zones (us-east-1-bos-1a) and zone ids (use1-az1) are none: a local zone has no EKS node groups, and a zone id
names a place whose letter differs from account to account.
"""

import re

ZONE_PATTERN = r"([a-z]{2}(?:-[a-z]+)+-[0-9]+)([a-z])"
"""Region and letter; no anchors."""
_ZONE = re.compile(ZONE_PATTERN)
_NEARLY = re.compile(r"([a-z]{2}(?:-[a-z]+)+)-?(\d+)-?([a-z])")
"""Hyphens elsewhere, as other clouds write zones: us-east1-a."""


def region_of(zone: str) -> str:
    """us-east-1a -> us-east-1. ValueError for what is no availability zone, with the nearest spelling that is one."""
    return _parts(zone)[0]


def letter_of(zone: str) -> str:
    """us-east-1a -> a. ValueError as in `region_of`."""
    return _parts(zone)[1]


def _parts(zone: str) -> tuple[str, str]:
    match = _ZONE.fullmatch(zone)
    if match is None:
        near = _NEARLY.fullmatch(re.sub(r"[\s_]+", "-", zone.strip().lower()))
        hint = f"; did you mean {near[1]}-{near[2]}{near[3]}?" if near else ", such as us-east-1a"
        raise ValueError(f"{zone} is no availability zone{hint}")
    return match[1], match[2]
