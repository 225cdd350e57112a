"""`--fail-on`: when a plan fails, and what it may be asked."""

from __future__ import annotations

import argparse

import pytest
from hypothesis import assume, given, settings

from components.advice.advice import Advice, derive_advice
from components.config.settings import Settings
from components.plan.refusal import PlanRefused
from preview import command
from preview.thresholds import codes, failures, threshold
from tests.plan.stacks import option_1
from tests.preview.stacks import option_1_advice, stacks


def reasons(plan: Advice, *texts: str) -> list[str]:
    return failures([threshold(text) for text in texts], plan)


def test_a_ceiling_fails_the_plan_that_costs_more_and_no_other() -> None:
    plan = option_1_advice()
    assert plan.cost is not None
    cost = plan.cost.infrastructure_usd

    assert reasons(plan, f"cost={cost}") == []
    (reason,) = reasons(plan, f"cost={cost - 1}")
    assert f"{cost:,.0f} USD a month without traffic is above the ceiling" in reason


def test_a_ceiling_for_a_stack_whose_cost_nobody_knows_fails() -> None:
    (reason,) = reasons(derive_advice(option_1(zones=None)), "cost=1")
    assert "no nodes of its own" in reason


def test_a_capacity_fails_the_plan_that_carries_less() -> None:
    plan = option_1_advice()
    assert reasons(plan, f"capacity={plan.capacity.headroom}") == []
    assert len(reasons(plan, f"capacity={plan.capacity.headroom + 0.01}")) == 1


def test_a_named_warning_fails_the_plan_that_has_it() -> None:
    plan = option_1_advice()
    code = plan.warnings[0].code
    (reason,) = reasons(plan, f"warning={code}")
    assert plan.warnings[0].what in reason
    assert (
        reasons(plan, f"warning={next(name for name in codes() if name not in {w.code for w in plan.warnings})}") == []
    )


def test_all_reasons_come_at_once() -> None:
    assert len(reasons(option_1_advice(), "cost=1", "capacity=99", "warning=network-at-capacity")) == 3


@settings(max_examples=15, deadline=None)
@given(stacks())
def test_every_warning_of_a_plan_can_be_named(generated: Settings) -> None:
    try:
        plan = derive_advice(generated)
    except PlanRefused:
        assume(False)
    assert {warning.code for warning in plan.warnings} <= set(codes())


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("cost", "must be one of cost=USD"),
        ("cost=", "must be one of cost=USD"),
        ("", "must be one of cost=USD"),
        ("capcity=1", "did you mean capacity=…?"),
        ("cost=much", "must be a number above 0, such as cost=20000"),
        ("cost=-1", "must be a number above 0"),
        ("capacity=0", "must be a number above 0, such as capacity=1.0"),
        ("capacity=nan", "must be a number above 0"),
        ("capacity=inf", "must be a number above 0"),
        ("warning=p95", "the codes are "),
        ("warning=network-at-capcity", "did you mean network-at-capacity?"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_what_can(text: str, fragment: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError) as refusal:
        threshold(text)
    assert fragment in str(refusal.value)


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (["--fail-on", "cost=x"], "argument --fail-on: cost=x: must be a number above 0"),
        (["--diff", "HEAD", "--json"], "argument --diff: not allowed with argument --json"),
        (["--diff", "HEAD", "--compare", "64GB,32GB"], "argument --diff: not allowed with argument --compare"),
        (
            ["--diff", "HEAD", "--measured-memory", "1GB"],
            "argument --measured-memory: not allowed with argument --diff",
        ),
        (["--json", "--compression", "0.3"], "argument --compression: not allowed with argument --json"),
        (["--compare", "64GB,32GB", "--fail-on", "cost=1"], "argument --fail-on: not allowed with argument --compare"),
        (["--json", "--markdown"], "not allowed with argument --json"),
    ],
    ids=" ".join,
)
def test_a_wrong_call_ends_with_status_2(
    arguments: list[str], fragment: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status: object = command.main(arguments)
    except SystemExit as ended:
        status = ended.code
    assert status == 2
    assert fragment in capsys.readouterr().err


def test_the_help_names_every_exit_status(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    for status in ("1 when the stack is refused", "2 for a wrong call", "3 when the plan", "130 for Ctrl-C"):
        assert status in shown


def test_a_plan_alone_is_judged_too_and_still_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--stack", "prod", "--fail-on", "capacity=2"]) == 3
    shown = capsys.readouterr()
    assert shown.out.startswith("PLAN: stack prod")
    assert shown.err == "--fail-on: capacity: 1.02x of what is wanted is below the 2.00x that must be kept\n"


def test_a_plan_that_keeps_to_everything_ends_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--fail-on", "cost=1000000", "--fail-on", "capacity=1.0", "--json"]) == 0
    assert capsys.readouterr().err == ""
