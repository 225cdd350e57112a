"""A Grafana dashboard as one HTML page: its own panels, drawn from a Prometheus's answers. It loads and runs nothing.

It stands in for Grafana, which Debian does not have. What a panel asks, its unit, its thresholds and its words are
those of the dashboard's file; nothing here knows what they mean.
"""

from __future__ import annotations

import colorsys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from string import Template
from typing import Any, Protocol

from preview.charts import Line, line_chart

Series = Mapping[str, Any]
"""One series of Prometheus's API: `metric` and `value` or `values`."""

_COLORS = {"green": "#2e8b57", "yellow": "#d08700", "red": "#c8372d"}
"""Grafana's names of the colours of thresholds -> as the page has them."""
_ALONE = "#2f5fd0"
_PALETTE = ("#2f5fd0", "#0b8f8c", "#8a3ffc", "#d9468f", "#8c6d1f", "#3f4a5f", "#5aa02c", "#b3541e")
"""Of lines, apart from each other and from the colours of thresholds."""
_MARKS = 5
_POINTS = 240
_NONE = "–"
_FAR = 4.0
"""A threshold that is so many times as large as all that is drawn is written only: it would press the lines flat."""


class Prometheus(Protocol):
    """What the page asks."""

    def query(self, expr: str) -> list[dict[str, Any]]:
        """What an expression is now."""
        ...

    def query_range(self, expr: str, start: float, end: float, step: float) -> list[dict[str, Any]]:
        """What it was, from `start` to `end` (seconds since 1970), every `step` seconds."""
        ...


@dataclass(frozen=True)
class Window:
    """The time that the graphs show, in seconds since 1970."""

    start: float
    end: float

    @property
    def step(self) -> float:
        return max(1.0, (self.end - self.start) / _POINTS)


@dataclass
class _Legend:
    """One colour for each name, the same in every graph."""

    colors: dict[str, str] = field(default_factory=dict)

    def color(self, name: str) -> str:
        if name not in self.colors:
            number = len(self.colors)
            self.colors[name] = _PALETTE[number] if number < len(_PALETTE) else _hue(number)
        return self.colors[name]


def _hue(number: int) -> str:
    """Far from the hues before it, however many there will be: a golden section further round the circle."""
    parts = colorsys.hls_to_rgb((0.618034 * number) % 1, 0.42, 0.62)
    return "#" + "".join(f"{int(255 * part):02x}" for part in parts)


def page(board: Mapping[str, Any], prometheus: Prometheus, window: Window) -> str:
    """The page as an HTML document."""
    legend = _Legend()
    body = []
    for title, panels in _rows(board["panels"]):
        shown = [_panel(panel, prometheus, window, legend, len(panels)) for panel in panels]
        body.append(f'<h2>{escape(title)}</h2>\n<div class="row n{_across(len(panels))}">\n{"".join(shown)}</div>\n')
    names = sorted(legend.colors.items())
    keys = "".join(f'<span><i style="background:{color}"></i>{escape(name)}</span>' for name, color in names)
    return Template(_PAGE).substitute(
        title=escape(board["title"]),
        since=time.strftime("%Y-%m-%d %H:%M", time.gmtime(window.start)),
        until=time.strftime("%H:%M", time.gmtime(window.end)),
        legend=keys,
        body="".join(body),
    )


