"""The plan as people read it."""

import re
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from components.advice.advice import derive_advice
from components.advice.warnings import BOUNDS
from components.config.settings import Settings
from components.plan.refusal import PlanRefused
from preview.comparison import comparison
from preview.document import Table
from preview.page import render_page
from preview.resources import Resource
from preview.sections.workload import network
from preview.text import render_plan, render_resources, render_sections, render_summary
from preview.writer import Style
from tests.plan.stacks import CLIENTS, FRANKFURT, IRELAND, SAO_PAULO, TLS, option_1, option_2, stack
from tests.preview.stacks import extreme_stacks, option_1_advice, stacks


@cache
def option_1_text() -> str:
    return render_plan(option_1_advice(), option_1(), stack="prod")


def text(settings: Settings) -> str:
    return render_plan(derive_advice(settings), settings, stack="prod")


def words(settings: Settings) -> str:
    """The text in one line, so that a sentence is found wherever it is wrapped."""
    return " ".join(text(settings).split())


@settings(max_examples=8, deadline=None)
@given(stacks())
def test_where_no_replica_gets_its_data_beside_the_load_no_second_copy_is_promised(generated: Settings) -> None:
    try:
        plan = derive_advice(generated)
    except PlanRefused:
        assume(False)
    said = " ".join(render_plan(plan, generated, stack="prod").split())
    never = plan.resilience.reprotection_worst_seconds is None
    assert ("never on a node full of busy masters" in said) == never
    if never:
        assert "Every shard has its replicas again" not in said
        assert "without a second copy for up to" not in said


def test_with_tls_a_replica_of_128gb_pods_never_gets_its_data_and_the_plan_says_so() -> None:
    """Also says that there is such a stack: otherwise the test above could not fail."""
    assert "never on a node full of busy masters" in words(option_2(tls=TLS))


@settings(max_examples=8, deadline=None)
@given(stacks(), st.sampled_from([80, 100, 137, 200]))
def test_any_plan_fits_the_terminal_and_is_said_in_whole_and_right_words(generated: Settings, columns: int) -> None:
    try:
        plan = derive_advice(generated)
    except PlanRefused:
        assume(False)
    shown = render_plan(plan, generated, stack="prod", style=Style(columns))
    assert max(map(len, shown.splitlines())) <= columns
    assert "\x1b" not in shown
    assert not re.search(r"None|nan|inf\b|…|[ \t]$", shown, re.MULTILINE)
    for warning in plan.warnings:
        assert warning.code in shown
    line = " ".join(shown.split())
    # A row of a table may end in 1, and the next one begin with its name.
    line = line.replace("nodes for three years", "three years")
    assert not re.search(r"(?<![\w.,])1 (pods|masters|replicas|nodes|types|vCPUs)\b", line)
    assert not re.search(r"(?<![\w.,])(?!1 )\d[\d,]* (pod|master|replica|node|type)\b(?! memory)", line)


UNREADABLE = re.compile(
    r"\d[eE][+-]?\d"  # 1.5e+03
    r"|(?<![\d.,])-?0\.0+(?![\d])"  # 0.0, which may be anything up to 0.05
    r"|(?<![\d.,\w-])-0(?![\d.:])|\bnan\b|\binf\b"
    r"|\d\.0*[1-9]\d{4,}"  # 0.1234567
)
"""Figures that nobody reads, or that say nothing."""


def test_what_counts_as_unreadable_is_found_and_what_is_readable_is_not() -> None:
    for text in ("1.5e+03K", "below 0.0 %", "0.00x", "-0 USD", "inf/s", "0.1234567 Gbps"):
        assert UNREADABLE.search(text), text
    for text in ("10.0 GiB", "0.01x", "us-east-1a", "1,500K", "under 0.1 %", "redis-0", "0 %", "12.50 %", "1.05x"):
        assert not UNREADABLE.search(text), text


@settings(max_examples=25, deadline=None)
@given(extreme_stacks(), st.sampled_from([80, 200]))
def test_no_figure_of_any_plan_is_scientific_or_a_meaningless_zero(generated: Settings, columns: int) -> None:
    try:
        plan = derive_advice(generated)
    except PlanRefused as refusal:
        shown = "\n".join(refusal.messages)
    else:
        shown = render_plan(plan, generated, stack="prod", style=Style(columns))
        shown += render_sections(comparison({"a": plan, "b": plan}))
        assert max(map(len, shown.splitlines())) <= columns
        shown += re.sub(
            r"<svg.*?</svg>|<style>.*?</style>", "", render_page(plan, generated, stack="p"), flags=re.DOTALL
        )
    assert [shown[max(0, hit.start() - 60) : hit.end() + 30] for hit in UNREADABLE.finditer(shown)] == []


def titles(shown: str) -> list[str]:
    """Of the sections of a plan as text."""
    return re.findall(r"^([A-Z][A-Z ]+):", shown, re.MULTILINE)


