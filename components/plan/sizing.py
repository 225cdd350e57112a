"""From the memory of one pod and of all masters to pods, their resources and totals: the arithmetic of
docs/reference/sizing-document.md."""

from dataclasses import dataclass

from components.config.settings import Settings
from components.config.units import GIB, MIB, redis_size

OVERHEAD_FACTOR = 1.2
"""Request over Redis's memory, and limit over request: the sizing document's "20% buffer", taken twice. What lies
between Redis's memory and the limit is for a full resync (components/plan/tuning.py)."""
SHARED_NODE_CPU_LIMIT_MILLICORES = 1000
"""Where other workloads run on the node: "NEVER exceed 1 core", says the sizing document. On nodes of its own a pod has
no limit (docs/adr/0016-no-cpu-limit.md)."""
EXPORTER_MEMORY_MIB = 64
EXPORTER_CPU_MILLICORES = 10
"""What `monitoring.exporter` adds to every pod: the request, and of memory the limit too."""
_WHOLE_GIB_FROM_BYTES = 8 * GIB
"""Below this, rounding to whole GiB would eat the overhead, so smaller pods are rounded to whole MiB."""


@dataclass(frozen=True, slots=True)
class Sizing:
    """Pods, their resources and their totals. Memory in MiB, as Kubernetes counts it (Mi)."""

    pod_memory_bytes: int
    maxmemory: str
    """`pod_memory_bytes` as redis.conf spells it: 64gb."""
    total_memory_bytes: int
    masters: int
    replicas_per_master: int
    replicas: int
    pods: int
    request_memory_mib: int
    limit_memory_mib: int
    cpu_millicores: int
    """What each pod requests."""
    cpu_limit_millicores: int | None
    """None on nodes of the stack's own: a limit would stop Redis whenever its snapshot's process has used it up."""
    volume_mib: int
    usable_memory_bytes: int
    total_request_memory_mib: int
    total_limit_memory_mib: int
    total_cpu_millicores: int
    total_volume_mib: int
    blast_radius_percent: float

    @property
    def copies_per_shard(self) -> int:
        """Pods that hold the same shard: its master and its replicas. There is one StatefulSet for each."""
        return self.pods // self.masters


def derive_sizing(settings: Settings) -> Sizing:
    """Sizing of a stack; `settings` has passed the rules, so there are at least three masters."""
    masters = -(-settings.total_memory // settings.pod_memory)
    pods = masters * settings.copies_per_shard
    request_mib = _rounded_mib(settings.pod_memory * OVERHEAD_FACTOR, settings.pod_memory)
    limit_mib = _rounded_mib(request_mib * MIB * OVERHEAD_FACTOR, settings.pod_memory)
    volume_mib = request_mib if settings.storage.size is None else settings.storage.size // MIB
    return Sizing(
        pod_memory_bytes=settings.pod_memory,
        maxmemory=redis_size(settings.pod_memory),
        total_memory_bytes=settings.total_memory,
        masters=masters,
        replicas_per_master=settings.replicas_per_master,
        replicas=pods - masters,
        pods=pods,
        request_memory_mib=request_mib,
        limit_memory_mib=limit_mib,
        cpu_millicores=settings.pod_cpu_millicores,
        cpu_limit_millicores=SHARED_NODE_CPU_LIMIT_MILLICORES if settings.eks is None else None,
        volume_mib=volume_mib,
        usable_memory_bytes=masters * settings.pod_memory,
        total_request_memory_mib=pods * request_mib,
        total_limit_memory_mib=pods * limit_mib,
        total_cpu_millicores=pods * settings.pod_cpu_millicores,
        total_volume_mib=pods * volume_mib,
        blast_radius_percent=100 / masters,
    )


def _rounded_mib(size_bytes: float, pod_memory_bytes: int) -> int:
    unit = GIB if pod_memory_bytes >= _WHOLE_GIB_FROM_BYTES else MIB
    return round(size_bytes / unit) * (unit // MIB)
