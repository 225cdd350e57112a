"""What the sandbox's Prometheus is given: targets as an operator finds them, and rules in a hurry."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preview.resources import Resource
from sandbox.kubernetes.cluster import Cluster
from sandbox.kubernetes.manifests.base import decode
from sandbox.kubernetes.manifests.pod import PodSpec
from sandbox.kubernetes.nodes import pretend_nodes
from sandbox.kubernetes.pods import Pod
from sandbox.monitoring.hurry import in_a_hurry
from sandbox.monitoring.scraping import interval_s, monitored

PORTS = [{"name": "metrics", "containerPort": 9121}, {"name": "other", "containerPort": 1}]


class Network:
    ip = "10.244.0.7"


def pod(name: str, **labels: str) -> Pod:
    containers = [{"name": "exporter", "image": "oliver006/redis_exporter:v1.92.1", "ports": PORTS}]
    found = Pod(name, "pool", decode(PodSpec, {"containers": containers}, name), labels, ("StatefulSet", "pool", "web"))
    found.network = Network()  # type: ignore[assignment]
    return found


def monitor(namespace: str) -> Resource:
    spec = {"selector": {"matchLabels": {"app": "redis"}}, "podMetricsEndpoints": [{"port": "metrics"}]}
    inputs = {"kind": "PodMonitor", "metadata": {"name": "redis", "namespace": namespace}, "spec": spec}
    kind = "kubernetes:monitoring.coreos.com/v1:PodMonitor"
    return Resource(urn="urn", type=kind, name="m", depends_on=(), provider="kubernetes", inputs=inputs)


def test_a_pod_monitor_finds_the_named_port_of_pods_of_its_namespace_with_its_labels() -> None:
    cluster = Cluster(pretend_nodes())
    for item in (pod("redis-0", app="redis"), pod("web-0", app="web")):
        cluster.pods[item.key] = item
    (target,) = monitored(cluster, [monitor("pool")])
    assert target["targets"] == ["10.244.0.7:9121"]
    assert target["labels"] == {"namespace": "pool", "pod": "redis-0", "container": "exporter", "endpoint": "metrics"}
    assert monitored(cluster, [monitor("another")]) == []


def group(waits: str, looks_back: str) -> list[dict[str, Any]]:
    rule = {"alert": "A", "expr": f"rate(a[{looks_back}]) > 300", "for": waits}
    return [{"name": "g", "rules": [rule, {"record": "r", "expr": "a > 300"}]}]


@given(st.integers(1, 10_000), st.floats(1, 60), st.sampled_from([1.0, 15.0]))
def test_a_hurry_divides_what_is_waited_for_and_leaves_thresholds(seconds: int, hurry: float, interval: float) -> None:
    (found,) = in_a_hurry(group(f"{seconds}s", "1h"), hurry, interval)
    alert, recording = found["rules"]
    if hurry == 1:
        assert alert == group(f"{seconds}s", "1h")[0]["rules"][0]
    else:
        assert int(alert["for"].removesuffix("ms")) == pytest.approx(1000 * seconds / hurry, abs=1)
    assert alert["expr"].endswith(" > 300")
    assert recording == {"record": "r", "expr": "a > 300"}


def test_no_query_looks_back_less_than_four_scrapes() -> None:
    (found,) = in_a_hurry(group("300s", "1m"), 60, interval_s(60))
    assert "[12000ms])" in found["rules"][0]["expr"]
