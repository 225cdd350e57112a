"""PodDisruptionBudgets: how many pods may go now. Pure."""

from __future__ import annotations

from sandbox.kubernetes.manifests.objects import DisruptionSpec


def disruptions_allowed(spec: DisruptionSpec, expected: int, healthy: int) -> int:
    """Evictions the budget allows now, of `expected` pods of which `healthy` are ready. Percentages round up."""
    if spec.max_unavailable is not None:
        desired_healthy = expected - min(expected, _count(spec.max_unavailable, expected))
    else:
        desired_healthy = _count(spec.min_available or 0, expected)
    return max(0, healthy - desired_healthy)


def _count(value: int | str, total: int) -> int:
    if isinstance(value, str):
        return -(-int(value.removesuffix("%")) * total // 100)
    return value
