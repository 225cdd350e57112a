"""The alerts of a pool. Pure: thresholds -> rules.

Each is about something that a healthy cluster does not show, and that no planned change shows for so long. What to do
is in docs/runbook.md, in the section of the alert's name.
"""

from collections.abc import Iterator

from components.manifests import names
from components.manifests.monitoring.alert import CRITICAL, WARNING, Alert
from components.manifests.monitoring.alerts_of_upkeep import certificate, changes, told_by_jobs
from components.manifests.monitoring.recording import recorded
from components.plan.alerting import Alerting

SLOTS = 16384
_ORDINAL = ".*-([0-9]+)"
_PODS = "redis-(master|replica).*"


def alerts(
    pool: str, alerting: Alerting, *, zones_apart: bool, issued: bool, told: bool, has_tls: bool
) -> tuple[Alert, ...]:
    """The alerts of a pool; with `zones_apart` one about copies of a shard that do not stand in different zones, with
    `issued` one about the certificate that cert-manager issues, with `told` those about what the reconciler tells,
    which with `has_tls` is also how long certificates hold."""
    here = f'namespace="{pool}"'
    return (
        *_sizing(here, alerting),
        *_cluster(here, alerting),
        *_replication(here, alerting),
        *_pods(here, alerting),
        *changes(here, alerting),
        *(told_by_jobs(here, alerting) if told else ()),
        *certificate(here, alerting, issued=issued, told=told and has_tls),
        *(_one_zone(here, alerting) if zones_apart else ()),
    )


def _sizing(here: str, alerting: Alerting) -> Iterator[Alert]:
    """The sizing document's six, and what else shows that the load and the plan no longer fit."""

    def is_master(series: str) -> str:
        return f"{series} and on (namespace, pod) {recorded('master:info')}"

    busy = f"and on (namespace) {recorded('lookups:rate5m')} > {alerting.requests_per_second_min:g}"
    memory = f"{recorded('memory_use:ratio')}{{{here}}} > {alerting.memory_share:g}"
    yield Alert(
        "RedisMemoryHigh",
        is_master(memory),
        alerting.steady_seconds,
        WARNING,
        "{{ $labels.pod }} uses {{ $value | humanizePercentage }} of maxmemory.",
    )
    yield Alert(
        "RedisEvictions",
        f"{recorded('evictions:rate5m')}{{{here}}} > {alerting.evictions_per_second:g}",
        alerting.steady_seconds,
        WARNING,
        '{{ $value | printf "%.4g" }} images/s are evicted before their time.',
    )
    yield Alert(
        "RedisCpuHigh",
        f"{recorded('core_use:ratio')}{{{here}}} > {alerting.cpu_share:g}",
        alerting.steady_seconds,
        WARNING,
        "Redis's thread in {{ $labels.pod }} uses {{ $value | humanizePercentage }} of its core.",
    )
    yield Alert(
        "RedisNetworkHigh",
        f"{recorded('network_use:ratio')}{{{here}}} > {alerting.network_share:g}",
        alerting.steady_seconds,
        WARNING,
        "Redis in {{ $labels.node }}{{ $labels.pod }} sends {{ $value | humanizePercentage }} of what the network "
        "sustains.",
    )
    yield Alert(
        "RedisLatencyHigh",
        f"{recorded('latency_p95:ms')}{{{here}}} > {alerting.latency_ms:g}",
        alerting.steady_seconds,
        WARNING,
        'The p95 of commands with images is {{ $value | printf "%.0f" }} ms inside Redis.',
    )
    yield Alert(
        "RedisHitRateLow",
        f"{recorded('hit_rate:ratio')}{{{here}}} < {alerting.hit_rate:g} {busy}",
        alerting.hit_rate_seconds,
        WARNING,
        "{{ $value | humanizePercentage }} of the lookups are hits.",
    )
    yield Alert(
        "RedisHotShard",
        f"{recorded('traffic_imbalance:ratio')}{{{here}}} > {alerting.hot_shard_factor:g} {busy}",
        3 * alerting.steady_seconds,
        WARNING,
        '{{ $labels.pod }} sends {{ $value | printf "%.1f" }} times as much as a master does on average.',
    )
    fragmented = f"max by (namespace, pod) (redis_mem_fragmentation_ratio{{{here}}}) > {alerting.fragmentation:g}"
    filled = f"max by (namespace, pod) (redis_memory_used_bytes{{{here}}}) > {alerting.fragmented_from_bytes:.0f}"
    yield Alert(
        "RedisFragmentation",
        f"{fragmented} and on (namespace, pod) {filled}",
        6 * alerting.steady_seconds,
        WARNING,
        'Resident memory of {{ $labels.pod }} is {{ $value | printf "%.2f" }} times its data.',
    )
    connected = f"max by (namespace, pod) (redis_connected_clients{{{here}}} / redis_max_clients{{{here}}})"
    yield Alert(
        "RedisConnectionStorm",
        f"{connected} > {alerting.connections_share:g}",
        alerting.noticed_seconds,
        CRITICAL,
        "{{ $labels.pod }} has {{ $value | humanizePercentage }} of its connections in use.",
    )


