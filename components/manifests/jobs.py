"""The Jobs that run the reconciler, and the topology they are told to bring about. Pure: plan -> inputs."""

import json
from dataclasses import dataclass
from typing import Any

from components.config.settings import Settings
from components.manifests import names
from components.manifests.pod import AUTH_KEY, locked_down
from components.plan.plan import Plan

PACKAGES = ("reconciler", "redis")
"""Python packages the Jobs import, each from a zip in a ConfigMap of its own."""
TOPOLOGY_KEY = "topology.json"
_NOBODY = 65534
_LAST_WORDS_SECONDS = 60
_REPAIR_SCHEDULE = "* * * * *"
_REPAIR_DEADLINE_SECONDS = 55
"""Ends before the next run begins; what is unfinished is observed anew then."""


@dataclass(frozen=True, slots=True)
class JobRefs:
    """Names that Kubernetes makes up and the Job's pod mounts; `packages` is package -> ConfigMap."""

    topology: Any
    secret: Any
    packages: dict[str, Any]


def deadline_seconds(plan: Plan) -> int:
    """How long the reconciler may take to form the cluster and move its slots."""
    return plan.tuning.form_deadline_seconds + plan.resize.deadline_seconds


def await_seconds(plan: Plan) -> int:
    """How long Pulumi waits for a Job: until Kubernetes has ended it for certain, and said so."""
    return deadline_seconds(plan) + 2 * _LAST_WORDS_SECONDS


def topology(settings: Settings, plan: Plan) -> str:
    """The desired topology as the reconciler reads it (JSON)."""
    copies = plan.sizing.copies_per_shard
    return json.dumps(
        {
            "pool": plan.pool,
            "port": names.REDIS_PORT,
            "tls": False,
            "nodes": [
                {
                    "pod": f"{names.set_name(copy)}-{shard}",
                    "host": names.pod_host(copy, shard, plan.pool),
                    "shard": shard,
                    "role": "master" if copy == 0 else "replica",
                }
                for copy in range(copies)
                for shard in range(plan.sizing.masters)
            ],
            "seeds": [names.service_host(names.CLIENT_SERVICE, names.CLIENT_NAMESPACE)],
            "nodeTimeoutMs": plan.tuning.node_timeout_ms,
            "deadlineSeconds": deadline_seconds(plan),
            "bringHome": True,
            "move": {
                "mode": plan.resize.mode.value,
                "bytesPerSecond": plan.resize.max_bytes_per_second,
                "extraMissesPerSecond": plan.resize.extra_misses_per_second,
                "ttlSeconds": settings.workload.ttl_seconds,
            },
        },
        indent=1,
    )


def labels(phase: str) -> dict[str, str]:
    """Of a phase's Jobs and their pods: `kubectl get jobs -l phase=form`."""
    return {"app": "redis-reconciler", "phase": phase}


def job(settings: Settings, plan: Plan, phase: str, refs: JobRefs) -> dict[str, Any]:
    """A Job that runs one phase of the reconciler (`form` or `release`) to its end.

    The reconciler ends itself at its deadline and says why; Kubernetes' own deadline comes after it.
    """
    return {
        # One attempt, which tries for as long as the deadline allows. A pod that failed is the Job's end, and its last
        # words are in the provider's error: of a podFailurePolicy the provider takes no notice, and would wait on.
        "backoffLimit": 0,
        "activeDeadlineSeconds": deadline_seconds(plan) + _LAST_WORDS_SECONDS,
        "template": _template(settings, plan, phase, refs, restart_policy="Never"),
    }


def cron_job(settings: Settings, plan: Plan, refs: JobRefs) -> dict[str, Any]:
    """The CronJob that repairs: every minute, one at a time, never catching up on missed runs."""
    return {
        "schedule": _REPAIR_SCHEDULE,
        "concurrencyPolicy": "Forbid",
        "startingDeadlineSeconds": 30,
        "successfulJobsHistoryLimit": 1,
        "failedJobsHistoryLimit": 3,
        "jobTemplate": {
            "metadata": {"labels": labels("repair")},
            "spec": {
                "backoffLimit": 0,
                "activeDeadlineSeconds": _REPAIR_DEADLINE_SECONDS,
                "template": _template(settings, plan, "repair", refs, restart_policy="Never"),
            },
        },
    }


def _template(settings: Settings, plan: Plan, phase: str, refs: JobRefs, restart_policy: str) -> dict[str, Any]:
    return {
        "metadata": {"labels": labels(phase)},
        "spec": {
            "restartPolicy": restart_policy,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": _NOBODY,
                "runAsGroup": _NOBODY,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "reconciler",
                    "image": settings.images.python,
                    "command": ["python3", "-m", "reconciler", phase, "--topology", f"/etc/reconciler/{TOPOLOGY_KEY}"],
                    "env": [
                        {"name": "PYTHONPATH", "value": ":".join(_mount_path(package) for package in PACKAGES)},
                        {"name": "PYTHONDONTWRITEBYTECODE", "value": "1"},
                        {"name": "PYTHONUNBUFFERED", "value": "1"},
                        {
                            "name": "REDISCLI_AUTH",
                            "valueFrom": {"secretKeyRef": {"name": refs.secret, "key": AUTH_KEY}},
                        },
                    ],
                    "resources": {
                        "requests": {"cpu": "100m", "memory": "128Mi"},
                        "limits": {"memory": "256Mi"},
                    },
                    # The end of the log is the message of a failed pod, which `pulumi up` shows.
                    "terminationMessagePolicy": "FallbackToLogsOnError",
                    "securityContext": locked_down(),
                    "volumeMounts": [
                        {"name": "topology", "mountPath": "/etc/reconciler", "readOnly": True},
                        *[{"name": package, "mountPath": f"/opt/{package}", "readOnly": True} for package in PACKAGES],
                    ],
                }
            ],
            "volumes": [
                {"name": "topology", "configMap": {"name": refs.topology}},
                *[{"name": package, "configMap": {"name": refs.packages[package]}} for package in PACKAGES],
            ],
        },
    }


def zip_key(package: str) -> str:
    """Key of a package's zip in its ConfigMap."""
    return f"{package}.zip"


def _mount_path(package: str) -> str:
    return f"/opt/{package}/{zip_key(package)}"
