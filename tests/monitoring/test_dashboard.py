"""The dashboard: one screen whose every query Prometheus can read, and asks only for what exists."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from PIL import Image

from components.manifests.monitoring.dashboard import dashboard_json, panels
from tests.monitoring.picture import TITLES, titles
from tests.monitoring.stacks import KNOWN, POOL, promtool, rules_of, series, watched

BOARD = json.loads(dashboard_json(*watched()))
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]]
_SCREEN_UNITS = 30
"""Rows of Grafana's grid, of 38 px each, that a screen of 1440 lines shows below the header."""


def test_prometheus_reads_every_query(tmp_path: Path) -> None:
    # promtool 2.42 reads expressions only as rules.
    rules = [{"record": f"panel_{number}", "expr": query} for number, query in enumerate(QUERIES)]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    checked = promtool("check", "rules", file)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_asks_only_for_series_that_exist_and_only_of_this_pool(query: str) -> None:
    known = {name for names in KNOWN.values() for name in names.split()}
    known |= {rule["record"] for rule in rules_of() if "record" in rule}
    assert series(query)
    assert series(query) <= known
    assert f'namespace="{POOL}"' in query


def test_it_is_one_screen_that_answers_four_questions() -> None:
    rows = [panel["title"] for panel in BOARD["panels"] if panel["type"] == "row"]
    assert rows == ["Is it healthy?", "Is it big enough?", "Is it balanced?", "What changed?"]
    assert max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in PANELS) <= _SCREEN_UNITS
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in PANELS)
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in PANELS}
    assert len(places) == len(PANELS)


def test_the_picture_in_the_readme_shows_the_panels_of_now() -> None:
    """`make picture` makes another."""
    with Image.open("docs/dashboard.png") as picture:
        assert picture.text[TITLES].splitlines() == titles()  # type: ignore[attr-defined]


def test_the_document_s_targets_and_alerts_are_drawn_in() -> None:
    drawn = {
        panel["title"]: [step["value"] for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]][1:]
        for panel in PANELS
    }
    assert drawn["Memory in use"] == [0.8, 0.9]
    assert drawn["Evictions"] == [1000]
    assert drawn["Core"] == [0.4, 0.8]
    assert drawn["Network"] == [0.7, 0.85]
    assert drawn["p95 inside Redis"] == [15, 100]
    assert drawn["Hit rate"] == [0.5, 0.8]
    assert drawn["Fragmentation"] == [1.5]
    graphs = [panel for panel in PANELS if panel["type"] == "timeseries"]
    assert all(panel["fieldConfig"]["defaults"]["custom"]["thresholdsStyle"]["mode"] == "dashed" for panel in graphs)


def test_every_panel_asks_the_data_source_that_the_reader_has_chosen() -> None:
    (variable,) = BOARD["templating"]["list"]
    assert variable["type"] == "datasource"
    for panel in PANELS:
        assert panel["datasource"]["uid"] == panel["targets"][0]["datasource"]["uid"] == f"${{{variable['name']}}}"
        assert panel["description"]


def test_the_screen_is_the_same_for_a_stack_without_nodes_of_its_own() -> None:
    assert list(panels(*watched("local"))) == list(panels(*watched()))
