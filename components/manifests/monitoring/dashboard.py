"""The dashboard: one screen that answers whether the cache is healthy, big enough and balanced, and what changed.

The sizing document's targets and alerts are drawn in. Pure: plan -> JSON as Grafana reads it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from components.config.formats import memory
from components.config.settings import Settings
from components.manifests.monitoring.alerts import SLOTS
from components.manifests.monitoring.recording import RECONCILER, recorded
from components.plan import alerting as targets
from components.plan.alerting import Alerting, derive_alerting
from components.plan.plan import Plan

if TYPE_CHECKING:
    from grafana_foundation_sdk.models.dashboard import Threshold

_DATASOURCE = "datasource"
_GOOD, _LOOK, _BAD = "green", "yellow", "red"
_STAT_HEIGHT = 4
_GRAPH_HEIGHT = 6


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel, before it is Grafana's: what it asks, in which unit, and the colour from each value on."""

    title: str
    description: str
    expr: str
    legend: str
    unit: str
    steps: tuple[tuple[float | None, str], ...]
    is_stat: bool = False
    span: int = 4


def panels(settings: Settings, plan: Plan) -> dict[str, tuple[Panel, ...]]:
    """Row -> its panels."""
    is_told = settings.monitoring.pushgateway is not None
    here, alerting = f'namespace="{plan.pool}"', derive_alerting(settings, plan)
    return {
        "Is it healthy?": tuple(_health(here, alerting, is_told)),
        "Is it big enough?": tuple(_size(here, settings, plan, alerting)),
        "Is it balanced?": tuple(_balance(here, alerting, is_told)),
        "What changed?": tuple(_changes(here)),
    }


def _health(here: str, alerting: Alerting, is_told: bool) -> Iterator[Panel]:
    def stat(
        title: str, text: str, expr: str, steps: tuple[tuple[float | None, str], ...], unit: str = "short"
    ) -> Panel:
        return Panel(title, text, expr, "", unit, steps, is_stat=True, span=4 if is_told else 6)

    yield stat(
        "Alerts that fire",
        "Their names and what to do are in docs/runbook.md.",
        f'count(ALERTS{{{here}, alertstate="firing"}}) or vector(0)',
        ((None, _GOOD), (1, _BAD)),
    )
    yield stat(
        "Slots that are served",
        f"Of {SLOTS}.",
        f"max(redis_cluster_slots_ok{{{here}}})",
        ((None, _BAD), (SLOTS, _GOOD)),
    )
    yield stat(
        "Pods that answer",
        f"Of {alerting.pods}.",
        f"count(max by (pod) (redis_up{{{here}}}) == 1)",
        ((None, _BAD), (alerting.pods - alerting.pods_down, _LOOK), (alerting.pods, _GOOD)),
    )
    yield stat(
        "Replicas that are not in sync",
        "Summed over all masters. Until it is zero, another fault may lose a shard.",
        f"sum({recorded('replicas_missing:count')}{{{here}}})",
        ((None, _GOOD), (1, _LOOK)),
    )
    if is_told:
        yield stat(
            "Since the last repair",
            "That ended with nothing left to do. One begins every minute.",
            f'time() - max({RECONCILER}_last_success_timestamp_seconds{{{here}, phase="repair"}})',
            ((None, _GOOD), (alerting.repair_seconds / 3, _LOOK), (alerting.repair_seconds, _BAD)),
            "s",
        )
        yield stat(
            "Repair waits for",
            "Things that must come true by themselves; the log of the last repair has them.",
            f'sum({RECONCILER}_waiting{{{here}, phase="repair"}})',
            ((None, _GOOD), (1, _LOOK)),
        )


def _size(here: str, settings: Settings, plan: Plan, alerting: Alerting) -> Iterator[Panel]:
    def within(target: Sequence[float], alert: float) -> tuple[tuple[float | None, str], ...]:
        return (None, _GOOD), (target[1] / 100, _LOOK), (alert, _BAD)

    yield Panel(
        "Memory in use",
        f"Of maxmemory. Target {_range(targets.MEMORY_TARGET_PERCENT)}. The plan expects "
        f"{memory(plan.working_set.own.size_bytes)} in all.",
        f"{recorded('memory_use:ratio')}{{{here}}} and on (namespace, pod) {recorded('master:info')}",
        "{{pod}}",
        "percentunit",
        within(targets.MEMORY_TARGET_PERCENT, alerting.memory_share),
    )
    yield Panel(
        "Evictions",
        "Images that go before their time. Target none.",
        f"{recorded('evictions:rate5m')}{{{here}}}",
        "images/s",
        "short",
        ((None, _GOOD), (alerting.evictions_per_second, _BAD)),
    )
    yield Panel(
        "Core",
        f"Of the one core that Redis's thread can use. Target {_range(targets.CPU_TARGET_PERCENT)}.",
        f"{recorded('core_use:ratio')}{{{here}}}",
        "{{pod}}",
        "percentunit",
        within(targets.CPU_TARGET_PERCENT, alerting.cpu_share),
    )
    yield Panel(
        "Network",
        f"Sent, of {plan.link_gbps:g} Gbps. Target {_range(targets.NETWORK_TARGET_PERCENT)}.",
        f"{recorded('network_use:ratio')}{{{here}}}",
        "{{node}}{{pod}}",
        "percentunit",
        within(targets.NETWORK_TARGET_PERCENT, alerting.network_share),
    )
    yield Panel(
        "p95 inside Redis",
        f"Of commands with images. Target below {targets.LATENCY_TARGET_MS} ms. Clients wait for the network besides.",
        f"{recorded('latency_p95:ms')}{{{here}}}",
        "p95",
        "ms",
        ((None, _GOOD), (targets.LATENCY_TARGET_MS, _LOOK), (alerting.latency_ms, _BAD)),
    )
    yield Panel(
        "Hit rate",
        f"Target above {targets.HIT_RATE_TARGET:.0%}. The config expects {settings.workload.hit_rate:.0%}.",
        f"{recorded('hit_rate:ratio')}{{{here}}}",
        "hits",
        "percentunit",
        ((None, _BAD), (alerting.hit_rate, _LOOK), (targets.HIT_RATE_TARGET, _GOOD)),
    )


