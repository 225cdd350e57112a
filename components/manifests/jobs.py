"""The Jobs that run the reconciler, and the topology they are told to bring about. Pure: plan -> inputs."""

import json
from typing import Any

from components.config.settings import Settings
from components.manifests import names
from components.manifests.bundle import sources_digest
from components.manifests.manifest import Manifest, Ref, kubernetes_object
from components.manifests.pod import AUTH_KEY, locked_down
from components.plan.plan import Plan

RELEASE, FORM, REPAIR = "release", "form", "repair"
"""The phases, as `python -m reconciler` knows them."""
PACKAGES = ("reconciler", "redis")
"""Python packages the Jobs import, each from a zip in a ConfigMap of its own."""
TOPOLOGY_KEY = "topology.json"
_NOBODY = 65534
_LAST_WORDS_SECONDS = 60
_REPAIR_SCHEDULE = "* * * * *"
_REPAIR_DEADLINE_SECONDS = 55
"""Ends before the next run begins; what is unfinished is observed anew then."""


def deadline_seconds(plan: Plan) -> int:
    """How long the reconciler may take to form the cluster and move its slots."""
    return plan.tuning.form_deadline_seconds + plan.resize.deadline_seconds


def await_seconds(plan: Plan) -> int:
    """How long Pulumi waits for a Job: until Kubernetes has ended it for certain, and said so."""
    return deadline_seconds(plan) + 2 * _LAST_WORDS_SECONDS


def topology(settings: Settings, plan: Plan) -> str:
    """The desired topology as the reconciler reads it (JSON)."""
    copies = plan.sizing.replicas_per_master + 1
    return json.dumps(
        {
            "pool": plan.pool,
            "port": names.REDIS_PORT,
            "tls": False,
            "nodes": [
                {
                    "pod": names.pod_name(copy, shard),
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


def job(settings: Settings, plan: Plan, phase: str, *after: str) -> Manifest:
    """A Job that runs one phase of the reconciler (`form` or `release`) to its end.

    The reconciler ends itself at its deadline and says why; Kubernetes' own deadline comes after it.
    """
    return Manifest(
        phase,
        kubernetes_object(
            "batch/v1",
            "Job",
            namespace=Ref("namespace"),
            labels=labels(phase),
            # A Job that failed is made anew by the next update, although nothing about it has changed.
            annotations={"pulumi.com/replaceUnready": "true"},
            spec={
                # One attempt, which tries for as long as the deadline allows. A pod that failed is the Job's end, and
                # its last words are in the provider's error. (A policy that fails the Job is no end to the provider.)
                "backoffLimit": 0,
                # A pod that is evicted, because its node is drained or taken back, has not failed: another one goes on.
                "podFailurePolicy": {
                    "rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]
                },
                "activeDeadlineSeconds": deadline_seconds(plan) + _LAST_WORDS_SECONDS,
                "template": _template(settings, phase),
            },
        ),
        after=after,
        await_seconds=await_seconds(plan),
    )


def repair(settings: Settings, plan: Plan, *after: str) -> Manifest:
    """The CronJob that repairs: every minute, one at a time, never catching up on missed runs."""
    return Manifest(
        REPAIR,
        kubernetes_object(
            "batch/v1",
            "CronJob",
            name="redis-repair",
            namespace=Ref("namespace"),
            spec={
                "schedule": _REPAIR_SCHEDULE,
                "concurrencyPolicy": "Forbid",
                "startingDeadlineSeconds": 30,
                "successfulJobsHistoryLimit": 1,
                "failedJobsHistoryLimit": 3,
                "jobTemplate": {
                    "metadata": {"labels": labels(REPAIR)},
                    "spec": {
                        "backoffLimit": 0,
                        "activeDeadlineSeconds": _REPAIR_DEADLINE_SECONDS,
                        "template": _template(settings, REPAIR),
                    },
                },
            },
        ),
        after=after,
    )


def _template(settings: Settings, phase: str) -> dict[str, Any]:
    return {
        "metadata": {"labels": labels(phase)},
        "spec": {
            "restartPolicy": "Never",
            "priorityClassName": Ref("priority"),
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
                            "valueFrom": {"secretKeyRef": {"name": Ref("auth"), "key": AUTH_KEY}},
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
                {"name": "topology", "configMap": {"name": Ref("topology")}},
                *[{"name": package, "configMap": {"name": Ref(package_key(package))}} for package in PACKAGES],
            ],
        },
    }


def package_key(package: str) -> str:
    """Key of the ConfigMap that carries a Python package: other sources make another object."""
    return f"package-{package}-{sources_digest(package)}"


def zip_key(package: str) -> str:
    """Key of a package's zip in its ConfigMap."""
    return f"{package}.zip"


def _mount_path(package: str) -> str:
    return f"/opt/{package}/{zip_key(package)}"