def test_the_decision_comes_first_then_what_would_change_it_then_the_warnings_and_the_reasons() -> None:
    shown = option_1_text()
    assert shown.startswith("PLAN: stack prod, 16 masters + 16 replicas of 64GB on 9 x r6g.12xlarge\n")
    assert titles(shown) == [
        "PLAN",
        "ALTERNATIVES",
        "WARNINGS",
        "POD SIZES",
        "NODES",
        "COST",
        "WORKING SET",
        "NETWORK",
        "LATENCY",
        "RESILIENCE",
        "SCALING OUT",
        "CHANGING SIZE",
    ]
    assert re.search(
        r"^ALTERNATIVES: no Redis, S3 alone: 29,445 instead of 3\d\d,\d{3} USD a month$", shown, re.MULTILINE
    )


def test_alternatives_that_would_change_nothing_stand_below_the_warnings() -> None:
    idle = text(option_1(dutyCycle=0.01, p95LatencyMs=100))
    assert titles(idle)[:3] == ["PLAN", "WARNINGS", "ALTERNATIVES"]
    assert "ALTERNATIVES: USD a month, with all traffic" in idle


@pytest.mark.parametrize(
    "said",
    [
        "pods 32, which request 32 CPU cores together",
        "memory of a pod 77 GiB requested, limit 92 GiB",
        "memory of all pods 2,464 GiB requested, limit 2,944 GiB",
        "volume of a pod 77 GiB",
        "images 480,000 at a hit rate of 80 %",
        "478 GiB of 1,024 GiB (47 %)",
        "It leaves at least 10 of 16 masters.",
        "57.2 % if images had all of the memory",
        "sent to clients 4.0 Gbps by each master",
        "sent to replicas 0.8 Gbps by each master",
        "sent in total 4.8 Gbps by each master",
        "A miss is told as quickly, and then waits for the origin of the images.",
        "0 pods fit: 92.0 GiB memory limits of a pod, and 29.8 GiB",
    ],
)
def test_the_figures_that_matter_are_said(said: str) -> None:
    assert said in " ".join(option_1_text().split())


@pytest.mark.parametrize("rule", sorted(BOUNDS))
def test_the_rule_that_limits_a_stack_is_told_in_words(rule: str) -> None:
    plan = option_1_advice()
    shown = network(replace(plan, capacity=replace(plan.capacity, bound_by=rule)))
    (table,) = [block for block in shown.blocks if isinstance(block, Table)]
    said = table.rows[-1][-1]
    assert said in ("core", "core, in a full resync", "full resync", "network", "none", "p95", "replication")


def test_what_a_full_resync_needs_never_reads_as_if_it_fitted_where_a_warning_says_that_it_does_not() -> None:
    tight, roomy = words(option_1()), words(option_1(nodes={"instanceType": "r7g.12xlarge"}))
    assert "resync-of-full-master-does-not-fit" in tight
    assert "On a node full of busy masters, 1.6 Gbps are left. There a master needs up to 50 GiB" in tight
    assert "There the full resync of a full master does not fit." in tight
    assert re.search(r"Up to 210/s, the full resync of a full master fits at 5 Gbps\.", tight)
    assert "resync-of-full-master-does-not-fit" not in roomy
    assert "There the full resync of a full master fits." in roomy


def test_a_stack_without_nodes_says_nothing_of_nodes_and_cost() -> None:
    shown = text(option_1(zones=None))
    assert "COST" not in shown
    assert "NODES" not in shown
    assert "USD" not in shown
    assert "This assumes a network of 10 Gbps for each pod." in shown


def test_a_working_set_that_does_not_fit_says_what_would_help() -> None:
    shown = words(option_1(ttlSeconds=700))
    assert "to make it fit The warning working-set-exceeds-memory says what was tried." in shown
    assert re.search(r"otherwise From \d+ min( \d+ s)? after a start on, images are evicted\.", shown)


def test_the_parts_of_a_latency_add_up_to_its_p50_and_its_p95() -> None:
    shown = option_1_text().partition("LATENCY")[2].partition("RESILIENCE")[0]
    parts = [float(found) for found in re.findall(r"(?:flow|Redis|round trip) +([\d.]+) ms", shown)]
    waits = [tuple(map(float, found)) for found in re.findall(r"([\d.]+) ms \(p50\), ([\d.]+) ms \(p95\)", shown)]
    totals = [float(found) for found in re.findall(r"p(?:50|95) +([\d.]+) ms", shown)]
    assert len(parts) == 3
    assert len(waits) == 2
    # Each figure is rounded, those of 10 ms and more to whole ones.
    assert totals == pytest.approx([sum(parts) + sum(wait[at] for wait in waits) for at in (0, 1)], abs=1)


