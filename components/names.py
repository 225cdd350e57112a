"""Every name that stands in more than one object, and the label sets. Physical names only where DNS or a
person needs them; everything else is autonamed.
"""

import hashlib
import re

from components.settings import Settings
from components.sizing import derive_sizing
from components.units import MIB, redis_size

CLIENT_NAMESPACE = "redis-image-cache"
"""Namespace of what outlives a pool: the client Service that applications are given."""
CLIENT_SERVICE = "redis"
"""In the client namespace the stable name of the cache, in each pool the Service it points to."""
CLUSTER_DOMAIN = "cluster.local"
STORAGE_CLASS = "fast-ssd"
VOLUME = "redis-data"
REDIS_PORT = 6379
BUS_PORT = 16379
EXPORTER_PORT = 9121
REDIS_USER_ID = 999
REDIS_GROUP_ID = 1000
"""Both as in the official Alpine image of Redis."""

APP_LABEL = {"app": "redis"}
POD_INDEX_LABEL = "apps.kubernetes.io/pod-index"
ZONE_LABEL = "topology.kubernetes.io/zone"
HOST_LABEL = "kubernetes.io/hostname"
POOL_LABEL = "redis-image-cache/pool"
"""Label and taint key of the nodes that carry one pool and nothing else."""


NODES_LABEL = "redis-image-cache/nodes"
"""Label of the nodes whose groups were made with the same unchangeable fields; pods ask for the present ones."""

_PLAIN_ZONES = "abc"
_ZONE = re.compile(r"([a-z]+(?:-[a-z]+)+-\d+)([a-z])")
_CLASS_LENGTH_MAX = 20


def pool_name(settings: Settings) -> str:
    """Namespace of a pool: `redis-64gb`, with `-vol20gb`, `-az-abd` or `-sc-gp3` behind it where the volume's size,
    the zones or the StorageClass are not the usual ones.

    It names exactly what cannot change in place, so that changing it makes a second pool instead of replacing
    StatefulSets that hold slots. Two configs that differ in any of it have different names (docs/adr/0005).
    """
    name = f"redis-{redis_size(settings.pod_memory)}"
    if settings.storage.size is not None and settings.storage.size != derive_sizing(settings).request_memory_mib * MIB:
        name += f"-vol{redis_size(settings.storage.size)}"
    name += _zones_suffix(settings.zones)
    if settings.storage.class_name is not None:
        name += f"-sc-{_dns_label(settings.storage.class_name)}"
    return name


def _zones_suffix(zones: tuple[str, ...]) -> str:
    """Volumes keep their pods in their zones, so another set of zones is another pool. Zones a, b and c are the
    usual ones and go without saying; an EKS cluster has one region, so that is not named either."""
    parts = [_ZONE.fullmatch(zone) for zone in zones]
    if not zones:
        return ""
    if None in parts or len({part[1] for part in parts if part}) > 1:
        return f"-az-{digest(*zones)}"
    letters = "".join(sorted(part[2] for part in parts if part))
    return "" if letters == _PLAIN_ZONES else f"-az-{letters}"


def _dns_label(class_name: str) -> str:
    """A StorageClass may have dots and 253 characters, a namespace neither."""
    fits = len(class_name) <= _CLASS_LENGTH_MAX and re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", class_name)
    return class_name if fits else digest(class_name)


def digest(*parts: str) -> str:
    """Six characters that differ where the parts do."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:6]


def set_name(copy: int) -> str:
    """StatefulSet and headless Service of the n-th copy of every shard: 0 is the initial master."""
    if copy == 0:
        return "redis-master"
    return "redis-replica" if copy == 1 else f"redis-replica-{copy}"


def set_labels(copy: int) -> dict[str, str]:
    """Selector labels of one StatefulSet, frozen: a changed selector replaces it.

    Replica sets carry `copy` from the first on, so that a second one later does not match the first's selector.
    """
    return APP_LABEL | ({"role": "master"} if copy == 0 else {"role": "replica", "copy": str(copy)})


def service_host(service: str, namespace: str) -> str:
    """Fully qualified name of a Service."""
    return f"{service}.{namespace}.svc.{CLUSTER_DOMAIN}"


def pod_host(copy: int, ordinal: int, namespace: str) -> str:
    """Stable name of one pod, which its Redis announces."""
    return f"{set_name(copy)}-{ordinal}.{service_host(set_name(copy), namespace)}"
