"""The Jobs that run the reconciler. Pure: plan -> manifests."""

from typing import Any

from components.config.settings import Settings
from components.manifests import keys, names, tls
from components.manifests.bundle import sources_digest
from components.manifests.containers import USERS_PATH, locked_down, password_files, pull_secrets
from components.manifests.manifest import Manifest, Ref, kubernetes_object, refs
from components.manifests.topology import TOPOLOGY_KEY, deadline_seconds
from components.manifests.users import CREDENTIALS_KEY
from components.plan.plan import Plan
from components.plan.pool_name import digest

RELEASE, FORM, REPAIR = "release", "form", "repair"
"""The phases, as `python -m reconciler` knows them."""
PACKAGES = ("reconciler", "redis")
"""Python packages the Jobs import, each from a zip in a ConfigMap of its own."""
_NOBODY = 65534
_LAST_WORDS_SECONDS = 60
"""Between the deadline of the program, which then says what it waited for, and that of its Job."""
CHECK = "check"
"""The Job that says whether Jobs can start at all."""
_CHECK_SECONDS = 120
"""For a node to take a Job's pod and to have its image."""
_REPAIR_SCHEDULE = "* * * * *"
_REPAIR_DEADLINE_SECONDS = 55
"""Ends before the next run begins; what is unfinished is observed anew then."""


def labels(phase: str) -> dict[str, str]:
    """Of a phase's Jobs and their pods: `kubectl get jobs -l phase=form`."""
    return {**names.JOB_LABEL, "phase": phase}


def job(settings: Settings, plan: Plan, phase: str, *after: str) -> Manifest:
    """A Job that runs one phase of the reconciler (`form` or `release`) to its end."""
    return job_of(phase, reconciler_pod(settings, phase), deadline_seconds(plan), *after)


def job_of(phase: str, template: dict[str, Any], deadline_seconds: int, *after: str) -> Manifest:
    """A Job of one pod, whose program ends itself at its deadline and says why; Kubernetes' own comes after it."""
    # The engine waits until Kubernetes has ended it for certain, and said so.
    ends_seconds = deadline_seconds + _LAST_WORDS_SECONDS
    return _job(phase, template, ends_seconds, ends_seconds + _LAST_WORDS_SECONDS, *after)


def _job(phase: str, template: dict[str, Any], ends_seconds: int, await_seconds: int, *after: str) -> Manifest:
    return Manifest(
        phase,
        kubernetes_object(
            "batch/v1",
            "Job",
            namespace=keys.NAMESPACE,
            labels=labels(phase),
            # A Job that failed is made anew by the next update, although nothing about it has changed.
            annotations={"pulumi.com/replaceUnready": "true"},
            spec={
                # One attempt, which tries for as long as the deadline allows. A pod that failed is the Job's end, and
                # its last words are in the provider's error. (A policy that fails the Job is no end to the provider.)
                "backoffLimit": 0,
                # A pod that is evicted, because its node is drained or taken back, has not failed: another one goes on.
                "podFailurePolicy": {
                    "rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]
                },
                "activeDeadlineSeconds": ends_seconds,
                "template": template,
            },
        ),
        after=after,
        await_seconds=await_seconds,
    )


def check(settings: Settings, coming: tuple[Manifest, ...], *after: str) -> Manifest:
    """The Job before all others: it fails within two minutes where their pods would not start either.

    A Job may run for hours, so its own deadline says nothing about a pod that Kubernetes does not make (a quota, an
    admission policy), that no node takes, or whose image, Secret or ConfigMap is not there. Without this one, an update
    that cannot go on would seem to be at work. It also refuses a cluster domain that is not the cluster's: no pod would
    find another. It runs whenever one of the `coming` objects is another than before.
    """
    template = reconciler_pod(settings, CHECK)
    container = template["spec"]["containers"][0]
    container["command"] = ["python3", "-m", "reconciler.check", f"--cluster-domain={settings.cluster_domain}"]
    container["env"].append({"name": "COMING", "value": digest(str([item.body for item in coming]))})
    mentioned = dict.fromkeys(ref for item in coming for ref in refs(item.body) if ref != keys.NAMESPACE)
    container["env"] += [{"name": f"COMING_{ref.of.upper()}", "value": ref} for ref in mentioned]
    return _job(CHECK, template, _CHECK_SECONDS, _CHECK_SECONDS + _LAST_WORDS_SECONDS, *after)


