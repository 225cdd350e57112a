"""A sandbox per test module; each test gives it its own resources, and what it had before is deleted then."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

import pytest

from sandbox.control.client import Sandbox


@pytest.fixture(scope="module")
def shared_sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    with Sandbox(f"test-{os.getpid()}-{request.module.__name__}") as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(shared_sandbox: Sandbox) -> Iterator[Sandbox]:
    yield shared_sandbox
    shared_sandbox.fault("heal")
    shared_sandbox.apply([])


def eventually(condition: Callable[[], bool], within_s: float, what: str) -> None:
    """Fails, saying what did not happen, unless `condition` comes true in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {within_s:g} s: {what}")
        time.sleep(0.05)
