"""Wire: `RedisImageCacheCluster`, the one component of the project."""

from dataclasses import dataclass

import pulumi

from components.config.settings import Settings
from components.manifests import names, objects
from components.plan.plan import Plan
from components.resources.node_groups import RedisNodeGroups
from components.resources.pool import RedisPool
from components.resources.sdk import KubernetesObject, RandomPassword

_PASSWORD_LENGTH = 40


@dataclass(frozen=True, slots=True)
class RedisImageCacheClusterArgs:
    """What the component is made from: the stack's settings and the plan derived from them."""

    settings: Settings
    plan: Plan


class RedisImageCacheCluster(pulumi.ComponentResource):
    """A Redis Cluster for images, with the EKS node groups it runs on::

        node groups -> pool (its pods, formed into one cluster) -> client Service

    Needs a Kubernetes provider in `opts.providers`. Changing what cannot change in place (pod memory, volumes)
    makes a second pool; Pulumi creates it, repoints the client Service, and deletes the first one last.
    """

    endpoint: pulumi.Output[str]
    """host:port that a cluster client is given, the same for the life of the stack."""

    def __init__(self, name: str, args: RedisImageCacheClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("redis-image-cache:index:RedisImageCacheCluster", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        settings, plan = args.settings, args.plan

        ready: list[pulumi.Resource] = []
        if settings.eks is not None and plan.nodes is not None:
            ready.append(RedisNodeGroups(f"{name}-{plan.pool}-nodes", plan.pool, settings.eks, plan.nodes, child))
        priority = KubernetesObject(
            "scheduling.k8s.io/v1/PriorityClass",
            f"{name}-priority",
            {"metadata": objects.common_metadata(None, None, {}), **objects.priority_class()},
            child,
        )
        ready += _storage_classes(name, settings, child)
        pool = RedisPool(
            f"{name}-{plan.pool}",
            settings,
            plan,
            password=_password(name, settings, child),
            priority_class=priority.name,
            after=ready,
            opts=child,
        )
        metadata = objects.common_metadata(names.CLIENT_NAMESPACE, None, {})
        namespace = KubernetesObject("v1/Namespace", f"{name}-namespace", {"metadata": metadata}, child)
        service = KubernetesObject(
            "v1/Service",
            f"{name}-client",
            {
                "metadata": objects.common_metadata(names.CLIENT_SERVICE, namespace.name, {}),
                "spec": objects.client_service(plan.pool),
            },
            pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[pool.formed])),
        )
        host = names.service_host(names.CLIENT_SERVICE, names.CLIENT_NAMESPACE)
        self.endpoint = service.id.apply(lambda _: f"{host}:{names.REDIS_PORT}")
        self.register_outputs({"endpoint": self.endpoint})


def _password(name: str, settings: Settings, child: pulumi.ResourceOptions) -> pulumi.Output[str]:
    given = settings.access.password
    if given is not None:
        return pulumi.Output.secret(given.get_secret_value())
    made = RandomPassword(f"{name}-password", _PASSWORD_LENGTH, child)
    return pulumi.Output.secret(made.result)


def _storage_classes(name: str, settings: Settings, child: pulumi.ResourceOptions) -> list[pulumi.Resource]:
    """`fast-ssd` and its likes for single zones, where they are ours to make.

    Their names are given and their parameters cannot change, so a changed one goes before its successor comes. Pods
    and claims therefore spell the name out: on an output of it Pulumi would take them down too, and make them anew.
    """
    if not objects.makes_storage_classes(settings):
        return []
    logical_names: dict[str | None, str] = {None: f"{name}-storage"}
    logical_names |= {zone: f"{name}-storage-{zone}" for zone in settings.zones}
    return [
        KubernetesObject(
            "storage.k8s.io/v1/StorageClass",
            logical_name,
            {
                "metadata": objects.common_metadata(objects.storage_class_name(zone), None, {}),
                **objects.storage_class(settings, zone),
            },
            pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(delete_before_replace=True)),
        )
        for zone, logical_name in logical_names.items()
    ]
