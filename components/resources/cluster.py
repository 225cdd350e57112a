"""Wire: `RedisImageCacheCluster`, the one component of the project."""

from collections.abc import Sequence
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any

import pulumi

from components.config.settings import Settings
from components.manifests import keys, names, pool, storage, tls, users
from components.manifests.custom_kinds import custom_kinds
from components.manifests.delivery import connection, delivered
from components.manifests.guard import pool_guard
from components.manifests.manifest import Ref, with_values
from components.manifests.node_groups import CLUSTER_NAME, NODE_NAME_TAG
from components.plan.plan import Plan, derive_plan
from components.resources.arguments import RedisImageCacheClusterArgs
from components.resources.definitions import read_definitions
from components.resources.guard import DeletionGuard
from components.resources.node_groups import RedisNodeGroups
from components.resources.pool import RedisPool
from components.resources.registering import register_all
from components.resources.sdk import RandomPassword

_PASSWORD_LENGTH = 40
_AUTHORITY_LENGTH = 64
_COMPLETE = "complete"


class RedisImageCacheCluster(pulumi.ComponentResource):
    """A Redis Cluster for images, with the EKS node groups it runs on::

        node groups -> pool (its pods, formed into one cluster) -> client Service

    Needs a Kubernetes provider in `opts.providers`, and with `eks` the AWS provider of the cluster's region. Changing
    what cannot change in place (pod memory, volumes) makes a second pool; Pulumi creates it, repoints the client
    Service, and deletes the first one last.

    Nothing that may still hold slots is deleted by an update whose earlier steps failed (`DeletionGuard`). With
    `protect` the clients' name and the made password are never deleted. Everything else may have to go in an edit: a
    pool is exchanged, a StorageClass whose parameters change is made anew.

    Raises PlanRefused when no plan holds, before anything is registered.
    """

    endpoint: pulumi.Output[str]
    """host:port that a cluster client is given, the same for the life of the stack."""
    connection: pulumi.Output[dict[str, str]]
    """What a client needs: host, port, tls, username, password, and with TLS `ca.crt` where it is known. A secret."""
    namespace: pulumi.Output[str]
    """Namespace of the pods; another one after a change of pool."""
    auth_secret: pulumi.Output[str]
    """Name of the Secret in that namespace whose key `password` is that of the user `app`, which clients are."""
    user: str = users.APP
    """The user that applications are."""
    node_group_names: pulumi.Output[dict[str, str]]
    """Zone -> name of its EKS node group; empty without `eks`."""
    plan: Plan
    """What was derived from the arguments."""

    def __init__(self, name: str, args: RedisImageCacheClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        settings, plan = args.settings, derive_plan(args.settings)
        super().__init__("redis-image-cache:index:RedisImageCacheCluster", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        guard = DeletionGuard(name)
        self.plan = plan

        ready: list[pulumi.Resource] = []
        self.node_group_names = pulumi.Output.from_input({})
        if settings.eks is not None and plan.nodes is not None:
            given = args.given()
            given[NODE_NAME_TAG] = pulumi.Output.concat(given[CLUSTER_NAME], "-", plan.pool)
            groups = RedisNodeGroups(
                f"{name}-{plan.pool}-nodes", plan.pool, settings.eks, plan.nodes, given, guard.hooks, child
            )
            self.node_group_names = groups.names
            ready.append(groups)
        shared = register_all(
            name, (pool.priority_class(), *pool_guard(), *storage.storage_classes(settings)), {}, {}, child
        )
        ready += [item for key, item in shared.items() if key != keys.PRIORITY_CLASS.of]
        manifests = pool.pool_manifests(settings, plan)
        ready += read_definitions(name, custom_kinds(manifests), child)
        secrets = {**_passwords(name, settings, child), **_certificate(name, settings, plan.pool, child)}
        redis_pool = RedisPool(
            f"{name}-{plan.pool}",
            manifests,
            {keys.PRIORITY_CLASS: shared[keys.PRIORITY_CLASS.of].name, **secrets},
            ready,
            guard.hooks,
            child,
        )
        self.namespace, self.auth_secret = redis_pool.namespace, redis_pool.auth_secret
        # A destroy deletes first what nothing depends on, all of it at once. That is the client Service alone: where
        # it is protected, nothing else goes.
        kept = pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(protect=settings.protect))
        told = register_all(name, delivered(settings, _COMPLETE), secrets, {_COMPLETE: redis_pool.complete}, child)
        ready_for_clients = (*redis_pool.complete, *told.values())
        client = register_all(
            name, pool.client_manifests(settings, plan, _COMPLETE), {}, {_COMPLETE: ready_for_clients}, kept
        )
        guard.lift_after(client["client"])
        host = names.service_host(names.CLIENT_SERVICE, names.CLIENT_NAMESPACE, settings.cluster_domain)
        self.endpoint = client["client"].id.apply(lambda _: f"{host}:{tls.endpoint_port(settings.tls.mode)}")
        self.connection = pulumi.Output.secret(
            with_values(connection(settings), secrets.__getitem__)
            | {"password": secrets[keys.secret_value(users.PASSWORD_KEY)]}
        )
        self.register_outputs({"endpoint": self.endpoint})


def _passwords(name: str, settings: Settings, child: pulumi.ResourceOptions) -> dict[Ref, pulumi.Input[Any]]:
    """What the pool's Secret holds. The password of `app` is given, or made once and kept in the stack's state."""
    access = settings.access
    given = access.password
    # It is there even while another one is given. Otherwise the edit that gives one would delete it, which `protect`
    # forbids, and taking the given one back would make a random one that no client knows.
    kept = pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(protect=settings.protect))
    made = RandomPassword(f"{name}-password", _PASSWORD_LENGTH, kept)
    # From this and the password the cluster's own users have theirs. No pod and no application is given it.
    service_secret = RandomPassword(f"{name}-service-secret", _PASSWORD_LENGTH, kept)

    def values(known: Sequence[Any]) -> dict[str, str]:
        return users.secret_values(access, *known, native_move=settings.images.server.line.native_move)

    password: pulumi.Input[str] = made.result if given is None else given.get_secret_value()
    secret: pulumi.Output[dict[str, str]] = pulumi.Output.all(password, service_secret.result).apply(values)
    return {
        keys.secret_value(key): pulumi.Output.secret(secret.apply(itemgetter(key))) for key in users.secret_keys(access)
    }


def _certificate(
    name: str, settings: Settings, pool: str, child: pulumi.ResourceOptions
) -> dict[Ref, pulumi.Input[Any]]:
    """The files of the pods' certificate where the stack signs it; empty where somebody else does."""
    if not settings.tls.own_authority:
        return {}
    # Both keys are made of it. Where TLS is turned off it goes: turned on again, the stack has another authority.
    seed = RandomPassword(f"{name}-authority", _AUTHORITY_LENGTH, child)
    dns_names, today = tls.dns_names(settings, pool), datetime.now(UTC).date()

    def signed(kept: str) -> dict[str, str]:
        # A stack without an authority of its own does not wait for this import.
        from components.manifests.authority import certificate_files

        return certificate_files(kept, dns_names, today)

    files: pulumi.Output[dict[str, str]] = pulumi.Output.secret(seed.result.apply(signed))
    return {keys.certificate_file(file): files.apply(itemgetter(file)) for file in tls.FILES}