def repair(settings: Settings, *after: str) -> Manifest:
    """The CronJob that repairs: every minute, one at a time, never catching up on missed runs."""
    return Manifest(
        REPAIR,
        kubernetes_object(
            "batch/v1",
            "CronJob",
            name=names.REPAIR,
            namespace=keys.NAMESPACE,
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
                        "template": reconciler_pod(settings, REPAIR),
                    },
                },
            },
        ),
        after=after,
    )


def reconciler_pod(settings: Settings, phase: str) -> dict[str, Any]:
    """The pod that runs a phase of the reconciler."""
    command = ["python3", "-m", "reconciler", phase, "--topology", f"/etc/reconciler/{TOPOLOGY_KEY}"]
    where = {"name": "REDIS_CREDENTIALS", "value": f"{USERS_PATH}/{CREDENTIALS_KEY}"}
    template = python_pod(settings, phase, command, PACKAGES, [where, *_told(settings)])
    spec = template["spec"]
    # The files of the Secret are readable by their group alone.
    spec["securityContext"]["fsGroup"] = _NOBODY
    spec["containers"][0]["volumeMounts"][:0] = [
        {"name": "topology", "mountPath": "/etc/reconciler", "readOnly": True},
        {"name": "credentials", "mountPath": USERS_PATH, "readOnly": True},
    ]
    spec["volumes"][:0] = [
        {"name": "topology", "configMap": {"name": keys.TOPOLOGY}},
        password_files("credentials", CREDENTIALS_KEY),
    ]
    if settings.tls.mode.has_tls:
        spec["containers"][0]["volumeMounts"].append(tls.mount())
        spec["volumes"].append(tls.volume(settings, *tls.files_of_clients(settings)))
    return template


def _told(settings: Settings) -> list[dict[str, Any]]:
    """Whom the reconciler tells what it does."""
    place = settings.monitoring.pushgateway_place
    if place is None:
        return []
    service, namespace, port = place
    host = names.service_host(service, namespace, settings.cluster_domain)
    return [{"name": "PUSHGATEWAY", "value": f"{host}:{port}"}]


def python_pod(
    settings: Settings, phase: str, command: list[str], packages: tuple[str, ...], environment: list[dict[str, Any]]
) -> dict[str, Any]:
    """A pod that runs a program of these packages, without any right and without anything that it could write to."""
    return {
        "metadata": {"labels": labels(phase)},
        "spec": {
            "restartPolicy": "Never",
            "priorityClassName": keys.PRIORITY_CLASS,
            **pull_secrets(settings),
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
                    "image": settings.images.fetched(settings.images.python),
                    "command": command,
                    "env": [
                        {"name": "PYTHONPATH", "value": ":".join(_mount_path(package) for package in packages)},
                        {"name": "PYTHONDONTWRITEBYTECODE", "value": "1"},
                        {"name": "PYTHONUNBUFFERED", "value": "1"},
                        *environment,
                    ],
                    "resources": {
                        "requests": {"cpu": "100m", "memory": "128Mi"},
                        "limits": {"memory": "256Mi"},
                    },
                    # The end of the log is the message of a failed pod, which `pulumi up` shows.
                    "terminationMessagePolicy": "FallbackToLogsOnError",
                    "securityContext": locked_down(),
                    "volumeMounts": [
                        {"name": package, "mountPath": f"/opt/{package}", "readOnly": True} for package in packages
                    ],
                }
            ],
            "volumes": [{"name": package, "configMap": {"name": Ref(package_key(package))}} for package in packages],
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
