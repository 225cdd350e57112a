"""The page of `make bench`: one file without scripts or links, which opens offline. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from preview.charts import Line, line_chart
from tests.bench import text

_BLUE, _GREY, _RED = "#1f5fbf", "#9aa3b2", "#c0392b"
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1d2430}"
    "pre{overflow-x:auto;background:#f5f6f8;padding:1rem}svg{max-width:100%;height:auto}"
)


def _seconds(value: float) -> str:
    return f"{value:.0f} s"


def _milliseconds(value: float) -> str:
    return f"{value:,.0f} ms"


def marks(last: float) -> list[float]:
    step = max(1, round(last / 6))
    return [float(at) for at in range(0, int(last) + 1, step)]


def over_time(changes: Mapping[str, Any]) -> str:
    """p95 of each second, with a line where a change or a fault began. The scale ends at ten times the median, so that
    one outage does not flatten all else; what lies above is cut there."""
    seconds, began = changes["seconds"], changes["began"]
    p95 = sorted(second["p95_ms"] or 0 for second in seconds)
    top = max(10.0, 10 * p95[len(p95) // 2])
    points = tuple((second["at"] - began, min(top, second["p95_ms"] or top)) for second in seconds)
    lines = [Line(points, _BLUE)]
    lines += [
        Line(((mark["from"] - began, 0.0), (mark["from"] - began, top)), _RED, is_dashed=True)
        for mark in changes["marks"]
    ]
    chart = line_chart(
        "p95 over time",
        lines,
        x_marks=marks(points[-1][0]),
        show_x=_seconds,
        show_y=_milliseconds,
    )
    named = "".join(
        f"<li>{mark['from'] - began:.0f} s: {escape(mark['name'])}, {mark['failed']} failed, longest "
        f"{mark['max_ms'] or 0:,.0f} ms</li>"
        for mark in changes["marks"]
    )
    return f"{chart}<ul>{named}</ul>"


def percentiles(reports: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    colors = (_BLUE, _GREY)
    shares = ((50.0, "p50_ms"), (95.0, "p95_ms"), (99.0, "p99_ms"), (100.0, "max_ms"))
    lines = [
        Line(tuple((share, report["latency"]["all"][key] or 0.0) for share, key in shares), colors[number % 2])
        for number, (_, report) in enumerate(reports)
    ]
    chart = line_chart(
        "percentiles",
        lines,
        x_marks=[50.0, 95.0, 99.0, 100.0],
        show_x=lambda share: f"{share:.0f} %",
        show_y=_milliseconds,
    )
    named = ", ".join(f"{name} ({'blue' if number % 2 == 0 else 'grey'})" for number, (name, _) in enumerate(reports))
    return f"{chart}<p>{escape(named)}</p>"


def render(bench: Mapping[str, Any]) -> str:
    parts = [f"<pre>{escape(text.render(bench))}</pre>"]
    if "changes" in bench["ours"]:
        parts += ["<h2>p95 of each second, through changes and faults</h2>", over_time(bench["ours"]["changes"])]
    both = [
        (name, found["master_rate"])
        for name, found in (("this stack", bench["ours"]), ("plain", bench.get("plain", {})))
        if "master_rate" in found
    ]
    if both:
        parts += ["<h2>Percentiles at the rate of one master</h2>", percentiles(both)]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Bench</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body><h1>Bench</h1>'
        + "".join(parts)
        + "</body></html>\n"
    )