def _rows(panels: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    """Each row's title and its panels. They follow it in the file."""
    title, found = "", list[Mapping[str, Any]]()
    for panel in panels:
        if panel["type"] != "row":
            found.append(panel)
            continue
        if found:
            yield title, found
        title, found = panel["title"], []
    yield title, found


def _across(count: int) -> int:
    """Panels side by side."""
    return 6 if count == 6 else 4 if count % 4 == 0 else 3


def _panel(panel: Mapping[str, Any], prometheus: Prometheus, window: Window, legend: _Legend, in_row: int) -> str:
    (target,) = panel["targets"]
    defaults = panel["fieldConfig"]["defaults"]
    unit, steps = defaults["unit"], defaults["thresholds"]["steps"]
    if panel["type"] == "stat":
        content = _stat(prometheus.query(target["expr"]), unit, steps)
    else:
        found = prometheus.query_range(target["expr"], window.start, window.end, window.step)
        content = _graph(panel["title"], found, target["legendFormat"], unit, steps, window, legend)
    return (
        f'<section class="{escape(panel["type"])}" data-title="{escape(panel["title"])}">'
        f"<h3>{escape(panel['title'])}</h3>{content}<p>{escape(panel['description'])}</p></section>\n"
    )


def _stat(found: Sequence[Series], unit: str, steps: Sequence[Mapping[str, Any]]) -> str:
    if not found:
        return f'<b class="none">{_NONE}</b>'
    value = float(found[0]["value"][1])
    reached = [step["color"] for step in steps if step["value"] is None or value >= step["value"]]
    return f'<b style="color:{_COLORS[reached[-1]]}">{escape(written(value, unit))}</b>'


def _graph(
    title: str,
    found: Sequence[Series],
    names: str,
    unit: str,
    steps: Sequence[Mapping[str, Any]],
    window: Window,
    legend: _Legend,
) -> str:
    lines = [line for series in found for line in _lines(series, _color(series, names, legend), window)]
    if not lines:
        return f'<b class="none">{_NONE}</b>'
    largest = max(y for line in lines for _, y in line.points)
    limits = [(step["value"], _COLORS[step["color"]]) for step in steps if step["value"] is not None]
    drawn = [limit for limit in limits if limit[0] <= 1 if unit == "percentunit"] + [
        limit for limit in limits if unit != "percentunit" and limit[0] <= _FAR * largest
    ]
    begin, end = 0.0, window.end - window.start
    lines += [Line(((begin, value), (end, value)), color, is_dashed=True) for value, color in drawn]
    chart = line_chart(
        title,
        lines,
        x_marks=[end * mark / (_MARKS - 1) for mark in range(_MARKS)],
        show_x=lambda x: time.strftime("%H:%M", time.gmtime(window.start + x)),
        show_y=lambda y: written(y, unit),
        height=_HEIGHT,
    )
    marks = "".join(f'<i style="background:{color}"></i>{escape(written(value, unit))} ' for value, color in limits)
    last = "" if len(found) > 1 else f"<u>{escape(_label(found[0], names))} {escape(_last(found[0], unit))}</u>"
    return f'{chart}<div class="limits">{last}{marks}</div>'


_HEIGHT = 205


def _lines(series: Series, color: str, window: Window) -> Iterator[Line]:
    """One line, and another after each gap."""
    points: list[tuple[float, float]] = []
    for at, text in series["values"]:
        value = float(text)
        is_gap = bool(points) and at - window.start - points[-1][0] > 1.5 * window.step
        # Not a number, or infinite: a share of nothing.
        if is_gap or abs(value) == float("inf") or value != value:
            if len(points) > 1:
                yield Line(tuple(points), color)
            points = []
        if abs(value) != float("inf") and value == value:
            points.append((at - window.start, value))
    if points:
        yield Line(tuple(points), color)


def _color(series: Series, names: str, legend: _Legend) -> str:
    return legend.color(_label(series, names)) if "{{" in names and _label(series, names) else _ALONE


def _label(series: Series, names: str) -> str:
    """A series by the legend's format; `__auto` is its labels."""
    if names == "__auto":
        return ", ".join(value for name, value in series["metric"].items() if not name.startswith("__"))
    text = names
    for name, value in series["metric"].items():
        text = text.replace("{{" + name + "}}", value)
    return "".join(part.rpartition("}}")[2] for part in text.split("{{"))


def _last(series: Series, unit: str) -> str:
    return written(float(series["values"][-1][1]), unit)


def written(value: float, unit: str) -> str:
    """A value in one of Grafana's units: `percentunit`, `ms`, `s`, and plain numbers else."""
    if unit == "percentunit":
        return f"{100 * value:.3g} %"
    if unit == "ms":
        return f"{value:.3g} ms"
    if unit == "s":
        for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
            if value >= size:
                return f"{value / size:.3g} {name}"
        return f"{value:.3g} s"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>$title</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root { color: #1d2430; background: #f3f5f8; font: 15px/1.4 "DejaVu Sans", "Segoe UI", sans-serif; }
body { max-width: 1440px; margin: 0 auto; padding: 20px 24px; }
header { display: flex; flex-wrap: wrap; align-items: baseline; gap: 6px 24px; }
h1 { font-size: 24px; margin: 0; }
header p { margin: 0; color: #5b6472; }
.legend span { margin-left: 16px; white-space: nowrap; font-size: 13px; }
i { display: inline-block; width: 14px; height: 4px; border-radius: 2px; margin-right: 6px; vertical-align: middle; }
h2 { font-size: 17px; margin: 20px 0 8px; }
.row { display: grid; gap: 12px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 300px), 1fr)); }
@media (min-width: 1000px) {
  .n3 { grid-template-columns: repeat(3, 1fr); }
  .n4 { grid-template-columns: repeat(4, 1fr); }
  .n6:has(.stat) { grid-template-columns: repeat(6, 1fr); }
  .n6 { grid-template-columns: repeat(3, 1fr); }
}
section { background: #fff; border: 1px solid #e0e4ea; border-radius: 8px; padding: 10px 12px; min-width: 0; }
h3 { font-size: 14px; margin: 0 0 4px; font-weight: 600; }
section p { margin: 4px 0 0; font-size: 12px; color: #5b6472; }
section b { display: block; font-size: 34px; line-height: 1.3; }
.none { color: #5b6472; }
.limits { font-size: 12px; color: #5b6472; display: flex; gap: 10px; align-items: center; }
.n4 text { font-size: 16px !important; }
.limits u { text-decoration: none; color: #1d2430; margin-right: auto; }
svg { display: block; width: 100%; height: auto; }
</style>
</head>
<body>
<header>
<h1>$title</h1>
<p>$since to $until UTC</p>
<p class="legend">$legend</p>
</header>
$body</body>
</html>
"""
