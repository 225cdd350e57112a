"""Recording rules: figures that alerts, the dashboard and right-sizing ask for, computed once. Pure.

Every series has the label `namespace`, which is the pool, and where it is about one pod the label `pod`. Prometheus
must set both on what it scrapes; the operator and Prometheus's Helm chart do.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from components.plan.alerting import HIT_RATE, MEMORY_USED, Alerting

PREFIX = "redis_image_cache"
RECONCILER = f"{PREFIX}_reconciler"
"""How the series begin that the reconciler tells a Pushgateway (reconciler/run_report.py)."""
_IMAGE_COMMANDS = "get|getex|set|setex|psetex"
_PLANNED_JOBS = ".*-(release|form|rollout-.+)-[^-]+"
"""The Jobs of an update; their names end in what Pulumi makes up."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording rule."""

    name: str
    """Without the project's prefix and the level: `hit_rate:ratio`."""
    expr: str

    @property
    def record(self) -> str:
        """The series it makes."""
        return f"{PREFIX}:{self.name}"

    def body(self) -> dict[str, Any]:
        """As a rules file has it."""
        return {"record": self.record, "expr": self.expr}


def recorded(name: str) -> str:
    """The series of a rule of this module."""
    return f"{PREFIX}:{name}"


def recordings(pool: str, alerting: Alerting) -> tuple[Recording, ...]:
    """The rules of a pool, each after those it asks for."""
    return tuple(Recording(name, expr) for name, expr in _rules(f'namespace="{pool}"', alerting))


def _rules(here: str, alerting: Alerting) -> Iterator[tuple[str, str]]:
    def of_pod(expr: str) -> str:
        return f"max by (namespace, pod) ({expr})"

    def of_pool(expr: str) -> str:
        return f"sum by (namespace) ({expr})"

    master = recorded("master:info")
    # Prometheus's Helm chart gives every series the labels of its pod, and `role` is one of them: the *initial* role.
    # Where it does not honour the exporter's labels, the role of now is `exported_role`.
    now = f'redis_instance_info{{{here}, exported_role="master"}}'
    yield "master:info", of_pod(f'{now} or redis_instance_info{{{here}, role="master", exported_role=""}}')
    yield (
        "planned_change:bool",
        f'max by (namespace) (kube_job_status_active{{{here}, job_name=~"{_PLANNED_JOBS}"}}) > bool 0',
    )
    hits, misses = (of_pool(f"rate(redis_keyspace_{what}_total{{{here}}}[5m])") for what in ("hits", "misses"))
    yield _bare(HIT_RATE), f"{hits} / ({hits} + {misses})"
    yield "lookups:rate5m", f"{hits} + {misses}"
    yield "commands:rate5m", of_pool(f"rate(redis_commands_processed_total{{{here}}}[5m])")
    yield "evictions:rate5m", of_pool(f"rate(redis_evicted_keys_total{{{here}}}[5m])")
    yield "memory_use:ratio", of_pod(f"redis_memory_used_bytes{{{here}}} / redis_memory_max_bytes{{{here}}}")
    memory = of_pod(f"redis_memory_used_bytes{{{here}}}")
    # Of masters alone: a replica holds the same images. `python -m preview --measured-from` reads this figure.
    yield _bare(MEMORY_USED), of_pool(f"{memory} and on (namespace, pod) {master}")
    cores = (f"rate(redis_cpu_{kind}_main_thread_seconds_total{{{here}}}[5m])" for kind in ("user", "sys"))
    yield "core_use:ratio", of_pod(" + ".join(cores))
    yield "sent_bytes:rate5m", of_pod(f"rate(redis_net_output_bytes_total{{{here}}}[5m])")
    yield "network_use:ratio", _network(here, alerting)
    buckets = f'rate(redis_commands_latencies_usec_bucket{{{here}, cmd=~"{_IMAGE_COMMANDS}"}}[5m])'
    yield "latency_p95:ms", f"histogram_quantile(0.95, sum by (namespace, le) ({buckets})) / 1000"
    in_sync = f'count by (namespace, pod) (redis_connected_slave_offset_bytes{{{here}, slave_state="online"}})'
    yield (
        "replicas_missing:count",
        f"{alerting.replicas_per_master} * {master} - on (namespace, pod) ({in_sync} or {master} * 0)",
    )
    sent = f"({recorded('sent_bytes:rate5m')}{{{here}}} and on (namespace, pod) {master})"
    yield "traffic_imbalance:ratio", f"{sent} / on (namespace) group_left () avg by (namespace) ({sent})"
    # The reconciler alone counts the slots of each master; without a Pushgateway this has no data.
    slots = of_pod(f'{RECONCILER}_slots{{{here}, phase="repair"}}')
    yield "slot_imbalance:ratio", f"{slots} / on (namespace) group_left () avg by (namespace) ({slots})"
    keys = f"({of_pod(f'sum without (db) (redis_db_keys{{{here}}})')} and on (namespace, pod) {master})"
    yield "key_imbalance:ratio", f"{keys} / on (namespace) group_left () avg by (namespace) ({keys})"
    yield "bytes_per_lookup:ratio", f"sum by (namespace) ({sent}) / {recorded('lookups:rate5m')}"
    if alerting.usd_per_second is not None:
        yield "usd_per_1000_lookups:ratio", f"{1000 * alerting.usd_per_second:.6g} / {recorded('lookups:rate5m')}"


def _bare(series: str) -> str:
    return series.removeprefix(f"{PREFIX}:")


def _network(here: str, alerting: Alerting) -> str:
    """Of a node's sustained network, what its pods send; where nodes are not known, of what is assumed for a pod."""
    sent = f"{recorded('sent_bytes:rate5m')}{{{here}}}"
    if alerting.usd_per_second is None:
        return f"{sent} / {alerting.network_bytes_per_second:.0f}"
    nodes = f'max by (namespace, pod, node) (kube_pod_info{{{here}, node!=""}})'
    return (
        f"sum by (namespace, node) ({sent} * on (namespace, pod) group_left (node) {nodes})"
        f" / {alerting.network_bytes_per_second:.0f}"
    )
