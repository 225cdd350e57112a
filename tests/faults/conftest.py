"""The clusters that faults are tried on: each module has its own, and its tests take turns on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.deployment import Deployment, ours, plain, zoned


def _name(request: pytest.FixtureRequest) -> str:
    return str(request.module.__name__).rpartition(".")[2].replace("_", "-")


@pytest.fixture(scope="module")
def stack(request: pytest.FixtureRequest) -> Iterator[Deployment]:
    """The stack `local` as rendered, whole before each test (see `whole`)."""
    with ours(_name(request)) as deployment:
        yield deployment


@pytest.fixture(scope="module")
def stack_in_zones(request: pytest.FixtureRequest) -> Iterator[Deployment]:
    with zoned(_name(request)) as deployment:
        yield deployment


@pytest.fixture(scope="module")
def plain_stack(request: pytest.FixtureRequest) -> Iterator[Deployment]:
    with plain(_name(request)) as deployment:
        yield deployment


@pytest.fixture
def whole(stack: Deployment) -> Deployment:
    """Nobody mends what an earlier test left: it must have come back by itself."""
    stack.wait_whole(150)
    return stack