def _balance(here: str, alerting: Alerting, is_told: bool) -> Iterator[Panel]:
    span = 6 if is_told else 8
    if is_told:
        yield Panel(
            "Slots of a shard over the mean",
            "As the last repair counted them. They are even after every update.",
            f"{recorded('slot_imbalance:ratio')}{{{here}}}",
            "{{pod}}",
            "none",
            ((None, _GOOD), (1.1, _LOOK)),
            span=span,
        )
    hot = ((None, _GOOD), (alerting.hot_shard_factor, _BAD))
    yield Panel(
        "Traffic of a shard over the mean",
        "One that stands out has images that are asked for much more often than others.",
        f"{recorded('traffic_imbalance:ratio')}{{{here}}}",
        "{{pod}}",
        "none",
        hot,
        span=span,
    )
    yield Panel(
        "Keys of a shard over the mean",
        "Slots are even after every update, so keys are too, unless their names share hash tags.",
        f"{recorded('key_imbalance:ratio')}{{{here}}}",
        "{{pod}}",
        "none",
        hot,
        span=span,
    )
    yield Panel(
        "Fragmentation",
        "Resident memory over data. Target {:g} to {:g}.".format(*targets.FRAGMENTATION_TARGET),
        f"max by (pod) (redis_mem_fragmentation_ratio{{{here}}})",
        "{{pod}}",
        "none",
        ((None, _GOOD), (alerting.fragmentation, _BAD)),
        span=span,
    )


def _changes(here: str) -> Iterator[Panel]:
    plain: tuple[tuple[float | None, str], ...] = ((None, _GOOD),)
    for title, text, expr, legend in (
        ("Lookups", "A second, hits and misses.", f"{recorded('lookups:rate5m')}{{{here}}}", "lookups/s"),
        (
            "Failovers",
            "The cluster's epoch rises with each failover and with each hand-over.",
            f"max(redis_cluster_current_epoch{{{here}}})",
            "epoch",
        ),
        (
            "Uptime",
            "A line that falls to zero is a Redis that has restarted.",
            f"max by (pod) (redis_uptime_in_seconds{{{here}}})",
            "{{pod}}",
        ),
        (
            "Full resyncs",
            "Begun within the hour.",
            f"max by (pod) (increase(redis_replica_resyncs_full{{{here}}}[1h]))",
            "{{pod}}",
        ),
        ("Versions", "Pods of each version of Redis.", f"count by (redis_version) (redis_instance_info{{{here}}})", ""),
        (
            "Known nodes",
            "More than pods: another pool, or nodes that are gone.",
            f"max(redis_cluster_known_nodes{{{here}}})",
            "nodes",
        ),
    ):
        yield Panel(title, text, expr, legend, "s" if title == "Uptime" else "short", plain)


def _range(target: Sequence[float]) -> str:
    return f"{target[0]:g} to {target[1]:g} %"


def dashboard_json(settings: Settings, plan: Plan) -> str:
    """The dashboard as a file."""
    # Only a stack that is watched waits for the library.
    from grafana_foundation_sdk.builders import dashboard
    from grafana_foundation_sdk.cog.encoder import JSONEncoder

    board = (
        dashboard.Dashboard(f"Redis image cache, {plan.pool}")
        .uid(f"redis-image-cache-{plan.pool}")
        .tags(["redis-image-cache"])
        .refresh("30s")
        .time("now-1h", "now")
        .with_variable(dashboard.DatasourceVariable(_DATASOURCE).type("prometheus").label("Prometheus"))
    )
    for row, found in panels(settings, plan).items():
        board = board.with_row(dashboard.Row(row))
        for panel in found:
            board = board.with_panel(_built(panel))
    text: str = JSONEncoder(sort_keys=True, indent=1).encode(board.build())
    return text


def _built(panel: Panel) -> Any:
    from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
    from grafana_foundation_sdk.models.common import GraphThresholdsStyleMode
    from grafana_foundation_sdk.models.dashboard import DataSourceRef

    source = DataSourceRef(type_val="prometheus", uid=f"${{{_DATASOURCE}}}")
    query = (
        prometheus.Dataquery().ref_id("A").expr(panel.expr).legend_format(panel.legend or "__auto").datasource(source)
    )
    limits = dashboard.ThresholdsConfig().steps(_steps(panel))
    if panel.is_stat:
        stat_panel = stat.Panel().title(panel.title).description(panel.description).unit(panel.unit)
        stat_panel = stat_panel.datasource(source).thresholds(limits).with_target(query.instant())
        return stat_panel.span(panel.span).height(_STAT_HEIGHT)
    drawn = common.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED)
    graph = timeseries.Panel().title(panel.title).description(panel.description).unit(panel.unit).min(0)
    graph = graph.datasource(source).thresholds(limits).thresholds_style(drawn).with_target(query)
    return graph.span(panel.span).height(_GRAPH_HEIGHT)


def _steps(panel: Panel) -> list[Threshold]:
    from grafana_foundation_sdk.models.dashboard import Threshold

    return [Threshold(value=value, color=color) for value, color in panel.steps]
