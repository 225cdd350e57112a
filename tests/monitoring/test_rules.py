"""Rules are valid, name only what exists, and every alert can be looked up."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from components.manifests.monitoring.recording import PREFIX
from components.plan.alerting import HIT_RATE, derive_alerting
from preview.prometheus import hit_rate_of
from tests.monitoring.stacks import KNOWN, POOL, promtool, rules_of, series, watched, written
from tests.plan.stacks import option_1

RUNBOOK = Path("docs/runbook.md").read_text()
NAMED = {name for names in KNOWN.values() for name in names.split()}
ALERTS = [rule for rule in rules_of() if "alert" in rule]


@pytest.mark.parametrize("name", ["prod", "local"])
def test_prometheus_reads_the_rules(name: str, tmp_path: Path) -> None:
    checked = promtool("check", "rules", written(tmp_path, name))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{len(rules_of(name))} rules found" in checked.stdout


def test_a_rule_asks_only_for_series_that_exist_or_that_a_rule_before_it_makes() -> None:
    made: set[str] = set()
    for rule in rules_of():
        assert series(rule["expr"]) <= NAMED | made, rule
        if "record" in rule:
            assert rule["record"].startswith(f"{PREFIX}:")
            made.add(rule["record"])


def test_every_known_series_is_asked_for() -> None:
    from tests.monitoring.test_dashboard import QUERIES

    assert set().union(*(series(rule["expr"]) for rule in rules_of()), *map(series, QUERIES)) >= NAMED


def test_every_selector_of_the_pool_s_own_series_names_the_pool() -> None:
    for rule in rules_of():
        for selector in re.findall(r"\b(?:redis_|kube_|kubelet_|up\b)\w*\{([^}]*)\}", rule["expr"]):
            assert f'namespace="{POOL}"' in selector or selector.startswith("label_topology"), rule


def test_every_alert_has_its_section_in_the_runbook_and_every_section_its_alert() -> None:
    chapter = RUNBOOK.partition("\n## Alerts\n")[2].partition("\n## ")[0]
    sections = re.findall(r"^### (\w+)$", chapter, re.MULTILINE)
    assert sections == [alert["alert"] for alert in ALERTS]
    for text in re.split(r"^### ", chapter, flags=re.MULTILINE)[1:]:
        assert [line.split("*")[1] for line in text.splitlines() if line.startswith("- *")] == [
            "Look:",
            "Decide:",
            "Do:",
        ], text


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: str(alert["alert"]))
def test_an_alert_says_how_bad_it_is_and_with_which_value_and_where_to_read_on(alert: dict[str, object]) -> None:
    labels, annotations = alert["labels"], alert["annotations"]
    assert isinstance(labels, dict)
    assert isinstance(annotations, dict)
    assert labels["severity"] in ("critical", "warning")
    assert "$value" in annotations["summary"] or alert["alert"] in (
        "RedisDown",
        "RedisMetricsMissing",
        "RedisPodNotReady",
        "RedisJobFailed",
    )
    assert annotations["runbook_url"] == f"docs/runbook.md#{str(alert['alert']).lower()}"


def test_the_thresholds_for_the_document_s_load_are_the_document_s() -> None:
    settings, plan = watched()
    found = derive_alerting(settings, plan)
    assert (found.memory_share, found.evictions_per_second, found.cpu_share) == (0.9, 1000, 0.8)
    assert (found.network_share, found.latency_ms, found.hit_rate) == (0.85, 100, 0.5)
    assert found.fragmentation == 1.5


def test_a_stack_that_is_sized_for_few_hits_is_not_alerted_of_them() -> None:
    from components.plan.plan import derive_plan

    for hit_rate in (0.0, 0.3, 0.6, 0.8, 0.99):
        settings = option_1(total="4TB", hitRate=hit_rate)
        assert derive_alerting(settings, derive_plan(settings)).hit_rate <= min(0.5, hit_rate)


@pytest.mark.parametrize(("rates", "average"), [("_ NaN NaN 0.5 0.7 NaN", 0.6), ("0.8x5", 0.8)])
def test_minutes_in_which_nobody_asks_leave_the_day_its_hit_rate(tmp_path: Path, rates: str, average: float) -> None:
    expected = [{"labels": '{namespace="redis-64gb"}', "value": average}]
    asked = {"expr": hit_rate_of("redis-64gb"), "eval_time": "5m", "exp_samples": expected}
    series = {"series": f'{HIT_RATE}{{namespace="redis-64gb"}}', "values": rates}
    test = {"interval": "1m", "input_series": [series], "promql_expr_test": [asked]}
    path = tmp_path / "tests.yml"
    path.write_text(yaml.safe_dump({"rule_files": [], "evaluation_interval": "1m", "tests": [test]}))
    tested = promtool("test", "rules", path)
    assert tested.returncode == 0, tested.stdout + tested.stderr
