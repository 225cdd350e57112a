"""Watched stacks for the tests of rules and panels."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from components.config.settings import Settings
from components.manifests.monitoring.rules import rule_groups
from components.plan.plan import Plan, derive_plan
from preview.evaluate import decide_stack
from sandbox.monitoring.pushgateway import ADDRESS

POOL = "redis-64gb"


@cache
def watched(name: str = "prod", prometheus: str = "annotations") -> tuple[Settings, Plan]:
    """Settings and plan of a stack with all that can be watched."""
    wanted = {"monitoring.exporter": "true", "monitoring.prometheus": prometheus, "monitoring.pushgateway": ADDRESS}
    if name == "prod":
        wanted |= {"tls.mode": "required", "tls.issuer": "redis-ca"}
    settings = decide_stack(name, wanted).settings
    return settings, derive_plan(settings)


def rules_of(name: str = "prod") -> list[dict[str, Any]]:
    """Every rule of a stack, recording rules first."""
    return [rule for group in rule_groups(*watched(name))["groups"] for rule in group["rules"]]


def written(folder: Path, name: str = "prod") -> Path:
    """The rules file of a stack, in a folder."""
    path = folder / f"{name}.rules.yml"
    path.write_text(yaml.safe_dump(rule_groups(*watched(name)), sort_keys=False))
    return path


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """What Debian's `promtool` says; `make test` installs it."""
    return subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, timeout=300, check=False)


KNOWN = {
    "exporter": """
        redis_blocked_clients redis_cluster_current_epoch redis_cluster_known_nodes redis_cluster_size
        redis_cluster_slots_assigned redis_cluster_slots_ok redis_cluster_state redis_commands_latencies_usec_bucket
        redis_commands_processed_total redis_max_clients redis_connected_clients
        redis_connected_slave_offset_bytes redis_cpu_sys_main_thread_seconds_total
        redis_cpu_user_main_thread_seconds_total redis_db_keys redis_evicted_keys_total redis_instance_info
        redis_keyspace_hits_total redis_keyspace_misses_total redis_mem_clients_slaves redis_mem_fragmentation_ratio
        redis_memory_max_bytes redis_memory_used_bytes redis_net_output_bytes_total redis_replica_resyncs_full redis_up
        redis_uptime_in_seconds
    """,
    "kube-state-metrics": """
        kube_cronjob_status_last_successful_time kube_job_status_active kube_job_status_failed kube_node_labels
        kube_pod_container_status_restarts_total kube_pod_info kube_pod_status_ready kube_statefulset_replicas
        kube_statefulset_status_replicas_updated
    """,
    "kubelet": "kubelet_volume_stats_capacity_bytes kubelet_volume_stats_used_bytes",
    "cert-manager": "certmanager_certificate_expiration_timestamp_seconds",
    "Pushgateway": """
        redis_image_cache_reconciler_exit_status redis_image_cache_reconciler_last_seen_timestamp_seconds
        redis_image_cache_reconciler_last_success_timestamp_seconds
        redis_image_cache_reconciler_slots redis_image_cache_reconciler_waiting
        redis_image_cache_reconciler_certificate_begin_timestamp_seconds
        redis_image_cache_reconciler_certificate_end_timestamp_seconds
    """,
    "Prometheus": "ALERTS up",
}
"""Source -> the series that it has and a rule or a panel may ask for. Those of the exporter are held against a real
scrape; those of kube-state-metrics and the kubelet are what the sandbox shows in their place, by the names of their
documentation."""


def series(expr: str) -> set[str]:
    """Names of all series that an expression asks for."""
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', '""', expr)
    bare = re.sub(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", "", bare)
    bare = re.sub(r"\{[^}]*\}", "", bare)
    bare = re.sub(r"\[[^\]]*\]", "", bare)
    words = set(re.findall(r"(?<![\w.])[a-zA-Z_:][\w:]*(?!\s*\()\b", bare))
    return {word for word in words if "_" in word or word in ("ALERTS", "up")} - {"group_left", "group_right"}
