"""How a Prometheus and a Grafana find what is rendered for them."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from components.config.load import settings_of
from components.manifests import names
from components.manifests.manifest import Manifest
from components.manifests.monitoring.rules import rule_groups
from components.manifests.pool import pool_manifests
from components.plan.plan import derive_plan
from tests.plan.stacks import PRODUCTION


def pool(**monitoring: Any) -> dict[str, Manifest]:
    settings = settings_of(kubeContext="kind", **PRODUCTION, monitoring=monitoring)
    return {item.key: item for item in pool_manifests(settings, derive_plan(settings))}


def annotations(found: dict[str, Manifest]) -> dict[str, str]:
    metadata: dict[str, Any] = found["redis-master"].body["spec"]["template"]["metadata"]
    return dict(metadata.get("annotations", {}))


WATCHING = {"pod-monitor", "alert-rules", "dashboard"}


def test_without_an_exporter_nothing_is_watched() -> None:
    for prometheus in ("operator", "annotations"):
        found = pool(prometheus=prometheus)
        assert not WATCHING & set(found)
        assert annotations(found) == {}


def test_the_operator_finds_the_exporters_and_the_rules_by_the_label_release() -> None:
    found = pool(exporter=True, prometheus="operator", release="watching")
    monitor, rules = found["pod-monitor"].body, found["alert-rules"].body
    assert (monitor["kind"], rules["kind"]) == ("PodMonitor", "PrometheusRule")
    assert monitor["metadata"]["labels"]["release"] == rules["metadata"]["labels"]["release"] == "watching"

    pod = found["redis-master"].body["spec"]["template"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    ports = {port["name"]: port["containerPort"] for item in pod["spec"]["containers"] for port in item["ports"]}
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert ports[endpoint["port"]] == names.EXPORTER_PORT
    # Annotations beside it would have a Prometheus with both configurations count everything twice.
    assert annotations(found) == {}


def test_a_prometheus_without_the_operator_finds_annotations_and_a_rules_file() -> None:
    found = pool(exporter=True)
    assert annotations(found) == {"prometheus.io/scrape": "true", "prometheus.io/port": str(names.EXPORTER_PORT)}
    assert "pod-monitor" not in found
    assert all(not item.body["apiVersion"].startswith("monitoring.coreos.com") for item in found.values())
    (text,) = found["alert-rules"].body["data"].values()
    settings = settings_of(kubeContext="kind", **PRODUCTION, monitoring={"exporter": True})
    assert yaml.safe_load(text) == rule_groups(settings, derive_plan(settings))


@pytest.mark.parametrize("prometheus", ["operator", "annotations"])
def test_grafana_finds_the_dashboard_by_its_label_and_never_two_of_one_name(prometheus: str) -> None:
    board = pool(exporter=True, prometheus=prometheus)["dashboard"]
    assert board.body["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert board.delete_before_replace
    for text in board.body["data"].values():
        assert json.loads(text)["uid"]


@pytest.mark.parametrize("prometheus", ["operator", "annotations"])
def test_what_watches_is_made_before_a_pod_is_touched(prometheus: str) -> None:
    found = pool(exporter=True, prometheus=prometheus)
    made = WATCHING & set(found)
    for key in ("check", "release", "redis-master", "redis-replica"):
        assert made <= set(found[key].after), key


def test_the_exporter_sends_the_password_to_no_other_address() -> None:
    containers = pool(exporter=True)["redis-master"].body["spec"]["template"]["spec"]["containers"]
    (exporter,) = (item for item in containers if item["name"] == "exporter")
    given = {item["name"]: item.get("value") for item in exporter["env"]}
    assert given["REDIS_EXPORTER_DISABLE_SCRAPE_ENDPOINT"] == "true"
    version = exporter["image"].rpartition(":v")[2].split(".")
    # The first version that knows the switch; before, it is ignored in silence.
    assert tuple(map(int, version)) >= (1, 83, 0)
