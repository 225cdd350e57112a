"""PodDisruptionBudgets: which evictions they allow now."""

from __future__ import annotations

from sandbox.kubernetes.cluster import Cluster
from sandbox.kubernetes.manifests.objects import DisruptionSpec, PodDisruptionBudget, StatefulSet
from sandbox.kubernetes.pods import Pod


def disruptions_allowed(spec: DisruptionSpec, expected: int, healthy: int) -> int:
    """Evictions the budget allows now, of `expected` pods of which `healthy` are ready."""
    return max(0, healthy - max(0, expected - spec.max_unavailable))


def blocking_budget(cluster: Cluster, pod: Pod) -> str | None:
    """Name of the budget that forbids to evict `pod` now; None when it may go."""
    for budget in cluster.all(PodDisruptionBudget):
        if budget.metadata.namespace != pod.namespace or not budget.spec.selector.matches(pod.labels):
            continue
        selected = [
            other
            for other in cluster.pods_in(pod.namespace)
            if budget.spec.selector.matches(other.labels) and not other.finished
        ]
        owners = {other.owner for other in selected}
        expected = sum(item.spec.replicas for item in cluster.all(StatefulSet) if item.key in owners)
        healthy = sum(other.ready and not other.deleting for other in selected)
        if not pod.ready and budget.spec.unhealthy_pod_eviction_policy == "AlwaysAllow":
            continue
        if disruptions_allowed(budget.spec, expected, healthy) <= 0 and (pod.ready or healthy < expected):
            return budget.metadata.name
    return None
