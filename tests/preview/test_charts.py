"""Charts as inline SVG."""

from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preview.charts import Bar, Columns, Line, bar_chart, column_chart, line_chart, marks

SVG = "{http://www.w3.org/2000/svg}"


def columns(title: str = "Requests", target: float = 8.0) -> str:
    return column_chart(
        title,
        ["10 Gbps", "25 Gbps"],
        [Columns((20.0, None), "#123456")],
        target=target,
        show=lambda value: f"{value:g}K",
    )


CHARTS = {
    "lines": lambda title: line_chart(
        title, [Line(((0, 0), (5, 9)), "#123456", is_dashed=True)], x_marks=[0, 5], show_x=str, show_y=str
    ),
    "columns": columns,
    "bars": lambda title: bar_chart(
        title, [Bar("first", (10.0, 5.0)), Bar("second", (1.0, 0.0))], ["#123456", "#654321"]
    ),
}


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]  # noqa: S314 - our own


@pytest.mark.parametrize("name", CHARTS)
def test_nothing_in_a_chart_runs_links_or_loads(name: str) -> None:
    svg = CHARTS[name]("A title")
    tags = {element.tag.removeprefix(SVG) for element in ElementTree.fromstring(svg).iter()}  # noqa: S314 - our own
    assert not tags & {"script", "image", "use", "a", "foreignObject"}
    for loading in ("href", "url(", "@import", "http://github", "pygal.org"):
        assert loading not in svg


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_is_drawn_the_same_each_time_and_has_its_title(name: str) -> None:
    assert CHARTS[name]("A title & more") == CHARTS[name]("A title & more")
    root = ElementTree.fromstring(CHARTS[name]("A title & more"))  # noqa: S314 - our own
    assert [root.findtext(f"{SVG}title"), root.get("aria-label")] == ["A title & more"] * 2


def test_charts_of_other_titles_do_not_share_their_styles() -> None:
    ids = {ElementTree.fromstring(columns(title)).get("id") for title in ("Cost by pod size", "Cost with traffic")}  # noqa: S314
    assert len(ids) == 2


def test_bars_are_written_from_the_top_with_their_sums() -> None:
    shown = texts(CHARTS["bars"]("Cost"))
    sums = [text for text in shown if text.startswith("$")]
    assert sorted(sums) == ["$1", "$15"]
    assert {"first", "second"} <= set(shown)


def test_columns_carry_their_figures_and_the_axis_the_target() -> None:
    shown = texts(columns(target=8.0))
    assert "20K" in shown
    assert "8K" in shown


@given(st.floats(1e-6, 1e12))
def test_axis_marks_are_few_even_and_reach_the_largest_value(largest: float) -> None:
    found = marks(largest)
    assert 2 <= len(found) <= 7
    assert found[0] == 0
    assert found[-1] >= largest * (1 - 1e-9)
    steps = [after - before for before, after in pairwise(found)]
    assert max(steps) == pytest.approx(min(steps))
