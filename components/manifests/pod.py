"""The Redis pod, the same for masters and replicas but for its labels. Pure: plan -> Kubernetes inputs."""

from typing import Any

from components.config.choices import Placement, Prometheus
from components.config.settings import Settings
from components.config.units import kubernetes_quantity
from components.manifests import exporter, keys, names, tls
from components.manifests.bundle import script_paths
from components.manifests.containers import USERS_PATH, locked_down, password_files, pull_secrets
from components.manifests.node_groups import node_set
from components.manifests.users import (
    FALLBACK_KEY,
    MASTER_LINKS_KEY,
    OPERATOR,
    OPERATOR_KEY,
    USERS_CONF_KEY,
    fallback_user,
    has_fallback,
)
from components.plan.node_loss import UNREACHABLE_TOLERATION_SECONDS
from components.plan.plan import Plan
from components.plan.tuning import Probe

CONF_KEY = "redis.conf"
_PATH = "/scripts/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""That of the official images, and before it the scripts' own redis-cli, which knows the pod's user."""
SCRAPE_ANNOTATIONS = {"prometheus.io/scrape": "true", "prometheus.io/port": str(names.EXPORTER_PORT)}
"""What the scrape configuration of Prometheus's Helm chart looks for on pods."""


def pod_template(settings: Settings, plan: Plan, copy: int) -> dict[str, Any]:
    """The pod template of the n-th copy (0 = initial master) of every shard."""
    labels = names.set_labels(copy)
    spec: dict[str, Any] = {
        "priorityClassName": keys.PRIORITY_CLASS,
        **pull_secrets(settings),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": plan.tuning.termination_grace_seconds,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": names.REDIS_USER_ID,
            "runAsGroup": names.REDIS_GROUP_ID,
            "fsGroup": names.REDIS_GROUP_ID,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "affinity": _copies_apart(settings),
        "topologySpreadConstraints": _spread(labels),
        "tolerations": [_until_rescheduled(key) for key in ("not-ready", "unreachable")],
        "containers": [_redis(settings, plan, copy)],
        "volumes": [*_volumes(settings), *_certificates(settings)],
    }
    if settings.eks is not None and plan.nodes is not None:
        spec["nodeSelector"] = {
            names.POOL_LABEL: plan.pool,
            names.NODES_LABEL: node_set(settings.eks, plan.nodes),
        }
        spec["tolerations"].append(
            {"key": names.POOL_LABEL, "operator": "Equal", "value": plan.pool, "effect": "NoSchedule"}
        )
    if settings.monitoring.exporter:
        spec["containers"].append(exporter.container(settings))
        spec["volumes"] += exporter.volumes(settings)
    metadata: dict[str, Any] = {"labels": labels | _recommended_labels(plan)}
    if settings.monitoring.exporter and settings.monitoring.prometheus is Prometheus.ANNOTATIONS:
        metadata["annotations"] = SCRAPE_ANNOTATIONS
    return {"metadata": metadata, "spec": spec}


def _until_rescheduled(condition: str) -> dict[str, Any]:
    """How long a pod stays on a node that does not answer. Its shard is served by its replica after seconds; the rest
    is a shard without a second copy, for 300 s by Kubernetes' default."""
    return {
        "key": f"node.kubernetes.io/{condition}",
        "operator": "Exists",
        "effect": "NoExecute",
        "tolerationSeconds": UNREACHABLE_TOLERATION_SECONDS,
    }


def _recommended_labels(plan: Plan) -> dict[str, str]:
    return {"app.kubernetes.io/name": "redis", "app.kubernetes.io/part-of": plan.pool}


def _redis(settings: Settings, plan: Plan, copy: int) -> dict[str, Any]:
    tuning = plan.tuning
    return {
        "name": "redis",
        "image": settings.images.fetched(settings.images.redis),
        "command": ["sh", "/scripts/start.sh"],
        "ports": [
            *({"name": name, "containerPort": port} for name, port in tls.client_ports(settings.tls.mode).items()),
            {"name": "cluster-bus", "containerPort": names.BUS_PORT},
        ],
        "env": [
            _field("POD_NAME", "metadata.name"),
            _field("POD_NAMESPACE", "metadata.namespace"),
            _field("POD_IP", "status.podIP"),
            *_zone(settings),
            {"name": "SERVICE_NAME", "value": names.set_name(copy)},
            {"name": "CLUSTER_DOMAIN", "value": settings.cluster_domain},
            {"name": "PORT", "value": str(tls.own_port(settings.tls.mode))},
            *(_tls_env(settings) if settings.tls.mode.has_tls else ()),
            *[{"name": name, "value": str(value)} for name, value in tuning.script_env().items()],
            {"name": "PATH", "value": _PATH},
            {"name": "USERS_CONF", "value": f"{USERS_PATH}/{USERS_CONF_KEY}"},
            {"name": "REDISCLI_USER", "value": OPERATOR},
            _password("REDISCLI_AUTH", OPERATOR_KEY),
            *_fallback(settings),
        ],
        "resources": {
            "requests": {
                "cpu": f"{plan.sizing.cpu_millicores}m",
                "memory": kubernetes_quantity(plan.sizing.request_memory_mib),
            },
            "limits": {
                **_cpu_limit(plan),
                "memory": kubernetes_quantity(plan.sizing.limit_memory_mib),
            },
        },
        "startupProbe": _probe("alive.sh", tuning.startup),
        "readinessProbe": _probe("ready.sh", tuning.readiness),
        "livenessProbe": _probe("alive.sh", tuning.liveness),
        "lifecycle": {"preStop": _script("stop.sh")},
        # What Redis says before it gives up, such as a line of redis.conf that it refuses.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": locked_down(),
        "volumeMounts": [
            {"name": names.VOLUME, "mountPath": "/data"},
            {"name": "config", "mountPath": "/etc/redis", "readOnly": True},
            {"name": "scripts", "mountPath": "/scripts", "readOnly": True},
            {"name": "users", "mountPath": USERS_PATH, "readOnly": True},
            {"name": "run", "mountPath": "/run/redis"},
            *([tls.mount()] if settings.tls.mode.has_tls else []),
        ],
    }


