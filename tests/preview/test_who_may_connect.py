"""What an edit means for clients: who may connect before it and after it, and as which user."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.manifests.manifest import Manifest
from components.manifests.policies import network_policies
from components.manifests.stateful_set import stateful_set
from components.plan.plan import derive_plan
from preview.diff.clients import clients_told, peers, users_told
from preview.diff.edit import Danger, Edit
from preview.diff.revision import access
from preview.resources import Resource
from tests.plan.stacks import option_1

NAMESPACES = ("images", "shop", "web")
LABELS = ({}, {"app": "a"}, {"app": "b"}, {"app": "a", "tier": "front"})
"""Of pods that want to connect."""
SELECTIONS = tuple(f"{space}/{labels}" for space in NAMESPACES for labels in ("app=a", "app=b", "app=a,tier=front"))
named = st.fixed_dictionaries(
    {
        "allowFromNamespaces": st.lists(st.sampled_from(NAMESPACES), unique=True),
        "allowFromPods": st.lists(st.sampled_from(SELECTIONS), unique=True),
    }
)


@cache
def pods() -> Manifest:
    """Of a pool: whom they let in does not change them."""
    settings = option_1()
    return stateful_set(settings, derive_plan(settings), 0)


def rendered(**access: Any) -> tuple[Resource, ...]:
    """The policies of a pool with this map `access`, and the pods that they are about."""
    manifests = (*network_policies(option_1(access=access, nodes={"production": False})), pods())
    return tuple(Resource(item.key, f"kubernetes:x/v1:{item.kind}", item.key, inputs=item.body) for item in manifests)


def are_let_in(access: dict[str, Any], namespace: str, labels: dict[str, str]) -> bool:
    """By the config alone: whether pods of a namespace with these labels may connect."""
    selected = [text.partition("/") for text in access["allowFromPods"]]
    return (
        not (access["allowFromNamespaces"] or selected)
        or namespace in access["allowFromNamespaces"]
        or any(
            space == namespace and dict(pair.split("=") for pair in wanted.split(",")).items() <= labels.items()
            for space, _, wanted in selected
        )
    )


@given(before=named, after=named)
def test_whoever_can_no_longer_connect_is_a_danger_and_whoever_newly_can_is_told(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    told = clients_told(Edit.between(rendered(**before), rendered(**after)))
    # A namespace that no config names stands for whoever else there is.
    all_pods = [(space, labels) for space in (*NAMESPACES, "elsewhere") for labels in LABELS]
    was, can = ({index for index, pod in enumerate(all_pods) if are_let_in(side, *pod)} for side in (before, after))

    assert any(isinstance(item, Danger) for item in told) == bool(was - can)
    assert bool(told) == (was != can)


def test_who_is_named_in_place_of_another_is_said_in_one_sentence() -> None:
    (danger,) = clients_told(
        Edit.between(rendered(allowFromNamespaces=["images"]), rendered(allowFromNamespaces=["shop"]))
    )
    assert danger == Danger("Pods of namespace images can no longer connect; pods of namespace shop can.")
    (danger,) = clients_told(
        Edit.between(rendered(allowFromNamespaces=["images"]), rendered(allowFromPods=["images/app=a"]))
    )
    assert danger == Danger("Pods of namespace images can no longer connect; pods images/app=a can.")
    (danger,) = clients_told(Edit.between(rendered(), rendered(allowFromNamespaces=["images"])))
    assert danger == Danger("Whoever reaches the pods can no longer connect; pods of namespace images can.")
    (told,) = clients_told(Edit.between(rendered(allowFromNamespaces=["images"]), rendered()))
    assert told == "Whoever reaches the pods can connect from now on."


def test_the_pods_and_jobs_of_pools_and_prometheus_are_no_clients() -> None:
    assert {str(peer) for peer in peers(rendered(allowFromNamespaces=["images"]))} == {"pods of namespace images"}


def users(before: dict[str, Any], after: dict[str, Any]) -> tuple[Danger | str, ...]:
    return users_told(Edit.between((), (), (before, after)))


@pytest.mark.parametrize(
    ("before", "after", "danger"),
    [
        ({"defaultUser": "app"}, {}, "Clients that give a password without a user are refused from now on. "),
        ({"defaultUser": "everything"}, {"defaultUser": "refused"}, "Clients that give a password without a user are "),
        ({"defaultUser": "everything"}, {"defaultUser": "app"}, "Clients that give a password without a user may do "),
        ({}, {"defaultUser": "everything"}, "Clients that give a password without a user may do everything from now "),
        ({}, {"keyPrefix": "images:"}, 'Clients may use only keys that begin with "images:" from now on. SCAN, RANDOM'),
        ({"keyPrefix": "a:"}, {"keyPrefix": "b:"}, 'Clients may use only keys that begin with "b:" from now on. Every'),
        ({"scripts": "the shop counts in Lua"}, {}, "Scripts and functions of clients (EVAL, FCALL) are refused "),
        ({"alsoAccepted": "old"}, {}, "Clients that give the password that was access.alsoAccepted are refused "),
        (
            {"password": "new", "alsoAccepted": "old"},
            {"password": "old"},
            "Clients that give the password that was access.password are refused from now on.",
        ),
        ({"password": "old"}, {"password": "new"}, "access.password changes, and access.alsoAccepted does not keep "),
        ({"password": "old"}, {}, "access.password changes, and access.alsoAccepted does not keep the one of before"),
        ({}, {"password": "new", "alsoAccepted": "made"}, "access.password changes. The Job release refuses this "),
    ],
)
def test_what_clients_lose_or_anybody_gains_is_a_danger(
    before: dict[str, Any], after: dict[str, Any], danger: str
) -> None:
    (told,) = users(before, after)
    assert isinstance(told, Danger)
    assert told.text.startswith(danger)


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ({}, {"defaultUser": "app"}, "Clients that give a password without a user are let in from now on, with "),
        ({"keyPrefix": "images:"}, {}, "Clients may use every key from now on, and not only those that begin with "),
        ({"keyPrefix": "a:b:"}, {"keyPrefix": "a:"}, 'Clients may use only keys that begin with "a:" from now on, and'),
        ({}, {"scripts": "the shop counts in Lua"}, "Clients may run scripts and functions (EVAL, FCALL) from now on."),
        ({}, {"alsoAccepted": "other"}, "Clients may give either of access.password and access.alsoAccepted from now "),
        (
            {"password": "old"},
            {"password": "new", "alsoAccepted": "old"},
            "Clients may give either of access.password and access.alsoAccepted from now on.",
        ),
    ],
)
def test_what_clients_gain_is_told(before: dict[str, Any], after: dict[str, Any], sentence: str) -> None:
    (told,) = users(before, after)
    assert isinstance(told, str)
    assert told.startswith(sentence)


def test_an_encrypted_password_is_another_one_unless_it_was_encrypted_anew() -> None:
    former, again = {"password": {"secure": "v1:a"}}, {"password": {"secure": "v1:b"}}
    assert users(former, former) == ()
    (told,) = users(former, again)
    assert isinstance(told, Danger)
    assert told.instead == (
        "refused by the Job release: access.password changes in one edit, unless it is the same password, encrypted "
        "anew"
    )
    (told,) = users(former, again | {"alsoAccepted": {"secure": "v1:c"}})
    assert isinstance(told, Danger)
    assert "unless access.alsoAccepted is the password of before" in told.text
    (told,) = users(former, former | {"alsoAccepted": {"secure": "v1:c"}})
    assert told == "Clients may give either of access.password and access.alsoAccepted from now on."


def test_an_encrypted_password_is_read_as_it_stands_in_the_stack_file(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text(Path("Pulumi.yaml").read_text())
    (tmp_path / "Pulumi.kept.yaml").write_text(
        "config:\n  redis-image-cache:access:\n    keyPrefix: 'a:'\n    password:\n      secure: v1:abc\n"
    )
    assert access("kept", {}, tmp_path) == {"keyPrefix": "a:", "password": {"secure": "v1:abc"}}
    assert access("kept", {"access.password": "correct-horse"}, tmp_path)["password"] == "correct-horse"  # noqa: S105


passwords = st.sampled_from(["one", "two", "three"])


@given(
    before=st.fixed_dictionaries({}, optional={"password": passwords, "alsoAccepted": passwords}),
    after=st.fixed_dictionaries({}, optional={"password": passwords, "alsoAccepted": passwords}),
)
def test_a_password_that_no_node_knows_never_comes_without_a_danger(
    before: dict[str, str], after: dict[str, str]
) -> None:
    """The password that is not named is the stack's own, which is none of these."""
    known, accepted = ({side.get("password", "made"), side.get("alsoAccepted")} - {None} for side in (before, after))
    told = users(before, after)

    assert bool(told) == (known != accepted)
    assert any(isinstance(item, Danger) for item in told) == bool(known - accepted)
    refused = any(isinstance(item, Danger) and item.instead for item in told)
    assert refused == (not known & accepted and "alsoAccepted" not in after)


def test_without_the_config_of_before_nothing_is_said_of_users() -> None:
    assert users_told(Edit.between((), ())) == ()
