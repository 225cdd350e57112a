"""Nothing that may still hold slots is deleted by an update whose earlier steps failed."""

from types import SimpleNamespace
from typing import Any, cast

import pulumi
import pytest

from components.resources.guard import DeletionGuard
from preview.engine import record
from tests.resources.stacks import OPTIONS, stack


def asked(guard: DeletionGuard, resource: str) -> None:
    """What the engine does before it deletes a resource that has the guard's hook."""
    (hook,) = guard.hooks.before_delete or ()
    cast(Any, hook).callback(SimpleNamespace(name=resource))


class Service(pulumi.CustomResource):
    def __init__(self) -> None:
        super().__init__("kubernetes:core/v1:Service", "client", {"metadata": {"name": "redis"}})


def guard_of(*, client_is_served: bool) -> DeletionGuard:
    guards: list[DeletionGuard] = []

    def program() -> None:
        guards.append(DeletionGuard("images"))
        if client_is_served:
            guards[0].lift_after(Service())

    record(program, "project", "stack")
    return guards[0]


def test_a_delete_is_refused_until_clients_are_sent_to_the_pool_of_the_config() -> None:
    with pytest.raises(RuntimeError, match="redis-master is kept: a step of this update failed"):
        asked(guard_of(client_is_served=False), "redis-master")


def test_it_goes_once_clients_are_served() -> None:
    asked(guard_of(client_is_served=True), "redis-master")


@pytest.mark.parametrize("pod_memory", OPTIONS)
def test_everything_of_a_pool_and_of_its_nodes_is_guarded_by_one_name_for_ever(pod_memory: str) -> None:
    """Resources that are gone from the program are found by the name of their hook alone."""
    resources = stack("prod", podMemory=pod_memory).resources
    groups = {item.urn for item in resources if item.type.endswith((":RedisPool", ":RedisNodeGroups"))}
    inside = [item for item in resources if item.parent in groups]

    assert len(inside) > 40
    assert {tuple(item.options.get("beforeDelete", ())) for item in inside} == {("images-keep-what-serves",)}
