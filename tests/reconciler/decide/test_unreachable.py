"""Whether a node that does not answer may come back: everything that drops data asks this."""

from __future__ import annotations

import pytest

from reconciler.decide.unreachable import (
    is_agreed_failed,
    is_replaced,
    is_suspected,
    may_come_back,
    silent_ms,
)
from tests.reconciler.decide.cases import AWAY, Node, healthy, state_of


def test_a_node_is_replaced_when_its_pod_answers_with_another_id() -> None:
    assert not is_replaced(state_of(healthy(m1=AWAY)), "m1")
    assert is_replaced(state_of([*healthy(m1=AWAY), Node("new", pod="m1")]), "m1")
    # Another pod at its address proves nothing, when names are announced.
    assert not is_replaced(state_of([*healthy(m1=AWAY), Node("x", pod="other", ip="ip-m1")]), "m1")


def test_without_names_a_node_is_replaced_when_a_wanted_pod_answers_at_its_address_with_another_id() -> None:
    away = {**AWAY, "hostname": ""}
    assert is_replaced(state_of([*healthy(m1=away), Node("new", pod="m1", hostname="", ip="ip-m1")]), "m1")
    assert not is_replaced(state_of([*healthy(m1=away), Node("new", pod="m1", hostname="", ip="else")]), "m1")
    stranger = Node("new", pod="stranger", hostname="", ip="ip-m1")
    assert not is_replaced(state_of([*healthy(m1=away), stranger]), "m1")
    # Two nodes that both do not know their address are not at one address.
    lost = {("m0", "m1"): {"ip": ""}, ("m2", "m1"): {"ip": ""}}
    lost |= {(f"r{n}", "m1"): {"ip": ""} for n in range(3)}
    assert not is_replaced(state_of(healthy(m1=away), seen={**lost}), "m1")


@pytest.mark.parametrize(("flags", "expected"), [(frozenset({"noaddr"}), True), (frozenset({"fail"}), False)])
def test_a_node_without_an_address_is_replaced_when_every_wanted_pod_answers(
    flags: frozenset[str], expected: bool
) -> None:
    stranger = Node("gone", hostname="gone.test", answers=False, flags=flags)
    assert is_replaced(state_of([*healthy(), stranger]), "gone") == expected
    assert not is_replaced(state_of([*healthy(m2=AWAY), stranger]), "gone")


def test_one_node_that_lost_its_address_is_enough() -> None:
    stranger = Node("gone", hostname="gone.test", answers=False)
    state = state_of([*healthy(), stranger], seen={("m0", "gone"): {"flags": frozenset({"noaddr"})}})
    assert is_replaced(state, "gone")


def test_a_node_may_come_back_while_dns_has_its_name() -> None:
    nodes = [*healthy(), Node("gone", hostname="gone.test", answers=False)]
    assert may_come_back(state_of(nodes, other_hosts=("gone.test",)), "gone")
    assert not may_come_back(state_of(nodes, other_hosts=("else.test",)), "gone")


def test_a_node_may_come_back_with_a_wanted_pod_that_is_missing() -> None:
    assert may_come_back(state_of(healthy(m1=AWAY)), "m1")
    # Another pod is missing than the one it lived in.
    gone = Node("gone", hostname="gone.test", answers=False)
    assert not may_come_back(state_of([*healthy(m1=AWAY), gone]), "gone")
    # Its own pod answers with another id; that another is missing makes no difference.
    assert not may_come_back(state_of([*healthy(m1=AWAY, m2=AWAY), Node("new", pod="m1")]), "m1")
    # A node without a name may be any pod.
    assert may_come_back(state_of([*healthy(m1=AWAY), Node("gone", hostname="", answers=False)]), "gone")
    assert not may_come_back(state_of([*healthy(), Node("gone", hostname="", answers=False)]), "gone")


def test_a_node_is_silent_for_as_long_as_the_last_one_that_heard_of_it_says() -> None:
    seen = {("m0", "m1"): {"silent_ms": 50}, ("m2", "m1"): {"silent_ms": 0}}
    assert silent_ms(state_of(healthy(m1={**AWAY, "silent_ms": 70}), seen={**seen}), "m1") == 50
    assert silent_ms(state_of(healthy(m1=AWAY)), "m1") == 0


@pytest.mark.parametrize(
    ("all_flags", "one_flag", "suspected", "failed"),
    [
        ("fail", "fail", True, True),
        ("fail", "noaddr", True, True),
        ("fail", "fail?", True, False),
        ("fail?", "fail?", True, False),
        ("fail", "master", False, False),
    ],
)
def test_a_node_has_failed_only_when_all_that_know_it_say_so(
    all_flags: str, one_flag: str, suspected: bool, failed: bool
) -> None:
    nodes = healthy(m1={"answers": False, "flags": frozenset({all_flags})})
    state = state_of(nodes, seen={("r2", "m1"): {"flags": frozenset({one_flag})}})
    assert is_suspected(state, "m1") == suspected
    assert is_agreed_failed(state, "m1") == failed


def test_a_node_that_nobody_knows_has_not_failed() -> None:
    assert not is_agreed_failed(state_of(healthy()), "nobody")