def _cluster(here: str, alerting: Alerting) -> Iterator[Alert]:
    """What `cluster info` says. A new pod that has not met the others yet knows of no slots and does not count."""
    knows_slots = f"max by (namespace, pod) (redis_cluster_slots_assigned{{{here}}}) > 0"
    formed = f"and on (namespace) max by (namespace) (redis_cluster_slots_assigned{{{here}}}) > 0"
    not_ok = f"max by (namespace, pod) (redis_cluster_state{{{here}}}) == 0"
    yield Alert(
        "RedisClusterNotOk",
        f"count by (namespace) ({not_ok} and on (namespace, pod) {knows_slots})",
        alerting.noticed_seconds,
        CRITICAL,
        "{{ $value }} pods say cluster_state:fail: they hear no majority of masters.",
    )
    yield Alert(
        "RedisSlotsUncovered",
        f"{SLOTS} - max by (namespace) (redis_cluster_slots_ok{{{here}}}) > 0 {formed}",
        alerting.noticed_seconds,
        CRITICAL,
        f"{{{{ $value }}}} of {SLOTS} slots are not served.",
    )
    yield Alert(
        "RedisStrangerOwnsSlots",
        f"max by (namespace) (redis_cluster_size{{{here}}}) > {alerting.masters}",
        alerting.move_seconds,
        WARNING,
        f"{{{{ $value }}}} masters own slots, and the config has {alerting.masters}.",
    )
    yield Alert(
        "RedisUnknownNodes",
        f"max by (namespace) (redis_cluster_known_nodes{{{here}}}) > {alerting.pods}",
        alerting.move_seconds,
        WARNING,
        f"The cluster knows {{{{ $value }}}} nodes, and the config has {alerting.pods} pods.",
    )


def _replication(here: str, alerting: Alerting) -> Iterator[Alert]:
    unplanned = f"unless on (namespace) {recorded('planned_change:bool')} == 1"
    yield Alert(
        "RedisMasterWithoutReplica",
        f"({recorded('replicas_missing:count')}{{{here}}} > 0) {unplanned}",
        alerting.pod_ready_seconds,
        WARNING,
        "{{ $labels.pod }} is a master that lacks {{ $value }} replicas in sync.",
    )
    yield Alert(
        "RedisReplicaBufferNearLimit",
        f"max by (namespace, pod) (redis_mem_clients_slaves{{{here}}}) > {alerting.replica_buffer_bytes:.0f}",
        0,
        WARNING,
        "{{ $value | humanize1024 }}B wait in {{ $labels.pod }} for its replica.",
    )
    window = f"{alerting.resync_window_seconds}s"
    # increase() extends what it saw to the whole window, so that four resyncs may read as 3.9.
    yield Alert(
        "RedisResyncRepeats",
        f"max by (namespace, pod) (increase(redis_replica_resyncs_full{{{here}}}[{window}])) > "
        f"{alerting.resyncs - 0.5:g}",
        0,
        WARNING,
        f'{{{{ $labels.pod }}}} has begun {{{{ $value | printf "%.0f" }}}} full resyncs within '
        f"{alerting.resync_window_seconds // 60} minutes.",
    )
    # Nothing here uses blocking commands, so whoever is blocked waits with a write (components/scripts/fence.sh).
    blocked = f"max by (namespace, pod) (redis_blocked_clients{{{here}}}) > 0"
    yield Alert(
        "RedisWritesHeldBack",
        f"{blocked} and on (namespace, pod) {recorded('master:info')}",
        alerting.noticed_seconds,
        CRITICAL,
        "{{ $value }} clients of {{ $labels.pod }} wait with their writes.",
    )