def _zone(settings: Settings) -> list[dict[str, Any]]:
    """The zone of the pod's node, for Valkey's setting of that name; Redis has none. Kubernetes gives pods the label
    from 1.35 on (KEP-4742). Before, the variable is empty, and nothing is set."""
    if not settings.images.server.line.takes_zone:
        return []
    return [_field("AVAILABILITY_ZONE", f"metadata.labels['{names.ZONE_LABEL}']")]


def _tls_env(settings: Settings) -> list[dict[str, Any]]:
    """What the scripts need to know besides: that there is TLS, and whether there is a port without it."""
    return [
        {"name": "TLS_MODE", "value": settings.tls.mode.value},
        {"name": "TLS_PORT", "value": str(names.TLS_PORT)},
        {"name": "BUS_PORT", "value": str(names.BUS_PORT)},
    ]


def _cpu_limit(plan: Plan) -> dict[str, str]:
    millicores = plan.sizing.cpu_limit_millicores
    return {} if millicores is None else {"cpu": f"{millicores}m"}


def _certificates(settings: Settings) -> list[dict[str, Any]]:
    if not settings.tls.mode.has_tls:
        return []
    return [tls.volume(settings, names.CERTIFICATE, names.PRIVATE_KEY, names.AUTHORITY)]


def _volumes(settings: Settings) -> list[dict[str, Any]]:
    users = [USERS_CONF_KEY, *([MASTER_LINKS_KEY] if has_fallback(settings.access) else [])]
    return [
        {
            "name": "config",
            "configMap": {"name": keys.CONFIG, "items": [{"key": CONF_KEY, "path": CONF_KEY}]},
        },
        {
            "name": "scripts",
            "configMap": {
                "name": keys.CONFIG,
                "defaultMode": 0o555,
                "items": [{"key": name, "path": path} for name, path in script_paths().items()],
            },
        },
        password_files("users", *users),
        {"name": "run", "emptyDir": {"medium": "Memory", "sizeLimit": "8Mi"}},
    ]


def _copies_apart(settings: Settings) -> dict[str, Any]:
    """Copies of one shard have one ordinal, so a pod avoids all pods of its own ordinal.

    Kubernetes 1.31 is the first to compare labels of the incoming pod this way without a feature gate.
    """
    terms = [
        {
            "topologyKey": key,
            "labelSelector": {"matchLabels": names.APP_LABEL},
            "matchLabelKeys": [names.POD_INDEX_LABEL],
        }
        for key in _apart_by(settings)
    ]
    if settings.nodes.placement is Placement.REQUIRED:
        return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}
    weighted = [{"weight": 100, "podAffinityTerm": term} for term in terms]
    return {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": weighted}}


def _apart_by(settings: Settings) -> tuple[str, ...]:
    copies = settings.copies_per_shard
    has_zone_each = not settings.zones or len(settings.zones) >= copies
    return (names.HOST_LABEL, names.ZONE_LABEL) if has_zone_each else (names.HOST_LABEL,)


def _spread(labels: dict[str, str]) -> list[dict[str, Any]]:
    """A wish, never a condition: while a zone is lost its pods count as missing, and a hard rule would keep a pod
    that restarts in a living zone pending. Volumes decide the zone (see `volumes.py`)."""
    return [
        {
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": labels},
        }
        for key in (names.ZONE_LABEL, names.HOST_LABEL)
    ]


def _probe(script: str, probe: Probe) -> dict[str, Any]:
    return _script(script) | {
        "periodSeconds": probe.period_seconds,
        "timeoutSeconds": probe.timeout_seconds,
        "failureThreshold": probe.failure_threshold,
    }


def _script(name: str) -> dict[str, Any]:
    return {"exec": {"command": ["sh", f"/scripts/{name}"]}}


def _field(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def _password(name: str, key: str) -> dict[str, Any]:
    """In the environment, since redis-cli reads no file: argv shows nothing."""
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": keys.AUTH, "key": key}}}


def _fallback(settings: Settings) -> list[dict[str, Any]]:
    """How this pod asks one that does not know its password yet, and follows one, while the passwords change."""
    if not has_fallback(settings.access):
        return []
    return [
        {"name": "FALLBACK_USER", "value": fallback_user(settings.access)},
        _password("FALLBACK_AUTH", FALLBACK_KEY),
        {"name": "MASTER_LINKS", "value": f"{USERS_PATH}/{MASTER_LINKS_KEY}"},
    ]