def test_a_queue_that_only_grows_is_called_unbounded_and_explained() -> None:
    shown = words(option_1(zones=None, requestsPerSecond=60_000, hitRate=0.98))
    assert "p95 latency of a hit unbounded predicted, 500 ms wanted" in shown
    assert "unbounded: more is asked for than can be answered" in shown


def test_spot_nodes_have_a_column_of_their_own() -> None:
    shown = text(option_1(nodes={"capacityType": "spot", "production": False}))
    assert re.search(r"nodes bought +spot  on demand  1 year  3 years", shown)


def pinned() -> dict[str, str]:
    digest = f"@sha256:{'0123456789abcdef' * 4}"
    return {"redis": f"redis:7.4-alpine{digest}", "python": f"python:3.13-alpine{digest}"}


def test_without_a_warning_there_is_no_section_for_them() -> None:
    safe = {"access": {**CLIENTS, "policiesEnforcedBy": "cilium"}, "images": pinned(), "tls": TLS}
    assert "WARNINGS" not in text(stack("4GB", "64GB", zones=None, requestsPerSecond=500, ttlSeconds=300, **safe))


def test_a_terminal_gets_colour() -> None:
    assert "\x1b[" in render_plan(option_1_advice(), option_1(), stack="prod", style=Style(color=True))


def test_markup_in_a_stack_name_is_shown_as_written() -> None:
    plan = option_1_advice()
    assert "stack [bold]x[/bold], 16 masters" in render_summary(plan, option_1(), stack="[bold]x[/bold]")


def test_the_plan_begins_with_its_summary() -> None:
    assert option_1_text().startswith(render_summary(option_1_advice(), option_1(), stack="prod"))


def test_resources_are_counted_by_type() -> None:
    resources = [Resource(f"urn{number}", "kubernetes:core/v1:Service", f"s{number}") for number in range(3)]
    shown = render_resources(resources)
    assert "RESOURCES: 3" in shown
    assert re.search(r"kubernetes:core/v1:Service\s+3", shown)


def test_the_plan_names_the_nodes_that_three_years_would_make_the_cheapest() -> None:
    assert "Paid for three years upfront, r6g.12xlarge is the cheapest too." in words(option_1())
    busy = words(stack("4GB", "128GB", requestsPerSecond=15_000, hitRate=0.96))
    cheapest = (
        "Paid for three years upfront, 22 nodes of m6in.2xlarge would be the cheapest: 3,084 USD a month instead of"
    )
    assert cheapest in busy
    assert "(--set nodes.instanceType=m6in.2xlarge)" in busy


def test_the_chosen_type_stands_among_the_others_with_its_root_volumes() -> None:
    assert re.search(r"r6g\.12xlarge \* +arm64 +9 +4 +96 % +15,930$", option_1_text(), re.MULTILINE)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (option_1(), "The price of r6g.12xlarge is that of us-east-1 on 2026-07-20."),
        (
            option_1(zones=FRANKFURT),
            "The price of r6g.12xlarge is that of eu-central-1 on 2025-03-02.",
        ),
        (
            option_1(zones=FRANKFURT, nodes={"instanceType": "r8i.12xlarge"}),
            "The price of r8i.12xlarge is that of eu-central-1; its source has no date.",
        ),
        (
            option_1(zones=SAO_PAULO, nodes={"instanceType": "r8g.12xlarge"}),
            "The price of r8g.12xlarge in sa-east-1 is not in the catalogue. That of us-east-1 is shown.",
        ),
    ],
)
def test_the_price_of_the_nodes_stands_with_its_day(settings: Settings, said: str) -> None:
    assert said in words(settings)


def test_the_plan_says_which_prices_are_not_of_the_region() -> None:
    elsewhere = "Volumes, the control plane and S3 are counted at the prices of us-east-1."
    estimated = "ElastiCache's prices in eu-central-1 are estimated"
    virginia, ireland, frankfurt = words(option_1()), words(option_1(zones=IRELAND)), words(option_1(zones=FRANKFURT))
    assert [elsewhere in text for text in (virginia, ireland, frankfurt)] == [False, True, True]
    assert estimated in frankfurt
    assert "are estimated: as many times" not in virginia + ireland


def test_the_plan_says_what_a_drain_and_a_spare_node_cost_and_how_long_a_lost_node_is_missed() -> None:
    pinned = {"instanceType": "r6g.12xlarge"}
    texts = [words(option_1(nodes={**pinned, "sparePerZone": count})) for count in (0, 1)]

    assert "its zone is given one more for the time, at 2.42 USD an hour" in texts[0]
    assert "1 spare node in each zone for the pods of one that is drained or lost: 5,310 USD a month" in texts[1]
    assert all("Their shards are without a second copy for up to 36 min 52 s" in text for text in texts)
    assert all("EKS replaces a node that only stops answering after 30 min" in text for text in texts)
