"""Every name that stands in more than one object, and the label sets. Physical names only where DNS or a
person needs them; everything else is autonamed.
"""

import re

from components.plan.pool_name import POOL_NAME_START

CLIENT_NAMESPACE = "redis-image-cache"
"""Namespace of what outlives a pool: the client Service that applications are given."""
CLIENT_SERVICE = "redis"
"""In the client namespace the stable name of the cache, in each pool the Service it points to."""
CLIENT_SECRET = "redis-image-cache"  # noqa: S105 (a name)
"""In each namespace of `access.deliverTo`, what an application needs to connect; the same for the life of the stack."""
STORAGE_CLASS = "fast-ssd"
VOLUME = "redis-data"
REPAIR = "redis-repair"
"""CronJob that mends the cluster every minute."""
REDIS_PORT = 6379
TLS_PORT = 6380
"""Where Redis takes connections with TLS, in every mode that has them: a client that has changed need not change again
when the port without TLS is closed."""
BUS_PORT = 16379
EXPORTER_PORT = 9121
TLS_OBJECT, OWN_TLS_OBJECT = "redis-tls", "redis-tls-own"
"""Secrets in the pool's namespace with the certificate: what cert-manager keeps it in, and the stack. They have two
names, so that a change from one authority to the other does not exchange the files under running pods."""
TLS_PATH = "/tls"
"""Where pods mount the certificate."""
CERTIFICATE, PRIVATE_KEY, AUTHORITY = "tls.crt", "tls.key", "ca.crt"
"""Keys of such a Secret, and names of the mounted files."""
REDIS_USER_ID = 999
REDIS_GROUP_ID = 1000
"""Both as in the official Alpine image of Redis."""

APP_LABEL = {"app": "redis"}
JOB_LABEL = {"app": "redis-reconciler"}
"""Of the pods of all Jobs."""
CLUSTER_LABEL = {"redis-image-cache/cluster": CLIENT_NAMESPACE}
"""Of the namespaces of the cluster's pools. Network policies let pods in by it, so `components/manifests/guard.py`
keeps others from setting it."""
POD_INDEX_LABEL = "apps.kubernetes.io/pod-index"
ZONE_LABEL = "topology.kubernetes.io/zone"
HOST_LABEL = "kubernetes.io/hostname"
NAMESPACE_NAME_LABEL = "kubernetes.io/metadata.name"
"""The API server gives it to every namespace, and lets nobody set it otherwise."""
POOL_LABEL = "redis-image-cache/pool"
"""Label and taint key of the nodes that carry one pool and nothing else."""


NODES_LABEL = "redis-image-cache/nodes"
"""Label of the nodes whose groups were made with the same unchangeable fields; pods ask for the present ones."""


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


def service_host(service: str, namespace: str, cluster_domain: str) -> str:
    """Fully qualified name of a Service."""
    return f"{service}.{namespace}.svc.{cluster_domain}"


def pod_name(copy: int, ordinal: int) -> str:
    """Name of one pod."""
    return f"{set_name(copy)}-{ordinal}"


def pod_host(copy: int, ordinal: int, namespace: str, cluster_domain: str) -> str:
    """Stable name of one pod, which its Redis announces."""
    return f"{pod_name(copy, ordinal)}.{service_host(set_name(copy), namespace, cluster_domain)}"


def pod_hosts(cluster_domain: str) -> str:
    """Regular expression of the host names that pods of this cluster announce, in whatever pool: an update cannot know
    the pools of a later one."""
    sets = "|".join((set_name(0), rf"{set_name(1)}(?:-[0-9]+)?"))
    return rf"({sets})-[0-9]+\.\1\.{POOL_NAME_START}[a-z0-9-]+\.svc\.{re.escape(cluster_domain)}"