def _pods(here: str, alerting: Alerting) -> Iterator[Alert]:
    unplanned = f"unless on (namespace) {recorded('planned_change:bool')} == 1"
    # A machine that is gone takes its exporter along, and Prometheus then knows no more than that it cannot scrape it.
    scraped = f'max by (namespace, pod) (up{{{here}, pod=~"{_PODS}"}})'
    yield Alert(
        "RedisDown",
        f"max by (namespace, pod) (redis_up{{{here}}}) == 0 or {scraped} == 0",
        alerting.pod_ready_seconds,
        WARNING,
        "Redis in {{ $labels.pod }} does not answer, or its exporter does not.",
    )
    up = f"count by (namespace) (max by (namespace, pod) (redis_up{{{here}}}) == 1)"
    formed = f"max by (namespace) (redis_cluster_slots_assigned{{{here}}}) > 0"
    yield Alert(
        "RedisManyPodsDown",
        f"({alerting.pods} - {up} > {alerting.pods_down} and on (namespace) {formed}) {unplanned}",
        alerting.noticed_seconds,
        CRITICAL,
        f"{{{{ $value }}}} of {alerting.pods} pods are gone, more than one node has.",
    )
    # The rules of a new pool are there before its nodes, which take minutes. So something must have been there, or must
    # be there by now.
    expected = f"count(present_over_time(redis_up{{{here}}}[1d])) > 0 or count(kube_statefulset_replicas{{{here}}}) > 0"
    yield Alert(
        "RedisMetricsMissing",
        f"absent(redis_up{{{here}}}) and on () ({expected})",
        alerting.pod_ready_seconds + alerting.noticed_seconds,
        CRITICAL,
        "No exporter of {{ $labels.namespace }} is scraped: nothing is known of the cache.",
    )
    window = f"[{alerting.crash_window_seconds}s]"
    restarts = f'kube_pod_container_status_restarts_total{{{here}, container="redis"}}'
    counted = f"max by (namespace, pod) (increase({restarts}{window})) > {alerting.crashes - 0.5}"
    # Where Kubernetes is not asked, Redis's uptime tells it. A pod that was rolled has another uptime too, and did not
    # crash: three updates in a row are no loop.
    seen = f"max by (namespace, pod) (resets(redis_uptime_in_seconds{{{here}}}{window})) >= {alerting.crashes}"
    yield Alert(
        "RedisCrashLoop",
        f"{counted} or {seen} unless on (namespace, pod) {restarts}",
        0,
        CRITICAL,
        f'Redis in {{{{ $labels.pod }}}} has ended {{{{ $value | printf "%.0f" }}}} times within '
        f"{alerting.crash_window_seconds // 60} minutes.",
    )
    ready = f'kube_pod_status_ready{{{here}, pod=~"{_PODS}", condition="true"}}'
    yield Alert(
        "RedisPodNotReady",
        f"max by (namespace, pod) ({ready}) == 0",
        alerting.pod_ready_seconds,
        WARNING,
        "{{ $labels.pod }} does not get ready.",
    )
    claims = f'{here}, persistentvolumeclaim=~"{names.VOLUME}-.*"'
    used, size = (f"kubelet_volume_stats_{what}_bytes{{{claims}}}" for what in ("used", "capacity"))
    yield Alert(
        "RedisVolumeNearlyFull",
        f"max by (namespace, persistentvolumeclaim) ({used} / {size}) > {alerting.volume_share:g}",
        2 * alerting.steady_seconds,
        WARNING,
        "{{ $labels.persistentvolumeclaim }} is {{ $value | humanizePercentage }} full.",
    )


def _one_zone(here: str, alerting: Alerting) -> Iterator[Alert]:
    pods = f'max by (namespace, pod, node) (kube_pod_info{{{here}, pod=~"{_PODS}", node!=""}})'
    by_shard = f'label_replace({pods}, "shard", "$1", "pod", "{_ORDINAL}")'
    # kube-state-metrics shows this label only where it is told to (`--metric-labels-allowlist`).
    label = "label_topology_kubernetes_io_zone"
    zones = f'label_replace(max by (node, {label}) (kube_node_labels{{{label}!=""}}), "zone", "$1", "{label}", "(.+)")'
    yield Alert(
        "RedisPairInOneZone",
        f"count by (namespace, shard, zone) ({by_shard} * on (node) group_left (zone) {zones}) > 1",
        alerting.pod_ready_seconds,
        WARNING,
        "{{ $value }} copies of shard {{ $labels.shard }} are in {{ $labels.zone }}.",
    )
