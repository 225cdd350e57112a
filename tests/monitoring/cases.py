"""What makes each alert fire, and what does not yet. Written by hand from docs/runbook.md, not from the rules.

All series are of stack prod: 16 masters and 16 replicas of 64 GB on nodes of 20 Gbps with four pods each, 8,000
requests/s, and 90 % of maxmemory, 1,000 evictions/s and so on as in docs/reference/sizing-document.md.

It is long because it is one table, with an entry for each alert.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

GIB = 2**30
M0 = 'namespace="redis-64gb", pod="redis-master-0"'
M1 = 'namespace="redis-64gb", pod="redis-master-1"'
POOL = 'namespace="redis-64gb"'
MASTER = {f'redis_instance_info{{{M0}, role="master"}}': "1x240"}
POD_LABELS = {"namespace": "redis-64gb", "pod": "redis-master-0"}
POOL_LABELS = {"namespace": "redis-64gb"}


@dataclass(frozen=True)
class Case:
    """Series with a sample each minute: `fires` does at `minute`, `quiet` does not; `both` goes into each."""

    fires: dict[str, str]
    quiet: dict[str, str]
    minute: int
    severity: str
    summary: str
    labels: dict[str, str] = field(default_factory=lambda: POD_LABELS)
    both: dict[str, str] = field(default_factory=dict)


def lookups(hits: int, misses: int) -> dict[str, str]:
    """So many a minute."""
    return {
        f"redis_keyspace_hits_total{{{M0}}}": f"0+{hits}x240",
        f"redis_keyspace_misses_total{{{M0}}}": f"0+{misses}x240",
    }


def up(pods: int) -> dict[str, str]:
    return {f'redis_up{{namespace="redis-64gb", pod="redis-{number}"}}': "1x240" for number in range(pods)}


def sent(by_first: float, by_others: float) -> dict[str, str]:
    """Bytes a second of four pods of one node; the first is a master, and so are the others."""
    found = {}
    for number in range(4):
        pod = f'namespace="redis-64gb", pod="redis-master-{number}"'
        rate = 60 * (by_others if number else by_first)
        found[f"redis_net_output_bytes_total{{{pod}}}"] = f"0+{rate:.0f}x240"
        found[f'redis_instance_info{{{pod}, role="master"}}'] = "1x240"
        found[f'kube_pod_info{{{pod}, node="node-1"}}'] = "1x240"
    return found


def latencies(within_64_ms: int, within_131_ms: int) -> dict[str, str]:
    """So many a minute of 100 GETs take at most 64 ms, and at most 131 ms."""
    bucket = f'redis_commands_latencies_usec_bucket{{{M0}, cmd="get", le='
    return {
        f'{bucket}"65536"}}': f"0+{within_64_ms}x240",
        f'{bucket}"131072"}}': f"0+{within_131_ms}x240",
        f'{bucket}"+Inf"}}': "0+100x240",
    }


def pair(zone_of_second: str) -> dict[str, str]:
    return {
        'kube_pod_info{namespace="redis-64gb", pod="redis-master-3", node="node-1"}': "1x240",
        'kube_pod_info{namespace="redis-64gb", pod="redis-replica-3", node="node-2"}': "1x240",
        'kube_pod_info{namespace="redis-64gb", pod="redis-replica-13", node="node-1"}': "1x240",
        'kube_node_labels{node="node-1", label_topology_kubernetes_io_zone="us-east-1a"}': "1x240",
        f'kube_node_labels{{node="node-2", label_topology_kubernetes_io_zone="{zone_of_second}"}}': "1x240",
    }


CLAIM = "redis-data-redis-master-0"
FORMED = {f"redis_cluster_slots_assigned{{{M0}}}": "16384x240"}
REPLICA = f'redis_connected_slave_offset_bytes{{{M0}, slave_ip="10.0.0.9", slave_state='
REPAIRED = f'kube_cronjob_status_last_successful_time{{{POOL}, cronjob="redis-repair"}}'
FORMING = f'kube_job_status_active{{{POOL}, job_name="images-redis-64gb-form-0123abcd"}}'

TOLD = "redis_image_cache_reconciler"
WAITING = f'{TOLD}_waiting{{{POOL}, phase="repair", rule="replication.attach_replicas"}}'
ENDS = f'certmanager_certificate_expiration_timestamp_seconds{{{POOL}, name="redis-tls"}}'

CASES: dict[str, Case] = {
    "RedisMemoryHigh": Case(
        {f"redis_memory_used_bytes{{{M0}}}": f"{58 * GIB}x240"},
        {f"redis_memory_used_bytes{{{M0}}}": f"{57 * GIB}x240"},
        10,
        "warning",
        "redis-master-0 uses 90.62% of maxmemory.",
        both={**MASTER, f"redis_memory_max_bytes{{{M0}}}": f"{64 * GIB}x240"},
    ),
    "RedisEvictions": Case(
        {f"redis_evicted_keys_total{{{M0}}}": "0+66000x240"},
        {f"redis_evicted_keys_total{{{M0}}}": "0+59000x240"},
        15,
        "warning",
        "1100 images/s are evicted before their time.",
        POOL_LABELS,
    ),
    "RedisCpuHigh": Case(
        {f"redis_cpu_user_main_thread_seconds_total{{{M0}}}": "0+39x240"},
        {f"redis_cpu_user_main_thread_seconds_total{{{M0}}}": "0+33x240"},
        15,
        "warning",
        "Redis's thread in redis-master-0 uses 90% of its core.",
        both={f"redis_cpu_sys_main_thread_seconds_total{{{M0}}}": "0+15x240"},
    ),
    "RedisNetworkHigh": Case(
        sent(550e6, 550e6),
        sent(520e6, 520e6),
        15,
        "warning",
        "Redis in node-1 sends 88% of what the network sustains.",
        {"namespace": "redis-64gb", "node": "node-1"},
    ),
    "RedisLatencyHigh": Case(
        latencies(85, 100),
        latencies(90, 100),
        15,
        "warning",
        "The p95 of commands with images is 109 ms inside Redis.",
        POOL_LABELS,
    ),
    "RedisHitRateLow": Case(
        lookups(120_000, 180_000), lookups(180_000, 120_000), 30, "warning", "40% of the lookups are hits.", POOL_LABELS
    ),
    "RedisHotShard": Case(
        sent(250e6, 50e6),
        sent(90e6, 50e6),
        30,
        "warning",
        "redis-master-0 sends 2.5 times as much as a master does on average.",
        both=lookups(240_000, 60_000),
    ),
    "RedisFragmentation": Case(
        {f"redis_mem_fragmentation_ratio{{{M0}}}": "1.6x240"},
        {f"redis_mem_fragmentation_ratio{{{M0}}}": "1.5x240"},
        40,
        "warning",
        "Resident memory of redis-master-0 is 1.60 times its data.",
        both={f"redis_memory_used_bytes{{{M0}}}": f"{20 * GIB}x240"},
    ),
    "RedisConnectionStorm": Case(
        {f"redis_connected_clients{{{M0}}}": "9100x240"},
        {f"redis_connected_clients{{{M0}}}": "9000x240"},
        10,
        "critical",
        "redis-master-0 has 91% of its connections in use.",
        both={f"redis_max_clients{{{M0}}}": "10000x240"},
    ),
    "RedisClusterNotOk": Case(
        {f"redis_cluster_state{{{M0}}}": "0x240"},
        {f"redis_cluster_state{{{M0}}}": "1x240", f"redis_cluster_state{{{M1}}}": "0x240"},
        5,
        "critical",
        "1 pods say cluster_state:fail: they hear no majority of masters.",
        POOL_LABELS,
        # The second pod has not met the others yet.
        {**FORMED, f"redis_cluster_slots_assigned{{{M1}}}": "0x240"},
    ),
    "RedisSlotsUncovered": Case(
        {f"redis_cluster_slots_ok{{{M0}}}": "15360x240", f"redis_cluster_slots_ok{{{M1}}}": "15360x240"},
        # One that is cut off from the others does not speak for the cluster.
        {f"redis_cluster_slots_ok{{{M0}}}": "16384x240", f"redis_cluster_slots_ok{{{M1}}}": "1024x240"},
        5,
        "critical",
        "1024 of 16384 slots are not served.",
        POOL_LABELS,
        FORMED,
    ),
    "RedisStrangerOwnsSlots": Case(
        {f"redis_cluster_size{{{M0}}}": "17x240"},
        {f"redis_cluster_size{{{M0}}}": "16x240"},
        40,
        "warning",
        "17 masters own slots, and the config has 16.",
        POOL_LABELS,
    ),
    "RedisUnknownNodes": Case(
        {f"redis_cluster_known_nodes{{{M0}}}": "33x240"},
        {f"redis_cluster_known_nodes{{{M0}}}": "32x240"},
        40,
        "warning",
        "The cluster knows 33 nodes, and the config has 32 pods.",
        POOL_LABELS,
    ),
    "RedisMasterWithoutReplica": Case(
        # It copies, and is not in sync.
        {f'{REPLICA}"send_bulk"}}': "1x240"},
        {f'{REPLICA}"online"}}': "1x240"},
        10,
        "warning",
        "redis-master-0 is a master that lacks 1 replicas in sync.",
        both=MASTER,
    ),
    "RedisReplicaBufferNearLimit": Case(
        {f"redis_mem_clients_slaves{{{M0}}}": "20000000000x240"},
        {f"redis_mem_clients_slaves{{{M0}}}": "19000000000x240"},
        5,
        "warning",
        "18.63GiB wait in redis-master-0 for its replica.",
    ),
    "RedisResyncRepeats": Case(
        {f"redis_replica_resyncs_full{{{M0}}}": "0x20 1x10 2x10 3x10 4x100"},
        {f"redis_replica_resyncs_full{{{M0}}}": "0x20 1x10 2x10 3x100"},
        65,
        "warning",
        "redis-master-0 has begun 4 full resyncs within 60 minutes.",
    ),
    "RedisWritesHeldBack": Case(
        {f"redis_blocked_clients{{{M0}}}": "7x240"},
        {f"redis_blocked_clients{{{M0}}}": "7 0 7 0 7 0 7 0 7 0 7"},
        5,
        "critical",
        "7 clients of redis-master-0 wait with their writes.",
        both=MASTER,
    ),
    "RedisDown": Case(
        {f"redis_up{{{M0}}}": "0x240"},
        {f"redis_up{{{M0}}}": "0x5 1x240"},
        10,
        "warning",
        "Redis in redis-master-0 does not answer, or its exporter does not.",
    ),
    "RedisManyPodsDown": Case(
        up(27), up(28), 5, "critical", "5 of 32 pods are gone, more than one node has.", POOL_LABELS, FORMED
    ),
    "RedisMetricsMissing": Case(
        {f'kube_statefulset_replicas{{{POOL}, statefulset="redis-master"}}': "16x240"},
        # The nodes of a new pool are being made.
        {'redis_up{namespace="another"}': "1x240"},
        10,
        "critical",
        "No exporter of redis-64gb is scraped: nothing is known of the cache.",
        POOL_LABELS,
    ),
    "RedisCrashLoop": Case(
        {f"redis_uptime_in_seconds{{{M0}}}": "5000 10 60 5 60 2 60x240"},
        {f"redis_uptime_in_seconds{{{M0}}}": "5000 10 60 5 60x240"},
        10,
        "critical",
        "Redis in redis-master-0 has ended 3 times within 15 minutes.",
    ),
    "RedisPodNotReady": Case(
        {f'kube_pod_status_ready{{{M0}, condition="true"}}': "0x240"},
        {f'kube_pod_status_ready{{{M0}, condition="true"}}': "0x5 1x240"},
        10,
        "warning",
        "redis-master-0 does not get ready.",
    ),
    "RedisVolumeNearlyFull": Case(
        {f'kubelet_volume_stats_used_bytes{{{POOL}, persistentvolumeclaim="redis-data-redis-master-0"}}': "81x240"},
        {f'kubelet_volume_stats_used_bytes{{{POOL}, persistentvolumeclaim="redis-data-redis-master-0"}}': "80x240"},
        15,
        "warning",
        "redis-data-redis-master-0 is 81% full.",
        {"namespace": "redis-64gb", "persistentvolumeclaim": "redis-data-redis-master-0"},
        {f'kubelet_volume_stats_capacity_bytes{{{POOL}, persistentvolumeclaim="{CLAIM}"}}': "100x240"},
    ),
    "RedisRepairNotRun": Case(
        {REPAIRED: "120x240"},
        {REPAIRED: "300x240"},
        23,
        "warning",
        "No repair has ended well for 21m 0s.",
        POOL_LABELS,
    ),
    "RedisJobFailed": Case(
        {f'kube_job_status_failed{{{POOL}, job_name="images-redis-64gb-form-0123abcd"}}': "1x240"},
        # The next repair comes within the minute.
        {f'kube_job_status_failed{{{POOL}, job_name="redis-repair-29123456"}}': "1x240"},
        5,
        "warning",
        "Job images-redis-64gb-form-0123abcd of an update has failed.",
        {"namespace": "redis-64gb", "job_name": "images-redis-64gb-form-0123abcd"},
    ),
    "RedisRollDoesNotEnd": Case(
        {f'kube_statefulset_status_replicas_updated{{{POOL}, statefulset="redis-replica"}}': "15x240"},
        {f'kube_statefulset_status_replicas_updated{{{POOL}, statefulset="redis-replica"}}': "3x60 16x180"},
        160,
        "warning",
        "1 pods of redis-replica still run what was before the update.",
        {"namespace": "redis-64gb", "statefulset": "redis-replica"},
        {f'kube_statefulset_replicas{{{POOL}, statefulset="redis-replica"}}': "16x240"},
    ),
    "RedisRepairWaits": Case(
        {WAITING: "3x240"},
        {WAITING: "3x10 0 3x10 0 3x10 0"},
        20,
        "warning",
        "Every repair waits, for 3 things, at the rule replication.attach_replicas.",
        {"namespace": "redis-64gb", "rule": "replication.attach_replicas"},
    ),
    "RedisCertificateEnds": Case(
        # After 22 and after 24 days.
        {ENDS: "1900800x240"},
        {ENDS: "2073600x240"},
        10,
        "warning",
        "The certificate of the pods ends in 21d 23h 50m 0s, and should have been renewed by now.",
        POOL_LABELS,
    ),
    "RedisPairInOneZone": Case(
        pair("us-east-1a"),
        pair("us-east-1b"),
        10,
        "warning",
        "2 copies of shard 3 are in us-east-1a.",
        {"namespace": "redis-64gb", "shard": "3", "zone": "us-east-1a"},
    ),
}

PLANNED: dict[str, dict[str, str]] = {
    "RedisMasterWithoutReplica": {FORMING: "1x240"},
    "RedisManyPodsDown": {FORMING: "1x240"},
    "RedisRepairNotRun": {FORMING: "1x240"},
    "RedisRepairWaits": {FORMING: "1x240"},
}
"""Alerts that a Job of an update keeps quiet, with the series of that Job."""

WITHOUT_KUBERNETES: dict[str, Case] = {
    "RedisRepairNotRun": replace(
        CASES["RedisRepairNotRun"],
        fires={f'{TOLD}_last_success_timestamp_seconds{{{POOL}, phase="repair"}}': "120x240"},
        quiet={f'{TOLD}_last_success_timestamp_seconds{{{POOL}, phase="repair"}}': "300x240"},
    ),
    "RedisJobFailed": replace(
        CASES["RedisJobFailed"],
        fires={f'{TOLD}_exit_status{{{POOL}, phase="form"}}': "2x240"},
        # Kubernetes knows the Jobs of now, of which none has failed.
        quiet={
            f'{TOLD}_exit_status{{{POOL}, phase="form"}}': "2x240",
            f'kube_job_status_failed{{{POOL}, job_name="images-redis-64gb-form-0123abcd"}}': "0x240",
        },
        summary="Job form of an update has failed.",
        labels={"namespace": "redis-64gb", "job_name": "form"},
    ),
}
"""Alerts that the reconciler's own words make fire where nobody asks Kubernetes."""

