"""How Prometheus finds the exporters and the rules, and Grafana the dashboard. Pure: plan -> Kubernetes objects."""

from typing import Any

import yaml

from components.config.choices import Prometheus
from components.config.settings import Settings
from components.manifests import keys, names
from components.manifests.exporter import METRICS_PORT
from components.manifests.manifest import Manifest, kubernetes_object
from components.manifests.monitoring.dashboard import dashboard_json
from components.manifests.monitoring.rules import rule_groups
from components.plan.plan import Plan

RULES_NAME = "redis-alert-rules"
RULES_KEY = "redis-image-cache.rules.yml"
DASHBOARD_NAME = "redis-dashboard"
DASHBOARD_LABEL = {"grafana_dashboard": "1"}
"""What the sidecar of Grafana's Helm chart looks for."""
SCRAPE_INTERVAL = "15s"
_GROUP = "monitoring.coreos.com/v1"


def monitoring(settings: Settings, plan: Plan) -> tuple[Manifest, ...]:
    """Nothing without an exporter: every rule asks for its metrics.

    They come before the pods. Whether the cluster has the operator's kinds is asked before
    (components/resources/definitions.py).
    """
    if not settings.monitoring.exporter:
        return ()
    groups = rule_groups(settings, plan)
    dashboard = _config_map(
        "dashboard",
        DASHBOARD_NAME,
        {f"{plan.pool}.json": dashboard_json(settings, plan)},
        DASHBOARD_LABEL,
    )
    if settings.monitoring.prometheus is Prometheus.OPERATOR:
        release = {"release": settings.monitoring.release}
        return (_pod_monitor(release), _operator_object("PrometheusRule", "alert-rules", release, groups), dashboard)
    text = yaml.safe_dump(groups, sort_keys=False, width=10_000, allow_unicode=True)
    return (_config_map("alert-rules", RULES_NAME, {RULES_KEY: text}), dashboard)


def _pod_monitor(release: dict[str, str]) -> Manifest:
    """A PodMonitor and no ServiceMonitor: a Service for the exporters would be there for this alone."""
    spec = {
        "selector": {"matchLabels": names.APP_LABEL},
        "podMetricsEndpoints": [{"port": METRICS_PORT, "interval": SCRAPE_INTERVAL}],
    }
    return _operator_object("PodMonitor", "pod-monitor", release, spec)


def _operator_object(kind: str, key: str, release: dict[str, str], spec: dict[str, Any]) -> Manifest:
    body = kubernetes_object(
        _GROUP, kind, name=names.APP_LABEL["app"], namespace=keys.NAMESPACE, labels=release, spec=spec
    )
    return Manifest(key, body)


def _config_map(key: str, name: str, data: dict[str, str], labels: dict[str, str] | None = None) -> Manifest:
    """Under a name of its own, so that a Prometheus can mount it. The old one goes first: Grafana's sidecar deletes a
    dashboard's file when a ConfigMap with a file of that name goes, even if another one has brought it meanwhile."""
    body = kubernetes_object("v1", "ConfigMap", name=name, namespace=keys.NAMESPACE, labels=labels, data=data)
    return Manifest(key, body, delete_before_replace=True)
