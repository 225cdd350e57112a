"""The StatefulSets: one for the initial masters, one for each replica of every shard. Pure."""

from components.config.settings import Settings
from components.manifests import keys, names
from components.manifests.manifest import Manifest, kubernetes_object
from components.manifests.pod import pod_template
from components.manifests.storage import claim_class, claim_spec
from components.plan.plan import Plan


def stateful_set(settings: Settings, plan: Plan, copy: int) -> Manifest:
    """The StatefulSet of the n-th copy of every shard."""
    labels = names.set_labels(copy)
    return Manifest(
        names.set_name(copy),
        kubernetes_object(
            "apps/v1",
            "StatefulSet",
            name=names.set_name(copy),
            namespace=keys.NAMESPACE,
            labels=labels,
            # The provider takes an edit for done when it sees ready pods, those of before the edit too, and when it is
            # told to wait for the new ones it waits for hours without saying for what. The rollout Job does it instead.
            annotations={"pulumi.com/skipAwait": "true"},
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
    )
