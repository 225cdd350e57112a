"""Keys of the objects that others refer to, and the references."""

from components.manifests.manifest import Ref

NAMESPACE = Ref("namespace")
"""The namespace an object is in: the pool's, or the clients'."""
CONFIG = Ref("config")
"""ConfigMap of redis.conf and the scripts."""
AUTH = Ref("auth")
"""Secret of the passwords."""
TOPOLOGY = Ref("topology")
"""ConfigMap of what the reconciler is to bring about."""
PRIORITY_CLASS = Ref("priority")
"""PriorityClass of all pods. It outlives pools."""
POOL_GUARD = Ref("pool-guard")
"""Admission policy that says who may mark a namespace as a pool. It outlives pools."""
ROLLOUT_ACCOUNT = Ref("rollout-account")
ROLLOUT_ROLE = Ref("rollout-role")
ROLLOUT_BINDING = Ref("rollout-binding")


def secret_value(key: str) -> Ref:
    """A value of that Secret (`components.manifests.users`)."""
    return Ref(key, "value")


def certificate_file(name: str) -> Ref:
    """A file of the certificate that the stack's own authority signs (`components.manifests.authority`)."""
    return Ref(name, "value")


READY = "ready"
"""Key of what the caller makes before a pool: its nodes, the classes of its volumes."""
