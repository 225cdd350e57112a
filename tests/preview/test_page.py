"""The HTML page."""

from html.parser import HTMLParser

from hypothesis import assume, given, settings

from components.advice.advice import derive_advice
from components.config.settings import Settings
from components.plan.refusal import PlanRefused
from preview.document import Table
from preview.page import render_page
from preview.sections import reasons
from tests.plan.stacks import option_1
from tests.preview.stacks import option_1_advice, stacks


class Tags(HTMLParser):
    """Open tags, and everything that would be loaded from elsewhere."""

    VOID = frozenset({"meta", "br"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.is_balanced = True
        self.loaded: list[str] = []
        self.seen: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.loaded += [str(value) for name, value in attrs if name in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.is_balanced = False

    @property
    def is_well_formed(self) -> bool:
        return self.is_balanced and not self.open


def option_1_page(stack: str = "prod") -> str:
    return render_page(option_1_advice(), option_1(), stack=stack)


@settings(max_examples=5, deadline=None)
@given(stacks())
def test_any_plan_is_a_whole_page(generated: Settings) -> None:
    try:
        shown = render_page(derive_advice(generated), generated, stack="prod")
    except PlanRefused:
        assume(False)
    assert Tags(shown).is_well_formed
    assert "None" not in shown
    assert "No data" not in shown


def test_the_page_opens_offline_and_has_its_charts() -> None:
    shown = option_1_page()
    tags = Tags(shown)
    assert tags.is_well_formed
    assert tags.loaded == []
    assert "script" not in tags.seen
    assert "@import" not in shown
    assert "url(" not in shown
    assert tags.seen.count("svg") == 4
    assert len(shown) < 80_000


def test_without_nodes_the_page_has_the_two_charts_that_need_none() -> None:
    assert (
        Tags(render_page(derive_advice(option_1(zones=None)), option_1(zones=None), stack="local")).seen.count("svg")
        == 2
    )


def test_the_page_shows_every_section_and_warning_of_the_text() -> None:
    plan, shown = option_1_advice(), option_1_page()
    for section in reasons(plan, option_1()):
        assert f"<h2>{section.topic}: {section.detail}</h2>" in shown
    for warning in plan.warnings:
        assert warning.code in shown


def test_another_way_that_costs_clearly_less_stands_above_warnings_and_charts_and_once() -> None:
    shown = option_1_page()
    at = shown.index("<h2>Alternatives: ")
    assert shown.count("<h2>Alternatives") == 1
    assert shown.index('class="cards"') < at < shown.index("<h2>Warnings") < shown.index('class="charts"')
    idle = option_1(dutyCycle=0.01, p95LatencyMs=100)
    below = render_page(derive_advice(idle), idle, stack="prod")
    assert below.count("<h2>Alternatives") == 1
    assert below.index('class="charts"') < below.index("<h2>Alternatives")


def test_on_a_telephone_every_figure_has_the_name_of_its_column() -> None:
    plan, shown = option_1_advice(), option_1_page()
    tables = [block for section in reasons(plan, option_1()) for block in section.blocks if isinstance(block, Table)]
    assert len(tables) > 8
    for table in tables:
        for row in table.rows:
            for column, cell in zip(table.header[1:], row[1:], strict=True):
                assert f' data-column="{column}">{cell}</td>' in shown
    # Where rows are blocks, nothing scrolls sideways out of sight.
    narrow = shown.partition("@media (max-width: 560px)")[2].partition("</style>")[0]
    assert "content: attr(data-column)" in narrow
    assert "thead { display: none; }" in narrow


def test_names_are_escaped() -> None:
    shown = option_1_page(stack="<script>alert(1)</script>")
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown


def test_the_same_stack_is_the_same_page() -> None:
    assert option_1_page() == option_1_page()


def test_the_charts_speak_of_traffic_and_nodes_as_the_tables_do() -> None:
    half = option_1(dutyCycle=0.5)
    shown = render_page(derive_advice(half), half, stack="prod")
    assert "Traffic counts with the mean rate, which is workload.dutyCycle of the peak." in shown
    assert "last all day" not in shown
    assert "Planned: 4 masters on each r6g.12xlarge." in shown


def test_a_hit_rate_that_is_nearly_all_reads_so_everywhere() -> None:
    rare = option_1(zones=None, hitRate=0.9996)
    shown = render_page(derive_advice(rare), rare, stack="prod")
    assert "99.96 % configured" in shown
    assert "this stack, 99.96 % hits" in shown
    assert "100 % hits" not in shown
    assert "hit rate of 100 %" not in shown
