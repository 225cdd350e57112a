"""When somebody is called: the thresholds and patience of every alert, derived from the plan. Pure.

The sizing document names six alerts for its own load (docs/reference/sizing-document.md, "Monitoring"). Those that
depend on the load are scaled to the stack's; for the document's load they are the document's figures.
"""

from dataclasses import dataclass
from math import ceil

from components.config.settings import Settings
from components.plan.plan import Plan
from components.plan.traffic import bytes_per_second

MEMORY_USED = "redis_image_cache:memory_used:bytes"
HIT_RATE = "redis_image_cache:hit_rate:ratio"
"""Series that the rules record and right-sizing reads: bytes of all masters together, hits over lookups."""
MEMORY_ALERT_PERCENT = 90.0
CPU_ALERT_PERCENT = 80.0
NETWORK_ALERT_PERCENT = 85.0
LATENCY_ALERT_MS = 100
"""The document's alerts on memory, CPU, network and p95."""
MEMORY_TARGET_PERCENT = (60.0, 80.0)
CPU_TARGET_PERCENT = (20.0, 40.0)
NETWORK_TARGET_PERCENT = (50.0, 70.0)
LATENCY_TARGET_MS = 15
HIT_RATE_TARGET = 0.8
FRAGMENTATION_TARGET = (1.0, 1.5)
"""The document's targets, which the dashboard draws in."""
_EVICTIONS_SHARE = 1000 / 8000
"""The document's 1,000 evictions/s, of its 8,000 requests/s."""
_HIT_RATE_SHARE = 0.5 / HIT_RATE_TARGET
"""The document's alert on hits, of its target: a stack that is sized for few hits must not page for them."""
_HIT_RATE_ALERT_MAX = 0.5
_TRAFFIC_SHARE_MIN = 0.01
"""Of the requests the stack is sized for. With fewer, shares of hits and of shards say nothing."""
_BUFFER_SHARE = 0.8
"""Of the limit at which Redis cuts off a replica and its full resync begins anew."""
_CONNECTIONS_SHARE = 0.9
"""As `CROWDED_PERCENT` in components/scripts/room.sh: from there on idle connections are closed."""
_VOLUME_SHARE = 0.8
_HOT_SHARD_FACTOR = 2.0
"""Traffic of one shard over the mean of all."""
_FRAGMENTED_FROM_SHARE = 0.1
"""Of maxmemory. The ratio of a nearly empty Redis is that of its program, and says nothing of its images."""
_RESYNCS = 4
"""Full resyncs of one master within `resync_window_seconds`. A planned roll of a shard takes up to three: its
replica's, the one after the hand-over and the one after the hand-over back."""
_CRASHES = 3
_REPAIR_MINUTES = 15
"""The repair runs every minute; it may wait for a node that does not answer, and for a move that is under way."""
_STEADY_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Alerting:
    """Thresholds with their unit in the name; shares are 0 to 1. `..._seconds` is how long it has to last."""

    memory_share: float
    evictions_per_second: float
    cpu_share: float
    network_share: float
    network_bytes_per_second: float
    """Of a node, and without nodes of the stack's own of a pod."""
    latency_ms: float
    hit_rate: float
    hit_rate_seconds: int
    """A cold cache misses everything until it has been filled for one TTL."""
    requests_per_second_min: float
    masters: int
    pods: int
    replicas_per_master: int
    pods_down: int
    """More pods than this at once are more than one node."""
    pod_ready_seconds: int
    replica_buffer_bytes: float
    resyncs: int
    resync_window_seconds: int
    roll_seconds: int
    move_seconds: int
    repair_seconds: int
    crashes: int
    crash_window_seconds: int
    connections_share: float
    volume_share: float
    hot_shard_factor: float
    fragmentation: float
    fragmented_from_bytes: float
    steady_seconds: int
    """What may peak for a moment has to last this long."""
    noticed_seconds: int
    """What no healthy cluster shows has to last this long: beyond a failover."""
    usd_per_second: float | None
    """Of the nodes, on demand; None without `eks`."""


def derive_alerting(settings: Settings, plan: Plan) -> Alerting:
    """The alerts of a stack."""
    workload, tuning, sizing, nodes = settings.workload, plan.tuning, plan.sizing, plan.nodes
    resync_window = max(3600, _RESYNCS * plan.pod_ready_seconds)
    return Alerting(
        memory_share=MEMORY_ALERT_PERCENT / 100,
        evictions_per_second=_EVICTIONS_SHARE * workload.requests_per_second,
        cpu_share=CPU_ALERT_PERCENT / 100,
        network_share=NETWORK_ALERT_PERCENT / 100,
        network_bytes_per_second=bytes_per_second(plan.link_gbps),
        latency_ms=min(LATENCY_ALERT_MS, workload.p95_latency_ms),
        hit_rate=min(_HIT_RATE_ALERT_MAX, _HIT_RATE_SHARE * workload.hit_rate),
        hit_rate_seconds=_minutes(workload.ttl_seconds + 2 * _STEADY_SECONDS),
        requests_per_second_min=_TRAFFIC_SHARE_MIN * workload.requests_per_second,
        masters=sizing.masters,
        pods=sizing.pods,
        replicas_per_master=sizing.replicas_per_master,
        pods_down=plan.masters_on_link,
        pod_ready_seconds=_minutes(plan.pod_ready_seconds),
        replica_buffer_bytes=_BUFFER_SHARE * tuning.replica_output_buffer_limit_bytes,
        resyncs=_RESYNCS,
        resync_window_seconds=_minutes(resync_window),
        roll_seconds=_minutes(plan.rollout_timeout_seconds),
        move_seconds=_minutes(plan.resize.deadline_seconds + tuning.form_deadline_seconds),
        repair_seconds=60 * _REPAIR_MINUTES,
        crashes=_CRASHES,
        crash_window_seconds=900,
        connections_share=_CONNECTIONS_SHARE,
        volume_share=_VOLUME_SHARE,
        hot_shard_factor=_HOT_SHARD_FACTOR,
        fragmentation=FRAGMENTATION_TARGET[1],
        fragmented_from_bytes=_FRAGMENTED_FROM_SHARE * tuning.maxmemory_bytes,
        steady_seconds=_STEADY_SECONDS,
        noticed_seconds=_minutes(2 * tuning.min_ready_seconds + tuning.start_takeover_seconds),
        usd_per_second=None if nodes is None else nodes.nodes_total * nodes.usd_per_hour / 3600,
    )


def _minutes(seconds: float) -> int:
    """Rounded up to whole minutes: rules are evaluated every half minute or so."""
    return 60 * ceil(seconds / 60)
