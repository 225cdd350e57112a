"""The StatefulSets: one for the initial masters, one for each replica of every shard. Pure."""

import json

from components.config.settings import Settings
from components.manifests import names
from components.manifests.manifest import Manifest, Ref, kubernetes_object
from components.manifests.pod import pod_template
from components.manifests.storage import claim_class, claim_spec
from components.plan.plan import Plan

AWAITED_COUNTS = ("replicas", "updatedReplicas", "availableReplicas")
"""Of a StatefulSet's status, all to be the wanted number: no pod too many, none of an older revision, none unready."""


def stateful_set(settings: Settings, plan: Plan, copy: int, *after: str) -> Manifest:
    """The StatefulSet of the n-th copy of every shard."""
    labels = names.set_labels(copy)
    return Manifest(
        names.set_name(copy),
        kubernetes_object(
            "apps/v1",
            "StatefulSet",
            name=names.set_name(copy),
            namespace=Ref("namespace"),
            labels=labels,
            annotations=_awaited_to_the_last_pod(plan),
            spec={
                "serviceName": names.set_name(copy),
                "replicas": plan.sizing.masters,
                "podManagementPolicy": "Parallel",
                "selector": {"matchLabels": labels},
                "updateStrategy": {"type": "RollingUpdate"},
                "minReadySeconds": plan.tuning.min_ready_seconds,
                "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete", "whenScaled": "Delete"},
                "template": pod_template(settings, plan, copy),
                "volumeClaimTemplates": [
                    {
                        "metadata": {"name": names.VOLUME, "labels": names.APP_LABEL},
                        "spec": claim_spec(plan, claim_class(settings)),
                    }
                ],
            },
        ),
        after=after,
        await_seconds=plan.rollout_timeout_seconds,
    )


def _awaited_to_the_last_pod(plan: Plan) -> dict[str, str]:
    """Annotations with which an update of a StatefulSet ends when its last pod has rolled and is ready.

    Without them the Kubernetes provider reads the status before the controller has seen the edit, finds the old pods
    ready and goes on (pulumi-kubernetes #3329): all sets would roll at once, and an image that cannot be pulled would
    take both copies of a shard.
    """
    conditions = [f"jsonpath={{.status.{count}}}={plan.sizing.masters}" for count in AWAITED_COUNTS]
    return {"pulumi.com/waitFor": json.dumps(conditions)}
