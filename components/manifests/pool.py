"""A pool: the namespace with everything that cannot change its size in place, in the order that keeps a living cache
alive. Pure."""

from typing import Any

from components.config.settings import Settings
from components.manifests import jobs, names, network, storage
from components.manifests.bundle import package_zip_base64, scripts
from components.manifests.manifest import Manifest, Ref, kubernetes_object
from components.manifests.pod import ALSO_ACCEPTED_KEY, AUTH_KEY, CONF_KEY
from components.manifests.redis_conf import redis_conf
from components.manifests.stateful_set import stateful_set
from components.plan.plan import Plan

READY = "ready"
"""Key of what the caller makes before a pool: its nodes, the classes of its volumes."""
PRIORITY_CLASS = "priority"
"""Key of the pods' PriorityClass, which outlives pools."""
PASSWORD, ALSO_ACCEPTED = Ref("password", "value"), Ref("alsoAccepted", "value")


def pool_manifests(settings: Settings, plan: Plan) -> tuple[Manifest, ...]:
    """Every object of the pool::

        namespace -> config, secret, claims -> release -> replicas -> masters -> form -> repair

    A StatefulSet is ready when its pods answer; that the pods form one cluster is the form Job's work, so nothing
    here waits for `cluster_state:ok` before the Job could bring it about.
    """
    copies = range(plan.sizing.replicas_per_master + 1)
    before_pods = (
        *(network.headless_service(copy) for copy in copies),
        network.discovery_service(),
        network.network_policy(settings),
        network.disruption_budget(),
        *storage.claims(settings, plan),
    )
    # The nodes too, although the namespace waits for them: what goes in one update goes in reverse order.
    ready = (READY, *(manifest.key for manifest in before_pods))
    order = [jobs.job(settings, plan, jobs.RELEASE, *ready)]
    for copy in reversed(copies):
        order.append(stateful_set(settings, plan, copy, *ready, *(manifest.key for manifest in order)))
    return (
        _namespace(plan),
        *_configuration(settings, plan),
        *before_pods,
        *order,
        jobs.job(settings, plan, jobs.FORM, *(manifest.key for manifest in order)),
        jobs.repair(settings, plan, jobs.FORM),
    )


def _namespace(plan: Plan) -> Manifest:
    """The pods meet the strictest Pod Security Standard, and the namespace holds them to it."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return Manifest("namespace", kubernetes_object("v1", "Namespace", name=plan.pool, labels=labels), after=(READY,))


def _configuration(settings: Settings, plan: Plan) -> tuple[Manifest, ...]:
    """What pods and Jobs mount. All are named by Pulumi: another content is another object, and its readers follow."""
    passwords = {AUTH_KEY: PASSWORD}
    if settings.access.also_accepted is not None:
        passwords[ALSO_ACCEPTED_KEY] = ALSO_ACCEPTED
    return (
        _config_map("config", data={CONF_KEY: redis_conf(plan.tuning), **scripts()}),
        Manifest("auth", kubernetes_object("v1", "Secret", namespace=Ref("namespace"), stringData=passwords)),
        *(
            _config_map(
                jobs.package_key(package),
                # The same sources make another zip where another version of zlib compresses them. The key tells sources
                # apart; the bytes of two machines that share a stack must not undo each other.
                ignore_changes=("binaryData",),
                binaryData={jobs.zip_key(package): package_zip_base64(package)},
            )
            for package in jobs.PACKAGES
        ),
        _config_map("topology", data={jobs.TOPOLOGY_KEY: jobs.topology(settings, plan)}),
    )


def _config_map(key: str, ignore_changes: tuple[str, ...] = (), **content: Any) -> Manifest:
    """It holds code or what code trusts, so nobody may change it in place."""
    body = kubernetes_object("v1", "ConfigMap", namespace=Ref("namespace"), immutable=True, **content)
    return Manifest(key, body, ignore_changes=ignore_changes)


def client_manifests(plan: Plan, *after: str) -> tuple[Manifest, ...]:
    """What outlives pools: the namespace and the name that applications are given."""
    return (
        Manifest("namespace", kubernetes_object("v1", "Namespace", name=names.CLIENT_NAMESPACE)),
        network.client_service(plan.pool, *after),
    )


PRIORITY = 1_000_000
"""Above every workload that names no class (0), below the cluster's own system classes (2 billion)."""


def priority_class() -> Manifest:
    """So that no pod without state pushes a shard's copy out."""
    return Manifest(
        PRIORITY_CLASS,
        kubernetes_object(
            "scheduling.k8s.io/v1",
            "PriorityClass",
            value=PRIORITY,
            description="Redis image cache: before pods that hold no state",
        ),
    )
