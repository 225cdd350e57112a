"""Charts as inline SVG, drawn by pygal. Nothing in them runs, links or loads."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil, floor, log10
from typing import Any
from xml.etree.ElementTree import Element

import pygal
from pygal.style import Style

from components.config.formats import usd

WIDTH = 480
"""Narrow, so that the writing is still large enough on a telephone."""
_INK, _GREY, _GRID = "#1d2430", "#5b6472", "#e5e8ee"
_INVISIBLE = "transparent"
_COMMON: dict[str, Any] = {
    "truncate_label": -1,  # never: a name that ends in dots says nothing
    "width": WIDTH,
    "margin": 4,
    "show_legend": False,
    "js": [],
    "disable_xml_declaration": True,
}
_BAR_HEIGHT = 34
_LETTER_WIDTH = 7.5
"""Of the charts' writing, on average and rather too much."""

Show = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a line chart."""

    points: tuple[tuple[float, float], ...]
    color: str
    is_dashed: bool = False


@dataclass(frozen=True, slots=True)
class Columns:
    """One column in each group; None leaves a gap."""

    values: tuple[float | None, ...]
    color: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A horizontal bar of parts; its sum is written beside it."""

    name: str
    parts: tuple[float, ...]


def line_chart(
    title: str, lines: Sequence[Line], *, x_marks: Sequence[float], show_x: Show, show_y: Show, height: int = 280
) -> str:
    """Lines over a common x axis, from 0 on."""
    chart = pygal.XY(
        style=_style([line.color for line in lines], stroke_width="2.2"),
        show_dots=False,
        height=height,
        margin_right=24,
        x_labels=list(x_marks),
        y_labels=marks(max(y for line in lines for _, y in line.points)),
        x_value_formatter=show_x,
        value_formatter=show_y,
        **_COMMON,
    )
    for line in lines:
        chart.add("", line.points, stroke_style={"width": 2.2} | ({"dasharray": "3, 4"} if line.is_dashed else {}))
    return _svg(chart, title)


def column_chart(title: str, groups: Sequence[str], series: Sequence[Columns], *, target: float, show: Show) -> str:
    """Groups of columns with their figures above them, and a line at what is wanted."""
    values = [value for columns in series for value in columns.values if value is not None]
    axis = marks(max([*values, target]) * 1.05)
    # A mark beside the target would be written over it.
    apart = [mark for mark in axis if abs(mark - target) > axis[-1] / 15]
    chart = pygal.Bar(
        style=_style([columns.color for columns in series], major_guide_stroke_color="#cc4b4b"),
        height=280,
        x_labels=list(groups),
        y_labels=sorted([*apart, target]),
        y_labels_major=[target],
        value_formatter=lambda value: "" if value is None else show(value),
        print_values=True,
        print_values_position="top",
        rounded_bars=2,
        **_COMMON,
    )
    for columns in series:
        chart.add("", columns.values)
    return _svg(chart, title)


def bar_chart(title: str, bars: Sequence[Bar], colors: Sequence[str]) -> str:
    """Horizontal bars of US dollars, the first on top."""
    upwards = list(reversed(bars))
    chart = pygal.HorizontalStackedBar(
        style=_style([*colors, _INVISIBLE]),
        height=_BAR_HEIGHT * len(bars) + 10,
        x_labels=[bar.name for bar in upwards],
        show_x_labels=False,
        show_y_guides=False,
        print_values=True,
        spacing=6,
        rounded_bars=2,
        **_COMMON,
    )
    for part in range(len(colors)):
        chart.add("", [bar.parts[part] for bar in upwards], formatter=lambda _: "")
    # pygal writes no sums: an invisible part behind the others carries them.
    sums = [f"${usd(sum(bar.parts))}" for bar in upwards]
    room = _share_for_sums(bars, sums) * (max(sum(bar.parts) for bar in bars) or 1.0)
    chart.add("", [room] * len(bars), formatter=lambda _, index: sums[index])
    return _svg(chart, title)


def _share_for_sums(bars: Sequence[Bar], sums: Sequence[str]) -> float:
    """What the sums take beside the longest bar, as a share of its length."""
    names, written = (_LETTER_WIDTH * (max(map(len, texts)) + 2) for texts in ([bar.name for bar in bars], sums))
    return written / max(WIDTH - names - written, written)


def marks(largest: float) -> list[float]:
    """Round values from 0 to at least `largest`, few of them: 47 -> 0, 10, 20, 30, 40, 50."""
    if largest <= 0:
        return [0.0, 1.0]
    rough = largest / 5
    power = 10 ** floor(log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough)
    return [index * step for index in range(ceil(largest / step - 1e-9) + 1)]


def _style(colors: Sequence[str], **changes: str) -> Style:
    plain = {
        "background": _INVISIBLE,
        "plot_background": _INVISIBLE,
        "foreground": _GREY,
        "foreground_strong": _INK,
        "foreground_subtle": _GRID,
        "guide_stroke_color": _GRID,
        "guide_stroke_dasharray": "none",
        "major_guide_stroke_color": _GRID,
        "major_guide_stroke_dasharray": "none",
        "font_family": "inherit",
        "opacity": "1",
        "stroke_opacity": "1",
        "stroke_width": "0",
        "transition": "none",
    }
    sizes = {f"{text}_font_size": 13 for text in ("label", "major_label", "value")}
    return Style(colors=tuple(colors), value_colors=(_INK,) * len(colors), **sizes, **(plain | changes))


def _svg(chart: Any, title: str) -> str:
    # Without its own the library gives each chart a random id, and the page would differ every time. It stands in every
    # rule of the chart's style, so it is short: the first letters of the title.
    chart.uuid = "".join(word[0] for word in re.findall("[a-z]+", title.lower()))
    chart.add_xml_filter(partial(_plain, title=title))
    return str(chart.render())


def _plain(svg: Element, title: str) -> Element:
    """Gives the chart its title, and drops pygal's scripts, what they need, and comments, which carry the date."""
    for parent in list(svg.iter()):
        for child in list(parent):
            if not isinstance(child.tag, str) or child.tag in ("script", "desc"):
                parent.remove(child)
            elif parent is svg and child.tag == "title":
                child.text = title
    svg.set("role", "img")
    svg.set("aria-label", title)
    return svg
