"""The dashboard's panels from a running Prometheus, as one page that opens offline, and as a picture of it.

`python -m tests.monitoring.page --write docs/dashboard.png` runs the cache under load with a failover, and draws that.
Grafana draws the same panels from the same queries; this shows them where there is none.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from components.manifests.monitoring.dashboard import Panel, panels
from preview.charts import Line, line_chart
from tests.monitoring.live import HURRY, Live, live
from tests.monitoring.stacks import watched

_STYLE = Path("preview/page.css")
_TEMPLATE = Path(__file__).with_name("page.html")
_COLORS = ("#2563eb", "#0891b2", "#7c3aed", "#db8a1c", "#0f766e", "#be185d")
_STEP_COLORS = {"green": "#2e9e5b", "yellow": "#dba32a", "red": "#d14343"}
_POINTS = 120
_THRESHOLD_SEEN = 4.0
"""A threshold so many times above what is measured would press all lines flat; its place is the description."""
_BROWSER_TIMEOUT_S = 180
WIDTH_PX, HEIGHT_PX = 1500, 1640
LOADED_S = 240
KEY = {
    "Is it healthy?": None,
    "Is it big enough?": None,
    "Is it balanced?": None,
    "What changed?": ("Lookups", "Failovers", "Uptime"),
}
"""Row -> its panels that are shown, or all of them."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """One panel with its data: a figure with a colour, or a chart with a legend."""

    title: str
    description: str
    value: str = ""
    color: str = "green"
    chart: Markup | None = None
    legend: tuple[tuple[str, str], ...] = ()


def page(running: Live, seconds: float) -> str:
    """HTML that loads nothing."""
    settings, plan = watched("local")
    end = time.time()
    rows = [
        (
            row,
            [
                _figure(running, panel) if panel.is_stat else _chart(running, panel, end - seconds, end)
                for panel in found
                if KEY[row] is None or panel.title in (KEY[row] or ())
            ],
        )
        for row, found in panels(settings, plan).items()
    ]
    template = jinja2.Template(_TEMPLATE.read_text(), autoescape=True)
    return template.render(
        title="Redis image cache",
        subtitle=f"{plan.pool}: {plan.sizing.masters} masters and {plan.sizing.pods - plan.sizing.masters} replicas",
        css=Markup(_STYLE.read_text()),  # noqa: S704
        rows=rows,
    )


def _figure(running: Live, panel: Panel) -> Drawn:
    value = float(running.query(panel.expr)[0]["value"][1])
    color = next(color for limit, color in reversed(panel.steps) if limit is None or value >= limit)
    return Drawn(panel.title, panel.description, f"{value:,.0f}", color)


def _chart(running: Live, panel: Panel, start: float, end: float) -> Drawn:
    step = (end - start) / _POINTS
    asked = {"query": panel.expr, "start": f"{start}", "end": f"{end}", "step": f"{step}"}
    series: list[dict[str, Any]] = running.ask("query_range", **asked)["result"]
    lines, legend = [], []
    for number, found in enumerate(sorted(series, key=lambda item: _name(panel, item["metric"]))):
        color = _COLORS[number % len(_COLORS)]
        values = [((float(at) - end) / 60, float(value)) for at, value in found["values"] if value != "NaN"]
        if values:
            lines.append(Line(tuple(values), color))
            legend.append((_name(panel, found["metric"]), color))
    largest = max((y for line in lines for _, y in line.points), default=0.0)
    for limit, color in panel.steps:
        if limit is not None and (panel.unit == "percentunit" or limit <= _THRESHOLD_SEEN * largest):
            lines.append(Line((((start - end) / 60, limit), (0.0, limit)), _STEP_COLORS[color], is_dashed=True))
    minutes = (end - start) / 60
    chart = line_chart(
        panel.title,
        lines,
        x_marks=[-minutes, -minutes / 2, 0.0],
        show_x=lambda minute: "now" if minute == 0 else f"{minute:.0f} min",
        show_y=partial(_shown, panel.unit),
    )
    # What pygal draws of numbers, and of texts that are ours.
    return Drawn(panel.title, panel.description, chart=Markup(chart), legend=tuple(legend))  # noqa: S704


def _name(panel: Panel, labels: dict[str, str]) -> str:
    name = panel.legend
    for label in ("node", "pod"):
        name = name.replace(f"{{{{{label}}}}}", labels.get(label, ""))
    return name or ", ".join(labels.values())


def _shown(unit: str, value: float) -> str:
    if unit == "percentunit":
        return f"{value:.0%}"
    figure = f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.2g}"
    return figure + {"ms": " ms", "s": " s"}.get(unit, "")


def browse(html: str, *options: str) -> bytes:
    """What headless Chromium says of a page, in a network of its own that reaches nothing."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "page.html"
        file.write_text(html)
        command = ["unshare", "--net", "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        command += [f"--user-data-dir={folder}/profile", f"--window-size={WIDTH_PX},{HEIGHT_PX}", *options]
        done = subprocess.run([*command, file.as_uri()], capture_output=True, timeout=_BROWSER_TIMEOUT_S, check=True)
        return done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.monitoring.page")
    parser.add_argument("--write", required=True, metavar="FILE", help="the picture (.png); its page is beside it")
    target = Path(parser.parse_args().write).absolute()
    with live(f"page-{os.getpid()}", print) as running, running.load("images"):
        began = time.time()
        time.sleep(LOADED_S / 2)
        running.sandbox.fault("kill-pod", pod="redis-master-1")
        time.sleep(LOADED_S / 2)
        html = page(running, time.time() - began)
    target.with_suffix(".html").write_text(html)
    browse(html, f"--screenshot={target}")
    print(f"{target}: waits and windows divided by {HURRY:g}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
