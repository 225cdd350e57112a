"""A dashboard's page shows what Prometheus answers to the dashboard's own questions, and nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from components.manifests.monitoring.dashboard import dashboard_json, panels
from sandbox.monitoring.page import Window, page, written
from tests.monitoring.stacks import watched
from tests.preview.test_page import Tags

BOARD = json.loads(dashboard_json(*watched("local")))
ASKED = {panel.title: panel for row in panels(*watched("local")).values() for panel in row}
WINDOW = Window(1_790_000_000, 1_790_000_900)
SHOWN = re.compile(r'<section class="(\w+)" data-title="([^"]*)">(.*?)</section>', re.DOTALL)


class Answers:
    """In the place of a Prometheus: the same values for every question."""

    def __init__(self, now: float | None, then: Callable[[float], float] | None, *pods: str) -> None:
        self._now, self._then, self._pods = now, then, pods
        self.asked: list[str] = []

    def query(self, expr: str) -> list[dict[str, Any]]:
        self.asked.append(expr)
        return [] if self._now is None else [{"metric": {}, "value": [WINDOW.end, repr(self._now)]}]

    def query_range(self, expr: str, start: float, end: float, step: float) -> list[dict[str, Any]]:
        self.asked.append(expr)
        assert (start, end) == (WINDOW.start, WINDOW.end)
        if self._then is None:
            return []
        times = [start + step * number for number in range(int((end - start) / step) + 1)]
        values = [[at, repr(self._then(at - start))] for at in times]
        return [{"metric": {"pod": pod}, "values": values} for pod in self._pods or ("redis-master-0",)]


def shown(answers: Answers) -> dict[str, str]:
    """Title of a panel -> what the page has of it."""
    return {unescape(title): body for _, title, body in SHOWN.findall(page(BOARD, answers, WINDOW))}


def test_every_panel_is_there_and_asks_its_own_question() -> None:
    answers = Answers(1, lambda at: 0.5 + at / 9000)
    found = shown(answers)
    assert list(found) == list(ASKED)
    assert answers.asked == [panel.expr for panel in ASKED.values()]
    for title, panel in ASKED.items():
        assert panel.description in unescape(found[title])
        assert ("<svg" in found[title]) is not panel.is_stat


def test_what_prometheus_does_not_know_is_a_dash_and_no_zero() -> None:
    for title, body in shown(Answers(None, None)).items():
        assert '<b class="none">–</b>' in body, title
        assert "<svg" not in body


@pytest.mark.parametrize(("pods", "color"), [(6, "#2e8b57"), (5, "#d08700"), (4, "#c8372d")])
def test_a_figure_has_the_colour_that_the_dashboard_s_thresholds_give_it(pods: int, color: str) -> None:
    assert f'<b style="color:{color}">{pods}</b>' in shown(Answers(pods, None))["Pods that answer"]


def test_a_pod_has_one_colour_in_every_graph_and_the_page_names_it() -> None:
    text = page(BOARD, Answers(1, lambda at: 0.4, "redis-master-0", "redis-replica-0"), WINDOW)
    (legend,) = re.findall(r'<p class="legend">(.*?)</p>', text)
    named = dict(re.findall(r'background:(#\w+)"></i>([\w-]+)<', legend))
    assert sorted(named.values()) == ["redis-master-0", "redis-replica-0"]
    assert len(named) == 2


def lines(body: str) -> int:
    return len(re.findall(r'<path[^>]*class="line', body))


def test_a_gap_and_what_is_no_number_break_the_line() -> None:
    whole = lines(shown(Answers(1, lambda at: 0.4))["Memory in use"])
    broken = shown(Answers(1, lambda at: float("nan") if 300 < at < 600 else 0.4))["Memory in use"]
    assert lines(broken) == whole + 1


ONE_GRAPH = {**BOARD, "panels": [panel for panel in BOARD["panels"] if panel["title"] == "Memory in use"]}


@settings(max_examples=30, deadline=None)
@given(
    st.floats(0, 1e15) | st.sampled_from([float("nan"), float("inf")]),
    st.text(st.characters(blacklist_categories=("Cs",)), min_size=1, max_size=30),
)
@example(1.0, "http://x/?a=1")
@example(1.0, '<img src="http://x/">')
def test_any_value_and_any_name_make_a_page(value: float, pod: str) -> None:
    text = page(ONE_GRAPH, Answers(1.0, lambda at: value, pod), WINDOW)
    tags = Tags(text)
    assert tags.loaded == []
    assert "script" not in tags.seen
    assert f"</i>{pod}<" in unescape(text)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.953, "percentunit", "95.3 %"),
        (12.34, "ms", "12.3 ms"),
        (59, "s", "59 s"),
        (5400, "s", "1.5 h"),
        (16384, "short", "16,384"),
        (1.25, "none", "1.25"),
        (0, "short", "0"),
    ],
)
def test_values_are_written_in_their_unit(value: float, unit: str, text: str) -> None:
    assert written(value, unit) == text
