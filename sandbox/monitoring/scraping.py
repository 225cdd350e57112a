"""What Prometheus scrapes, and which rules it has: read from what was rendered, as a cluster's Prometheus reads it.

Annotated pods are found by the scrape configuration of Prometheus's Helm chart, which also makes every label of a pod
one of its series. A PodMonitor is found as the operator finds it, which makes only `namespace`, `pod` and a few more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml

from preview.resources import Resource
from sandbox.host.addresses import with_port
from sandbox.kubernetes.cluster import Cluster
from sandbox.kubernetes.manifests.objects import ConfigMap
from sandbox.kubernetes.pods import Pod

INTERVAL_S = 15.0
"""Between two scrapes, and between two evaluations of the rules."""
TIMEOUT_S = 10.0
"""Prometheus's own default, and never longer than the interval."""
_INTERVAL_MIN_S = 3.0
"""Also how long a scrape may take. A busy machine answers late, and a missed scrape ends an alert's wait."""
_RULES_SUFFIX = ".rules.yml"
_META = "__meta_kubernetes_"


def interval_s(hurry: float) -> float:
    """The interval with every time divided by `hurry`."""
    return max(_INTERVAL_MIN_S, INTERVAL_S / hurry)


def configuration(shown_at: str, told_at: str, rules: str, hurry: float) -> dict[str, Any]:
    """Prometheus's configuration; `shown_at` (host:port) is where the sandbox shows targets and its own series, and
    `told_at` where the Pushgateway is."""
    interval = interval_s(hurry)

    def found_at(path: str) -> dict[str, Any]:
        return {"http_sd_configs": [{"url": f"http://{shown_at}{path}", "refresh_interval": f"{interval:g}s"}]}

    own = [{"targets": [shown_at]}]
    return {
        "global": {
            "scrape_interval": f"{interval:g}s",
            "scrape_timeout": f"{min(TIMEOUT_S, interval):g}s",
            "evaluation_interval": f"{interval:g}s",
        },
        "rule_files": [rules],
        "scrape_configs": [
            {
                "job_name": "kubernetes-pods",
                "honor_labels": True,
                **found_at("/targets/pods"),
                "relabel_configs": [
                    {"source_labels": [f"{_META}pod_annotation_prometheus_io_scrape"], "action": "keep", "regex": True},
                    {"action": "labelmap", "regex": f"{_META}pod_label_(.+)"},
                    {"source_labels": [f"{_META}namespace"], "target_label": "namespace"},
                    {"source_labels": [f"{_META}pod_name"], "target_label": "pod"},
                    {"source_labels": [f"{_META}pod_node_name"], "target_label": "node"},
                ],
            },
            {"job_name": "pod-monitors", **found_at("/targets/pod-monitors")},
            {"job_name": "kube-state-metrics", "honor_labels": True, "static_configs": own},
            # Its own labels say whose Job it was that told it something.
            {"job_name": "pushgateway", "honor_labels": True, "static_configs": [{"targets": [told_at]}]},
            *(
                {"job_name": name, "honor_labels": True, "metrics_path": f"/{name}/metrics", "static_configs": own}
                for name in ("kubelet", "cert-manager")
            ),
        ],
    }


def annotated(cluster: Cluster) -> list[dict[str, Any]]:
    """Pods that say where they are to be scraped, with the labels by which the chart's configuration knows them."""
    return [
        {
            "targets": [with_port(str(pod.ip), pod.annotations["prometheus.io/port"])],
            "labels": {
                **{f"{_META}pod_label_{_label(name)}": value for name, value in pod.labels.items()},
                **{f"{_META}pod_annotation_{_label(name)}": value for name, value in pod.annotations.items()},
                f"{_META}namespace": pod.namespace,
                f"{_META}pod_name": pod.name,
                f"{_META}pod_node_name": pod.node or "",
            },
        }
        for pod in _running(cluster)
        if "prometheus.io/port" in pod.annotations
    ]


def monitored(cluster: Cluster, applied: Iterable[Resource]) -> list[dict[str, Any]]:
    """What PodMonitors select, with the labels that the operator gives."""
    found = []
    for resource in applied:
        if resource.kind != "PodMonitor":
            continue
        spec, metadata = resource.inputs["spec"], resource.inputs["metadata"]
        wanted: Mapping[str, str] = spec["selector"]["matchLabels"]
        for pod in _running(cluster):
            if pod.namespace == metadata.get("namespace") and wanted.items() <= pod.labels.items():
                found += [_of_monitor(pod, container, port, name) for container, port, name in _ports(pod, spec)]
    return found


def _of_monitor(pod: Pod, container: str, port: int, name: str) -> dict[str, Any]:
    labels = {"namespace": pod.namespace, "pod": pod.name, "container": container, "endpoint": name}
    return {"targets": [with_port(str(pod.ip), port)], "labels": labels}


def _ports(pod: Pod, spec: Mapping[str, Any]) -> Iterator[tuple[str, int, str]]:
    wanted = {endpoint["port"] for endpoint in spec["podMetricsEndpoints"]}
    for container in pod.spec.containers:
        for port in container.ports:
            if port.name in wanted:
                yield container.name, port.container_port, str(port.name)


def _running(cluster: Cluster) -> Iterator[Pod]:
    return (pod for pod in cluster.pods.values() if pod.ip is not None and not pod.finished)


def _label(name: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_]", "_", name)


def rule_groups(cluster: Cluster, applied: Iterable[Resource]) -> list[dict[str, Any]]:
    """Groups of all rules files in ConfigMaps, and of all PrometheusRules."""
    texts = [
        text
        for config_map in cluster.all(ConfigMap)
        for name, text in config_map.data.items()
        if name.endswith(_RULES_SUFFIX)
    ]
    found = [group for text in texts for group in yaml.safe_load(text)["groups"]]
    for resource in applied:
        if resource.kind == "PrometheusRule":
            found += resource.inputs["spec"]["groups"]
    return found
