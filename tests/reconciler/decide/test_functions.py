"""Which libraries of functions a master gets, and which it keeps."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reconciler.decide.actions import LoadLibrary
from reconciler.decide.functions import copy_libraries
from reconciler.observe.observation import Library
from reconciler.slots import NO_SLOTS
from tests.reconciler.decide.cases import Node, healthy, state_of, wanted


def library(name: str, version: str = "1", *functions: str) -> Library:
    return Library(name, frozenset(functions or (f"f_{name}",)), f"#!lua name={name}\n-- {version}".encode())


A, A2, B = library("a"), library("a", "2"), library("b")
JOINING = [Node("m3"), Node("r3", master="m3")]
"""A shard that has just joined, without slots."""


def cluster(*libraries: tuple[Library, ...], joining: tuple[Library, ...] = ()) -> list[Node]:
    """Three masters with slots and these libraries, and a shard without slots."""
    changes = {f"m{shard}": {"libraries": held} for shard, held in enumerate(libraries)}
    return [*healthy(**changes), Node("m3", libraries=joining, epoch=4), Node("r3", master="m3", epoch=4)]


def loads(nodes: list[Node]) -> list[tuple[str, Library, bool]]:
    """Which node gets which library, and whether it replaces another version there."""
    known = {held.code: held for node in nodes for held in node.libraries}
    actions = copy_libraries(state_of(nodes, wanted(4))).actions
    found = []
    for action in actions:
        assert isinstance(action, LoadLibrary)
        assert known[action.code].name == action.library
        found.append((action.node, known[action.code], action.replaces))
    return found


def notes(nodes: list[Node]) -> str:
    return " / ".join(copy_libraries(state_of(nodes, wanted(4))).notes)


def test_a_cluster_without_functions_is_left_alone() -> None:
    assert copy_libraries(state_of(healthy())).done
    assert loads(cluster((), (), ())) == []


def test_a_master_that_joins_gets_every_library_of_those_that_serve() -> None:
    assert loads(cluster((A, B), (A, B), (A, B))) == [("m3", A, False), ("m3", B, False)]


def test_libraries_that_only_some_masters_have_are_given_to_all() -> None:
    given_to = loads(cluster((A,), (B,), ()))
    assert sorted((node, held.name) for node, held, _ in given_to) == [
        ("m0", "b"),
        ("m1", "a"),
        ("m2", "a"),
        ("m2", "b"),
        ("m3", "a"),
        ("m3", "b"),
    ]


def test_of_two_versions_the_one_that_most_owners_have_is_copied() -> None:
    assert loads(cluster((A,), (A2,), (A2,))) == [("m3", A2, False)]
    assert loads(cluster((A2,), (A,), (A,))) == [("m3", A, False)]
    # The master without slots has no say, whatever its version.
    assert loads(cluster((A,), (A,), (), joining=(A2,))) == [("m2", A, False), ("m3", A, True)]


def test_a_master_that_serves_keeps_its_version_and_the_log_says_so() -> None:
    nodes = cluster((A,), (A2,), (A2,))
    assert "m0" not in {node for node, _, _ in loads(nodes)}
    assert "m0 has another version of the library a" in notes(nodes)
    assert "FUNCTION LOAD REPLACE" in notes(nodes)


def test_of_versions_with_equally_many_owners_the_one_for_more_slots_is_copied() -> None:
    nodes = healthy(4, m0={"libraries": (A,)}, m1={"libraries": (A2,), "slots": NO_SLOTS})
    nodes[1] = Node("m1", nodes[2].slots >> 1 & nodes[2].slots, libraries=(A2,), epoch=2)
    nodes[2] = Node("m2", nodes[2].slots & ~nodes[1].slots, epoch=3)
    assert {held for node, held, _ in loads(nodes) if node == "m2"} == {A}


def test_a_library_whose_function_is_in_another_library_too_is_not_copied_and_the_log_says_so() -> None:
    renamed = library("renamed", "1", "f_a")
    nodes = cluster((A,), (A,), (renamed,))
    assert loads(nodes) == [("m3", A, False)]
    assert "the library renamed is not copied to other masters: its function f_a is in the library a too" in notes(
        nodes
    )
    assert "m2 does not get the library a: its function f_a is in the library renamed too" in notes(nodes)


def test_replicas_and_masters_that_leave_get_nothing() -> None:
    leaving = Node("old", healthy()[2].slots, epoch=9)
    nodes = [*healthy(m0={"libraries": (A,)}, m2={"slots": NO_SLOTS}), leaving]
    given_to = {action.node for action in copy_libraries(state_of(nodes)).actions if isinstance(action, LoadLibrary)}
    assert given_to == {"m1", "m2"}


def test_the_libraries_of_a_node_outside_the_cluster_are_not_copied() -> None:
    nodes = cluster((), (), (), joining=(A,))
    alone: dict[tuple[str, str], None] = {}
    for other in ("m0", "m1", "m2", "r0", "r1", "r2", "r3"):
        alone |= {("m3", other): None, (other, "m3"): None}
    assert copy_libraries(state_of(nodes, wanted(4), seen=dict(alone))).actions == ()


HELD = st.lists(st.sampled_from([A, A2, B]), max_size=2, unique_by=lambda held: held.name).map(tuple)


@given(st.tuples(HELD, HELD, HELD), HELD)
def test_afterwards_every_master_has_every_name_and_nothing_more_is_done(
    held: tuple[tuple[Library, ...], tuple[Library, ...], tuple[Library, ...]], joining: tuple[Library, ...]
) -> None:
    nodes = cluster(*held, joining=joining)
    after = {node.name: {found.name: found for found in node.libraries} for node in nodes if node.master is None}
    for name, loaded, replaces in loads(nodes):
        assert (loaded.name in after[name]) == replaces
        # Nobody who serves has a version taken away.
        assert not replaces or name == "m3"
        after[name][loaded.name] = loaded
    names = {found.name for libraries in after.values() for found in libraries.values()}
    assert all(set(libraries) == names for libraries in after.values())
    again = cluster(*(tuple(after[f"m{shard}"].values()) for shard in range(3)), joining=tuple(after["m3"].values()))
    assert loads(again) == []
