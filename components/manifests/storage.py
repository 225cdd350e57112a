"""Volumes: the StorageClasses they are made by, and a claim for every pod that decides its zone. Pure."""

from typing import Any

from components.config.settings import Settings
from components.config.units import kubernetes_quantity
from components.manifests import keys, names
from components.manifests.manifest import Manifest, kubernetes_object
from components.plan.placement import zone_of
from components.plan.plan import Plan


def makes_storage_classes(settings: Settings) -> bool:
    """Whether the classes of the volumes are made here: on EKS, unless one is given."""
    return settings.eks is not None and settings.storage.class_name is None


def storage_classes(settings: Settings) -> tuple[Manifest, ...]:
    """`fast-ssd` and its likes for single zones, where they are ours to make.

    Their names are given and their parameters cannot change, so a changed one goes before its successor comes. Pods
    and claims therefore spell the name out: on an output of it Pulumi would take them down too, and make them anew.
    """
    if not makes_storage_classes(settings):
        return ()
    keys: dict[str | None, str] = {None: "storage"} | {zone: f"storage-{zone}" for zone in settings.zones}
    return tuple(
        Manifest(key, _storage_class(settings, zone), delete_before_replace=True) for zone, key in keys.items()
    )


def claim_class(settings: Settings, zone: str | None = None) -> str | None:
    """Class of the claims; None is the cluster's default."""
    return _class_name(zone) if makes_storage_classes(settings) else settings.storage.class_name


def claim_spec(plan: Plan, class_name: str | None) -> dict[str, Any]:
    """Claim of one pod's volume; without a class, Kubernetes takes the cluster's default."""
    spec: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": kubernetes_quantity(plan.sizing.volume_mib)}},
    }
    return spec if class_name is None else spec | {"storageClassName": class_name}


def claims(settings: Settings, plan: Plan) -> tuple[Manifest, ...]:
    """A claim for every pod, each of its zone's class: made before the StatefulSets, which then find them by name.

    Without them the scheduler decides zones pod by pod, and may leave the last pod none that its shard's others do not
    have (docs/adr/0003). None where the classes are not ours, so that no class stands for a single zone.
    """
    if not makes_storage_classes(settings):
        return ()
    return tuple(
        _claim(settings, plan, f"{names.VOLUME}-{names.pod_name(copy, shard)}", zone_of(copy, shard, settings.zones))
        for copy in range(plan.sizing.copies_per_shard)
        for shard in range(plan.sizing.masters)
    )


def _claim(settings: Settings, plan: Plan, name: str, zone: str) -> Manifest:
    return Manifest(
        name,
        kubernetes_object(
            "v1",
            "PersistentVolumeClaim",
            name=name,
            namespace=keys.NAMESPACE,
            labels=names.APP_LABEL,
            # A claim is bound once its pod is scheduled, which comes later: waiting here would never end.
            annotations={"pulumi.com/skipAwait": "true"},
            spec=claim_spec(plan, claim_class(settings, zone)),
        ),
    )


def _class_name(zone: str | None) -> str:
    return names.STORAGE_CLASS if zone is None else f"{names.STORAGE_CLASS}-{zone}"


def _storage_class(settings: Settings, zone: str | None) -> dict[str, Any]:
    """Encrypted gp3 by the EBS CSI driver; with a zone, volumes that can only be made there.

    Parameters are strings, as the driver reads them. Nothing on a volume outlives its pool (nodes.conf alone),
    so it goes with its claim.
    """
    storage = settings.storage
    chosen = {
        "iops": storage.iops,
        "throughput": storage.throughput_mib_per_second,
        "kmsKeyId": storage.kms_key_id,
    }
    restricted: dict[str, Any] = {}
    if zone is not None:
        expression = {"key": names.ZONE_LABEL, "values": [zone]}
        restricted["allowedTopologies"] = [{"matchLabelExpressions": [expression]}]
    return kubernetes_object(
        "storage.k8s.io/v1",
        "StorageClass",
        name=_class_name(zone),
        provisioner="ebs.csi.aws.com",
        parameters={
            "type": "gp3",
            "encrypted": "true",
            "csi.storage.k8s.io/fstype": "ext4",
            **{key: str(value) for key, value in chosen.items() if value is not None},
            **_volume_tags(settings),
        },
        volumeBindingMode="WaitForFirstConsumer",
        allowVolumeExpansion=True,
        reclaimPolicy="Delete",
        **restricted,
    )


def _volume_tags(settings: Settings) -> dict[str, str]:
    """The stack's tags, as the driver wants them: numbered, each `key=value`."""
    tags = settings.eks.tags if settings.eks is not None else {}
    return {
        f"tagSpecification_{number}": f"{key}={value}" for number, (key, value) in enumerate(sorted(tags.items()), 1)
    }
