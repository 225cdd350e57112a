"""What people see: the text, the comparison and the HTML report."""

import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.advice.advice import derive_advice
from components.advice.compression import compressed
from components.advice.right_sizing import Measured, right_size
from components.config.settings import Settings
from components.config.units import GIB
from components.plan.refusal import PlanRefused
from preview.comparison import render_compare
from preview.report_html import render_html
from preview.resources import Resource
from preview.svg_chart import ticks
from preview.text import render_compression, render_resources, render_right_size, render_text
from tests.plan.stacks import ZONES, option_1, option_2, stack

WIDTH = 100


def text(stack: Settings) -> str:
    return render_text(derive_advice(stack), stack, stack="prod")


@st.composite
def stacks(draw: st.DrawFn) -> Settings:
    pod = draw(st.sampled_from(["256MB", "4GB", "64GB", "96GB", "512GB"]))
    masters = draw(st.integers(3, 60))
    number = int(re.sub(r"\D", "", pod))
    zones = draw(st.sampled_from([None, ZONES, ZONES[:1]]))
    return stack(
        pod,
        f"{masters * number}{pod[-2:]}",
        zones=zones,
        nodes={"allowFewerZones": True},
        requestsPerSecond=draw(st.integers(1, 60_000)),
        objectBytes=draw(st.integers(1, 4_000_000)),
        ttlSeconds=draw(st.integers(1, 90_000)),
        hitRate=draw(st.sampled_from([0.0, 0.3, 0.8, 1.0])),
    )


@settings(max_examples=40, deadline=None)
@given(stacks())
def test_any_plan_is_shown_in_100_columns_of_plain_text_and_as_a_whole_report(generated: Settings) -> None:
    try:
        plan = derive_advice(generated)
    except PlanRefused:
        return
    shown = render_text(plan, generated, stack="prod")
    assert max(map(len, shown.splitlines())) <= WIDTH
    assert "\x1b" not in shown
    assert "None" not in shown
    assert not re.search(r"…|[ \t]$", shown, re.MULTILINE)
    for finding in plan.warnings:
        assert finding.code in shown
    report = render_html(plan, generated, stack="prod")
    assert well_formed(report)
    assert "None" not in report


def test_the_decision_comes_first_then_the_comparison_then_the_warnings() -> None:
    shown = text(option_1())
    assert shown.startswith(
        "prod: 16 masters + 16 replicas of 64GB on 9 x r6g.12xlarge, 16,200 USD a month + traffic\n"
    )
    places = [shown.index(title) for title in ("POD SIZES", "WARNINGS", "WHY r6g", "MONEY", "WORKING SET", "FAILURE")]
    assert places == sorted(places)


@pytest.mark.parametrize(
    "said",
    [
        "32, each requests 77Gi and 1 core, may use 92Gi, volume 77Gi",
        "2464Gi requested",
        "480,000 images = 469 GiB of 1,024 GiB (46 %)",
        "10 of 16 masters left",
        "break-even: 56.3 % by memory alone",
        "a master sends 4.0 Gbps to clients and 0.8 Gbps to replicas = 4.8 Gbps",
        "0 pods fit: 92.0 GiB memory limits of a pod, and 29.8 GiB",
    ],
)
def test_the_figures_that_matter_are_said(said: str) -> None:
    assert said in " ".join(text(option_1()).split())


def test_a_stack_without_nodes_says_nothing_of_nodes_and_money() -> None:
    shown = text(option_1(zones=None))
    assert "MONEY" not in shown
    assert "WHY" not in shown
    assert "with 10 Gbps for each pod" in shown


def test_a_terminal_gets_colour() -> None:
    coloured = render_text(derive_advice(option_1()), option_1(), stack="prod", color=True)
    assert "\x1b[" in coloured


def test_markup_in_a_stack_name_is_shown_as_written() -> None:
    assert "[bold]prod[/bold]: 16 masters" in render_text(
        derive_advice(option_1()), option_1(), stack="[bold]prod[/bold]"
    )


