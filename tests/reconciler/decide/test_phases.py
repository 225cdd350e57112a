"""How the next step of a phase comes of its rules: the first that acts or must wait is the answer."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reconciler.decide import phases
from reconciler.decide.actions import Action, Reset, RuleResult
from reconciler.decide.phases import FORM, PHASES, RELEASE, REPAIR, next_step
from reconciler.decide.state import ClusterState
from tests.reconciler.decide.cases import healthy, state_of, wanted

ACT: Action = Reset("node", "why")
STATE = state_of(healthy())


def step(monkeypatch: pytest.MonkeyPatch, phase: str, *results: RuleResult) -> RuleResult:
    def rule(result: RuleResult) -> Callable[[ClusterState], RuleResult]:
        def its_rule(state: ClusterState) -> RuleResult:
            return result

        return its_rule

    monkeypatch.setitem(phases.PHASES, phase, tuple(map(rule, results)))
    return next_step(phase, STATE.observation, wanted())


ACTING = RuleResult((ACT,))
WAITING = RuleResult(waiting=("for a pod",))
ITS_RULE = ("test_phases.its_rule",)
"""Whose waiting it is, said by the step of a phase."""
NOTING = RuleResult(notes=("a note",))
REFUSING = RuleResult(refused="no")
FINISHING = RuleResult(finished=True)


@pytest.mark.parametrize("phase", ["form", "release"])
def test_form_and_release_stop_at_the_first_rule_that_waits(monkeypatch: pytest.MonkeyPatch, phase: str) -> None:
    expected = RuleResult(waiting=("for a pod",), notes=("a note",), waiting_rules=ITS_RULE)
    assert step(monkeypatch, phase, NOTING, WAITING, ACTING) == expected


def test_a_repair_goes_on_past_what_it_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = RuleResult((ACT,), ("for a pod",), waiting_rules=ITS_RULE)
    assert step(monkeypatch, "repair", WAITING, ACTING, REFUSING) == expected
    expected = RuleResult(waiting=("for a pod",), notes=("a note",), waiting_rules=ITS_RULE)
    assert step(monkeypatch, "repair", WAITING, NOTING) == expected


@pytest.mark.parametrize("phase", sorted(PHASES))
def test_the_first_rule_that_acts_or_refuses_is_the_answer(monkeypatch: pytest.MonkeyPatch, phase: str) -> None:
    assert step(monkeypatch, phase, ACTING, REFUSING) == ACTING
    assert step(monkeypatch, phase, REFUSING, ACTING) == REFUSING
    assert step(monkeypatch, phase, FINISHING, ACTING).done
    assert step(monkeypatch, phase).done


def test_what_is_done_neither_acts_nor_waits_nor_refuses() -> None:
    assert NOTING.done
    assert not any(result.done for result in (ACTING, WAITING, REFUSING))


@pytest.mark.parametrize("phase", sorted(PHASES))
def test_a_healthy_cluster_needs_nothing_in_any_phase(phase: str) -> None:
    assert next_step(phase, STATE.observation, wanted()).done


def position(rules: tuple[phases.Rule, ...], name: str) -> int:
    return [rule.__name__ for rule in rules].index(name)


@pytest.mark.parametrize("rules", [FORM, REPAIR, RELEASE])
def test_other_runs_and_second_clusters_are_ruled_out_before_anything_is_done(rules: tuple[phases.Rule, ...]) -> None:
    assert rules[0].__name__ in ("await_other_runs", "leave_to_other_runs")
    assert rules[1].__name__ == "refuse_two_clusters"


@pytest.mark.parametrize(
    ("rules", "first", "later"),
    [
        (FORM, "await_seeds", "set_config_epochs"),
        (FORM, "refuse_unexpected_keys", "meet"),
        (FORM, "set_config_epochs", "meet"),
        (FORM, "await_agreement", "assign_unowned_slots"),
        (FORM, "finish_half_moved_slots", "even_out_slots"),
        (FORM, "fail_over_to_staying_replicas", "attach_replicas"),
        (FORM, "await_replicas_in_sync", "even_out_slots"),
        (FORM, "attach_replicas", "copy_libraries"),
        (FORM, "copy_libraries", "even_out_slots"),
        (RELEASE, "copy_libraries", "drain_leaving_nodes"),
        # A library that cannot be loaded is tried again and again, and what comes after it is not reached.
        (REPAIR, "replace_failed_owners", "copy_libraries"),
        (REPAIR, "assign_unowned_slots", "copy_libraries"),
        (REPAIR, "attach_replicas", "copy_libraries"),
        (REPAIR, "replace_failed_owners", "forget_failed_nodes"),
        (REPAIR, "finish_unless_formed", "meet"),
        (REPAIR, "attach_replicas", "restore_initial_masters"),
        (RELEASE, "await_every_member", "drain_leaving_nodes"),
        (RELEASE, "fail_over_to_staying_replicas", "drain_leaving_nodes"),
        (RELEASE, "drain_leaving_nodes", "forget_leaving_nodes"),
    ],
)
def test_a_rule_comes_after_those_it_builds_on(rules: tuple[phases.Rule, ...], first: str, later: str) -> None:
    assert position(rules, first) < position(rules, later)
