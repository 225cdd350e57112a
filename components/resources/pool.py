"""Wire: one pool, a namespace with everything that cannot change its size in place."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

from components.manifests import jobs, keys
from components.manifests.manifest import Manifest, Ref
from components.resources.registering import register_all
from components.resources.sdk import KubernetesObject


class RedisPool(pulumi.ComponentResource):
    """The objects of `components.manifests.pool`, registered in their order."""

    complete: tuple[KubernetesObject, ...]
    """The Job after which the pool's slots are served by it, and the CronJob that comes after it. They depend on every
    other object of the pool."""
    namespace: pulumi.Output[str]
    auth_secret: pulumi.Output[str]
    """Name of the Secret with the password, in that namespace."""

    def __init__(
        self,
        name: str,
        manifests: Sequence[Manifest],
        given: Mapping[Ref, pulumi.Input[Any]],
        ready: Sequence[pulumi.Resource],
        hooks: pulumi.ResourceHookBinding,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("redis-image-cache:index:RedisPool", name, None, opts)
        made = register_all(
            name, manifests, given, {keys.READY: ready}, pulumi.ResourceOptions(parent=self, hooks=hooks)
        )
        self.complete = (made[jobs.FORM], made[jobs.REPAIR])
        self.namespace = made[keys.NAMESPACE.of].name
        self.auth_secret = made[keys.AUTH.of].name
        self.register_outputs({"namespace": self.namespace})
