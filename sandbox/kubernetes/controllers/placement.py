"""Gives every new pod its node, and every new volume the zone of its first pod's node."""

from __future__ import annotations

from collections.abc import Callable

from sandbox.kubernetes.cluster import Cluster
from sandbox.kubernetes.controllers import scheduler
from sandbox.kubernetes.controllers.scheduler import PlacedPod
from sandbox.kubernetes.manifests.objects import StorageClass
from sandbox.kubernetes.nodes import ZONE_LABEL
from sandbox.kubernetes.pods import Claim, Pod


def place_pods(cluster: Cluster, start: Callable[[Pod], None]) -> None:
    """Places every pod that has no node and fits somewhere, and calls `start` with it; the others say why not."""
    for pod in list(cluster.pods.values()):
        if pod.node is not None or pod.deleting:
            continue
        others = [_placed(cluster, other) for other in cluster.pods.values() if not other.finished]
        placement = scheduler.place(_placed(cluster, pod), list(cluster.nodes.values()), others)
        if placement.node is None:
            if pod.message != placement.message:
                pod.message = placement.message
                cluster.event(pod.subject, "FailedScheduling", placement.message)
                cluster.touch()
            continue
        pod.node, pod.message = placement.node, ""
        for claim in pod.claims.values():
            claim.zone = claim.zone or cluster.nodes[placement.node].zone
        cluster.event(pod.subject, "Scheduled", f"to {placement.node}")
        start(pod)


def _placed(cluster: Cluster, pod: Pod) -> PlacedPod:
    wanted = [zones for claim in pod.claims.values() if (zones := _zones_of(cluster, claim))]
    # Zones that suit one volume and not another leave the pod pending, as on a real cluster.
    zones = frozenset.intersection(*wanted) or frozenset({"no zone suits all volumes"}) if wanted else frozenset()
    return PlacedPod(pod.name, pod.namespace, pod.labels, pod.spec, pod.node, zones)


def _zones_of(cluster: Cluster, claim: Claim) -> frozenset[str]:
    """Zones the claim's volume is in, or may be made in; empty if it is not made yet and any zone will do."""
    if claim.zone is not None:
        return frozenset({claim.zone})
    classes = {item.metadata.name: item for item in cluster.all(StorageClass)}
    found = classes.get(claim.spec.storage_class_name or "")
    return frozenset() if found is None else found.zones(ZONE_LABEL)
