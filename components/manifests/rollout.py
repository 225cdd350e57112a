"""The Jobs that wait for a StatefulSet's last pod, and what they may ask the API server. Pure."""

from typing import Any

from components.config.settings import Settings
from components.manifests import jobs, keys
from components.manifests.manifest import Manifest, kubernetes_object, refs
from components.plan.plan import Plan
from components.plan.pool_name import digest

ACCOUNT = "redis-rollout"


def rights(stateful_sets: tuple[Manifest, ...]) -> tuple[Manifest, ...]:
    """A service account that may read these StatefulSets, and list the pods and the events of the pool: no more, and
    nobody else's."""
    rules = [
        {
            "apiGroups": ["apps"],
            "resources": ["statefulsets"],
            "resourceNames": [item.body["metadata"]["name"] for item in stateful_sets],
            "verbs": ["get"],
        },
        {"apiGroups": [""], "resources": ["pods", "events"], "verbs": ["list"]},
    ]
    group = "rbac.authorization.k8s.io"
    here: dict[str, Any] = {"name": ACCOUNT, "namespace": keys.NAMESPACE}
    return (
        Manifest(keys.ROLLOUT_ACCOUNT.of, kubernetes_object("v1", "ServiceAccount", **here)),
        Manifest(keys.ROLLOUT_ROLE.of, kubernetes_object(f"{group}/v1", "Role", rules=rules, **here)),
        Manifest(
            keys.ROLLOUT_BINDING.of,
            kubernetes_object(
                f"{group}/v1",
                "RoleBinding",
                roleRef={"apiGroup": group, "kind": "Role", "name": keys.ROLLOUT_ROLE},
                subjects=[{"kind": "ServiceAccount", "name": keys.ROLLOUT_ACCOUNT, "namespace": keys.NAMESPACE}],
                **here,
            ),
        ),
    )


def rollout_phase(stateful_set: str) -> str:
    """Phase of the Job that waits for the StatefulSet of this name."""
    return f"rollout-{stateful_set}"


def rollout(settings: Settings, plan: Plan, stateful_set: Manifest, *after: str) -> Manifest:
    """A Job that ends when the StatefulSet's last pod runs what was described, or names the pod that holds it up.

    It is made anew whenever the StatefulSet changes: a digest of it stands in the Job, and so do the names that Pulumi
    makes up for what the pods mount.
    """
    name = stateful_set.body["metadata"]["name"]
    command = [
        "python3",
        "-m",
        "reconciler.rollout",
        f"--namespace={plan.pool}",
        f"--stateful-set={name}",
        f"--pod-seconds={plan.pod_ready_seconds}",
        f"--grace-seconds={plan.tuning.termination_grace_seconds}",
        f"--deadline-seconds={plan.rollout_timeout_seconds}",
    ]
    mounted = dict.fromkeys(refs(stateful_set.body["spec"]))
    environment: list[dict[str, Any]] = [
        {"name": "ROLLED_OUT", "value": digest(str(stateful_set.body["spec"]))},
        *({"name": f"ROLLED_OUT_{ref.of.upper()}", "value": ref} for ref in mounted),
    ]
    template = jobs.python_pod(settings, rollout_phase(name), command, ("reconciler",), environment)
    template["spec"] |= {"serviceAccountName": keys.ROLLOUT_ACCOUNT, "automountServiceAccountToken": True}
    return jobs.job_of(
        rollout_phase(name), template, plan.rollout_timeout_seconds, stateful_set.key, keys.ROLLOUT_BINDING.of, *after
    )