DAY = 86400


def shown(pod: str, begin: int, end: int) -> dict[str, str]:
    """The certificate that a pod shows: it holds from one day to another, counted from the test's beginning."""
    where = f'{{{POOL}, phase="repair", pod="{pod}"}}'
    return {
        f"{TOLD}_certificate_{at}_timestamp_seconds{where}": f"{days * DAY}x240"
        for at, days in (("begin", begin), ("end", end))
    }


def ends(begin: int, fires: int, quiet: int, says: str) -> Case:
    """One of two pods shows a certificate that ends after so many days, the other one that was renewed."""
    return replace(
        CASES["RedisCertificateEnds"],
        fires=shown("redis-master-0", begin, fires),
        quiet=shown("redis-master-0", begin, quiet),
        both=shown("redis-replica-0", -1, 729),
        summary=f"The certificate of the pods ends in {says}, and should have been renewed by now.",
    )


SHOWN_CERTIFICATES = {
    # The stack's own authority signs for two years.
    "of two years": ends(-701, 29, 31, "28d 23h 50m 0s"),
    # cert-manager's, where its own series is missing: three months, of which one is left when it is renewed.
    "of three months": ends(-70, 20, 24, "19d 23h 50m 0s"),
    # Such as a given Secret has that is exchanged every few days.
    "of twelve days": ends(-9, 2, 4, "1d 23h 50m 0s"),
    # *Repair* knows one that has ended by nothing else.
    "that has ended": ends(-10_000, -1, 3_000, "-1d 0h 10m 0s"),
}
"""What *repair* says of certificates, whoever signed them."""

RESTARTS = f'kube_pod_container_status_restarts_total{{{M0}, container="redis"}}'
WITH_KUBERNETES: dict[str, Case] = {
    "RedisCrashLoop": replace(
        CASES["RedisCrashLoop"],
        fires={RESTARTS: "0 1 2 3x240"},
        # Three updates within minutes have rolled the pod.
        quiet={RESTARTS: "0x240", **CASES["RedisCrashLoop"].fires},
    )
}
"""Alerts that Kubernetes knows better than the exporter."""
