"""AWS availability zones by name: us-east-1a is zone a of region us-east-1.

Local zones (us-east-1-bos-1a) and zone ids (use1-az1) are none: a local zone has no EKS node groups, and a zone id
names a place whose letter differs from account to account.
"""

import re
from collections.abc import Collection
from difflib import get_close_matches

REGIONS = tuple(
    "af-south-1 ap-east-1 ap-east-2 ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ap-south-2 ap-southeast-1 "  # noqa: SIM905 - a list of them would take 46 lines
    "ap-southeast-2 ap-southeast-3 ap-southeast-4 ap-southeast-5 ap-southeast-6 ap-southeast-7 ca-central-1 ca-west-1 "
    "cn-north-1 cn-northwest-1 eu-central-1 eu-central-2 eu-isoe-west-1 eu-north-1 eu-south-1 eu-south-2 eu-west-1 "
    "eu-west-2 eu-west-3 eusc-de-east-1 il-central-1 me-central-1 me-south-1 mx-central-1 sa-east-1 us-east-1 "
    "us-east-2 us-gov-east-1 us-gov-west-1 us-iso-east-1 us-iso-west-1 us-isob-east-1 us-isob-west-1 us-isof-east-1 "
    "us-isof-south-1 us-west-1 us-west-2".split()
)
"""Every region of AWS that has EKS, of all partitions (botocore 1.44.5, 2026-11-26; a test compares them)."""
ZONE_PATTERN = r"((?:[a-z]{2}|[a-z]{4})(?:-[a-z]+)+-[0-9]+)([a-z])"
"""Region and letter; no anchors."""
_ZONE = re.compile(ZONE_PATTERN)
_NEARLY = re.compile(r"((?:[a-z]{2}|[a-z]{4})(?:-[a-z]+)+)-?(\d+)-?([a-z])")
"""Hyphens elsewhere, as other clouds write zones: us-east1-a."""


def region_of(zone: str) -> str:
    """us-east-1a -> us-east-1. ValueError for what is no availability zone, with the nearest spelling that is one."""
    return _parts(zone)[0]


def check_region(region: str, named: str) -> None:
    """Raises ValueError when AWS has no such region, with the nearest one. `named` is what names it: the region itself,
    or a zone of it."""
    if region in REGIONS:
        return
    given = region.strip().lower().replace("_", "-")
    # Two letters in the wrong order make us-esat-1 as near to us-west-1 as to what is meant.
    near = [name for name in REGIONS if sorted(name) == sorted(given)] or get_close_matches(given, REGIONS, n=1)
    meant = f"did you mean {near[0]}{named.removeprefix(region)}?" if near else f"the regions are {', '.join(REGIONS)}"
    raise ValueError(f"{named} is in no region of AWS; {meant}" if named != region else f"no region of AWS; {meant}")


def region_fault(region: str | None, zones: Collection[str]) -> str | None:
    """What is wrong with `aws:region` beside the zones of the subnets; None where nothing is."""
    if region is None or not zones:
        return None
    try:
        check_region(region, region)
    except ValueError as error:
        return f"aws:region = {region}: {error}"
    wrong = [zone for zone in zones if region_of(zone) != region]
    if not wrong:
        return None
    return (
        f"aws:region = {region} with eks.subnets in {', '.join(wrong)}: an EKS cluster and its subnets lie in one "
        "region; correct the one that is wrong"
    )


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
