"""The clusters that faults are tried on: each module has its own, and its tests take turns on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults import planned
from tests.faults.deployment import Deployment
from tests.faults.stacks import ours, plain, zoned
from tests.tested_server import has_tls


def _name(request: pytest.FixtureRequest) -> str:
    return str(request.module.__name__).rpartition(".")[2].replace("_", "-")


@pytest.fixture(scope="module")
def stack(request: pytest.FixtureRequest) -> Iterator[Deployment]:
    """The stack `local` as rendered, whole before each test (see `whole`)."""
    with ours(_name(request)) as deployment:
        yield deployment


@pytest.fixture(scope="module")
def stack_in_zones(request: pytest.FixtureRequest) -> Iterator[Deployment]:
    if not has_tls():
        pytest.skip("stack prod has TLS, and this server was built without")
    with zoned(_name(request)) as deployment:
        yield deployment


@pytest.fixture(scope="module")
def plain_stack(request: pytest.FixtureRequest) -> Iterator[Deployment]:
    with plain(_name(request)) as deployment:
        yield deployment


@pytest.fixture
def whole(stack: Deployment) -> Deployment:
    """What an earlier test left must have come back by itself; only its own repair Job is run, to be out of the way."""
    stack.wait_whole(150)
    planned.go_home(stack)
    return stack
