"""A pool: the namespace with everything that cannot change its size in place, in the order that keeps a living cache
alive. Pure."""

from typing import Any

from components.config.settings import Settings
from components.manifests import jobs, keys, names, network, storage, tls
from components.manifests.bundle import package_zip_base64, scripts
from components.manifests.manifest import Manifest, kubernetes_object, made_after
from components.manifests.monitoring.objects import monitoring
from components.manifests.pod import CONF_KEY
from components.manifests.policies import network_policies
from components.manifests.redis_conf import redis_conf
from components.manifests.rollout import rights, rollout
from components.manifests.stateful_set import stateful_set
from components.manifests.topology import TOPOLOGY_KEY, topology
from components.manifests.users import secret_keys
from components.manifests.validation import PACKAGES as LOAD_PACKAGES
from components.manifests.validation import validation
from components.plan.plan import Plan

RESTRICTED_LABEL = {"pod-security.kubernetes.io/enforce": "restricted"}
"""Of a namespace in which the API server takes no pod that does not meet that standard."""


def pool_manifests(settings: Settings, plan: Plan) -> tuple[Manifest, ...]:
    """Every object of the pool::

        namespace -> config, secret, claims -> check -> release
            -> replicas -> rollout-redis-replica -> masters -> rollout-redis-master -> form -> repair
                                                                                            -> validation

    A StatefulSet is done when Kubernetes has taken its edit. That its last pod runs it and is in sync is what the
    rollout Job waits for; that the pods form one cluster is the form Job's work.
    """
    copies = range(plan.sizing.copies_per_shard)
    before_pods = (
        *(network.headless_service(settings, copy) for copy in copies),
        network.discovery_service(settings),
        *network_policies(settings),
        network.disruption_budget(),
        *storage.claims(settings, plan),
        *tls.certificate(settings, plan.pool),
        *monitoring(settings, plan),
    )
    # The nodes too, although the namespace waits for them: what goes in one update goes in reverse order.
    ready = (keys.READY, *(manifest.key for manifest in before_pods))
    sets = {copy: stateful_set(settings, plan, copy) for copy in reversed(copies)}
    release = jobs.job(settings, plan, jobs.RELEASE, jobs.CHECK, *ready)
    steps = [release]
    for item in sets.values():
        # One set after the other, each to its last pod: a master rolls while its replica stands still.
        steps.append(made_after(item, *ready, *(step.key for step in steps)))
        steps.append(rollout(settings, plan, item, release.key))
    form = jobs.job(settings, plan, jobs.FORM, *(step.key for step in steps))
    wants_load = settings.validation.enabled
    return (
        _namespace(plan),
        *_configuration(settings, plan),
        *rights(tuple(sets.values())),
        *before_pods,
        jobs.check(settings, (*steps, form), keys.ROLLOUT_BINDING.of, *ready),
        *steps,
        form,
        jobs.repair(settings, jobs.FORM),
        *([validation(settings, plan, (*steps, form), jobs.FORM)] if wants_load else []),
    )


def _namespace(plan: Plan) -> Manifest:
    """The pods meet the strictest Pod Security Standard, and the namespace holds them to it."""
    labels = {**RESTRICTED_LABEL, **names.CLUSTER_LABEL}
    return Manifest(
        keys.NAMESPACE.of, kubernetes_object("v1", "Namespace", name=plan.pool, labels=labels), after=(keys.READY,)
    )


def _configuration(settings: Settings, plan: Plan) -> tuple[Manifest, ...]:
    """What pods and Jobs mount. All are named by Pulumi: another content is another object, and its readers follow."""
    secret = {key: keys.secret_value(key) for key in secret_keys(settings.access)}
    return (
        _config_map(
            keys.CONFIG.of,
            data={CONF_KEY: redis_conf(plan.tuning, settings.access.node_endpoint, settings.tls), **scripts()},
        ),
        Manifest(
            keys.AUTH.of,
            kubernetes_object("v1", "Secret", namespace=keys.NAMESPACE, immutable=True, stringData=secret),
        ),
        *(
            _config_map(
                jobs.package_key(package),
                # The same sources make another zip where another version of zlib compresses them. The key tells sources
                # apart; the bytes of two machines that share a stack must not undo each other.
                ignore_changes=("binaryData",),
                binaryData={jobs.zip_key(package): package_zip_base64(package)},
            )
            for package in dict.fromkeys((*jobs.PACKAGES, *(LOAD_PACKAGES if settings.validation.enabled else ())))
        ),
        _config_map(keys.TOPOLOGY.of, data={TOPOLOGY_KEY: topology(settings, plan)}),
    )


def _config_map(key: str, ignore_changes: tuple[str, ...] = (), **content: Any) -> Manifest:
    """It holds code or what code trusts, so nobody may change it in place."""
    body = kubernetes_object("v1", "ConfigMap", namespace=keys.NAMESPACE, immutable=True, **content)
    return Manifest(key, body, ignore_changes=ignore_changes)


def client_manifests(settings: Settings, plan: Plan, *after: str) -> tuple[Manifest, ...]:
    """What outlives pools: the namespace and the name that applications are given. No pod has a place there."""
    namespace = kubernetes_object("v1", "Namespace", name=names.CLIENT_NAMESPACE, labels=RESTRICTED_LABEL)
    return (
        Manifest(keys.NAMESPACE.of, namespace),
        network.client_service(settings, plan.pool, *after),
    )


PRIORITY = 1_000_000
"""Above every workload that names no class (0), below the cluster's own system classes (2 billion)."""


def priority_class() -> Manifest:
    """So that no pod without state pushes a shard's copy out."""
    return Manifest(
        keys.PRIORITY_CLASS.of,
        kubernetes_object(
            "scheduling.k8s.io/v1",
            "PriorityClass",
            value=PRIORITY,
            description="Redis image cache: before pods that hold no state",
        ),
    )