def test_two_plans_are_compared_by_what_differs() -> None:
    shown = render_compare([derive_advice(option_1()), derive_advice(option_2())])
    rows = [re.split(r"\s{2,}", line.strip()) for line in shown.splitlines()]
    assert ["pod memory", "64GB", "128GB"] in rows
    assert ["masters + replicas", "16 + 16", "8 + 8"] in rows
    assert ["blast radius", "6.25 %", "12.50 %"] in rows
    assert ["CPU cores", "32", "16"] in rows
    # What is equal is no row of its own.
    assert "usable memory 1TB" in " ".join(shown.split("the same:")[1].split())
    assert max(map(len, shown.splitlines())) <= WIDTH


def test_a_comparison_needs_two_plans() -> None:
    with pytest.raises(ValueError, match="two plans"):
        render_compare([derive_advice(option_1())])


def test_equal_pod_sizes_are_told_apart_by_number() -> None:
    shown = render_compare([derive_advice(option_1()), derive_advice(option_1(hitRate=0.5))])
    assert "plan 1" in shown
    assert "working-set-exceeds-memory" in shown


def test_right_sizing_names_the_memory_to_configure() -> None:
    shown = render_right_size(right_size(option_1(), Measured(memory_bytes=500 * GIB)))
    assert "500 GiB in use" in shown
    assert re.search(r"totalMemory: \d+(GB|TB) would do", shown)


def test_compression_says_what_would_be_enough() -> None:
    shown = render_compression(compressed(option_1(), 0.3))
    assert "COMPRESSION to 30 % of the size" in shown
    assert "300,000 bytes, 327,680 in memory" in shown
    assert re.search(r"enough +totalMemory: \d+GB", shown)


def test_resources_are_counted_by_type() -> None:
    resources = [Resource(f"urn{number}", "kubernetes:core/v1:Service", f"s{number}") for number in range(3)]
    shown = render_resources(resources)
    assert "RESOURCES (3)" in shown
    assert re.search(r"kubernetes:core/v1:Service\s+3", shown)


class Tags(HTMLParser):
    """Open tags, and everything that would be loaded from elsewhere."""

    VOID = frozenset({"meta", "br", "line", "rect", "polyline"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.unbalanced = False
        self.loaded: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.loaded += [str(value) for name, value in attrs if name in ("src", "href", "xlink:href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.unbalanced = True


def parsed(report: str) -> Tags:
    tags = Tags()
    tags.feed(report)
    tags.close()
    return tags


def well_formed(report: str) -> bool:
    tags = parsed(report)
    return not tags.unbalanced and not tags.open


def test_the_report_opens_offline_and_has_its_charts() -> None:
    report = render_html(derive_advice(option_1()), option_1(), stack="prod")
    tags = parsed(report)
    assert well_formed(report)
    assert tags.loaded == []
    assert "script" not in tags.seen
    assert "@import" not in report
    assert "url(" not in report
    assert tags.seen.count("svg") == 4
    for title in ("Memory over time", "Requests a second by network of each pod", "Cost by pod size", "The whole bill"):
        assert title in report
    assert len(report) < 60_000


def test_without_nodes_the_report_has_the_two_charts_that_need_none() -> None:
    report = render_html(derive_advice(option_1(zones=None)), option_1(zones=None), stack="local")
    assert parsed(report).seen.count("svg") == 2


def test_names_are_escaped_in_the_report() -> None:
    report = render_html(derive_advice(option_1()), option_1(), stack="<script>alert(1)</script>")
    assert "<script>" not in report
    assert "&lt;script&gt;" in report


@given(st.floats(1e-6, 1e12))
def test_axis_marks_are_few_even_and_reach_the_largest_value(largest: float) -> None:
    marks = ticks(largest)
    assert 2 <= len(marks) <= 7
    assert marks[0] == 0
    assert marks[-1] >= largest * (1 - 1e-9)
    steps = [after - before for before, after in pairwise(marks)]
    assert max(steps) == pytest.approx(min(steps))
