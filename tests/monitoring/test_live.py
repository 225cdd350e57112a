"""A real Prometheus, in the sandbox, with the rendered targets and the rendered rules."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from components.manifests.monitoring.dashboard import panels
from tests.monitoring.live import POOL, Live, eventually, live
from tests.monitoring.stacks import KNOWN, rules_of, series, watched

pytestmark = pytest.mark.sandbox

PANELS = [panel for row in panels(*watched("local")).values() for panel in row]
UNSEEN = {"ALERTS"}
"""Series that are there only while something fires."""


@pytest.fixture(scope="module")
def running() -> Iterator[Live]:
    with live(f"watched-{os.getpid()}", lambda text: None) as found, found.load("images"):
        found.sandbox.trigger("redis-repair", wait=True)
        for series_name in ("kube_cronjob_status_last_successful_time", "redis_image_cache:hit_rate:ratio > 0"):
            eventually(lambda expr=series_name: bool(found.query(expr)), 60, series_name)  # type: ignore[misc]
        yield found


def test_every_pod_is_scraped_under_its_own_name_and_every_rule_works(running: Live) -> None:
    targets = running.ask("targets")["activeTargets"]
    assert {target["health"] for target in targets} == {"up"}
    scraped = [item["labels"]["pod"] for item in targets if item["scrapePool"] == "kubernetes-pods"]
    assert sorted(scraped) == running.pods()
    assert {item["labels"]["namespace"] for item in targets if "pod" in item["labels"]} == {POOL}
    rules = [rule for group in running.ask("rules")["groups"] for rule in group["rules"]]
    rendered = [rule.get("record") or rule["alert"] for rule in rules_of("local")]
    assert sorted(rule["name"] for rule in rules) == sorted(rendered)
    assert {rule["health"] for rule in rules} == {"ok"}


def test_every_series_that_a_rule_or_a_panel_asks_for_is_in_a_real_scrape(running: Live) -> None:
    asked = [rule["expr"] for name in ("local", "prod") for rule in rules_of(name)] + [panel.expr for panel in PANELS]
    named = set().union(*map(series, asked)) & {name for names in KNOWN.values() for name in names.split()}
    assert named - UNSEEN <= set(running.ask("label/__name__/values"))


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.title)
def test_every_panel_shows_data(running: Live, panel: object) -> None:
    expr = getattr(panel, "expr")  # noqa: B009
    assert running.query(expr), expr


def test_the_master_of_a_shard_is_the_one_of_now_and_not_the_one_of_the_pod_s_label(running: Live) -> None:
    before = {item["metric"]["pod"] for item in running.query("redis_image_cache:master:info")}
    assert before == set(running.pods(role="master"))


def test_nothing_fires_in_a_healthy_cluster(running: Live) -> None:
    assert running.fired(since=time.time() - 60) == set()
