"""The name of a pool: the pods of one size with their nodes, in a namespace of its own."""

import hashlib
import re

from components.config.settings import Settings
from components.config.units import MIB, redis_size
from components.config.zones import letter_of, region_of
from components.plan.sizing import Sizing

POOL_NAME_START = "redis-"
"""How the name of every pool begins."""
_PLAIN_ZONES = "abc"
_CLASS_LENGTH_MAX = 20
NAMESPACE_LENGTH_MAX = 63
"""Kubernetes' limit for a DNS label."""


def pool_name(settings: Settings, sizing: Sizing) -> str:
    """Namespace of a pool: `redis-64gb`, with `-vol20gb`, `-az-abd` or `-sc-gp3` behind it where the volume's size,
    the zones or the StorageClass are not the usual ones.

    It names exactly what Kubernetes cannot change in a StatefulSet that exists. A config that changes any of it makes a
    second pool beside the first; under the same name it would replace StatefulSets that hold slots (docs/adr/0005).
    """
    name = f"{POOL_NAME_START}{redis_size(settings.pod_memory)}"
    if settings.storage.size is not None and settings.storage.size != sizing.request_memory_mib * MIB:
        name += f"-vol{redis_size(settings.storage.size)}"
    name += _zones_suffix(settings.zones)
    if settings.storage.class_name is not None:
        name += f"-sc-{_dns_label(settings.storage.class_name)}"
    return shortened(name, NAMESPACE_LENGTH_MAX)


def _zones_suffix(zones: tuple[str, ...]) -> str:
    """Volumes keep their pods in their zones, so another set of zones is another pool. The usual zones a, b and c are
    not named, and neither is the region, since an EKS cluster has one."""
    if not zones:
        return ""
    if len({region_of(zone) for zone in zones}) > 1:
        return f"-az-{digest(*zones)}"
    letters = "".join(sorted(letter_of(zone) for zone in zones))
    return "" if letters == _PLAIN_ZONES else f"-az-{letters}"


def _dns_label(class_name: str) -> str:
    """A StorageClass may have dots and 253 characters, a namespace neither."""
    fits = len(class_name) <= _CLASS_LENGTH_MAX and re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", class_name)
    return class_name if fits else digest(class_name)


def shortened(name: str, length_max: int) -> str:
    """The name, or its beginning and a digest of the whole where it is too long."""
    if len(name) <= length_max:
        return name
    end = f"-{digest(name)}"
    return name[: length_max - len(end)].rstrip("-") + end


def digest(*parts: str) -> str:
    """Six characters that differ where the parts do."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:6]
