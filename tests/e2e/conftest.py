"""The suite on a real engine. `make e2e` runs it; without the ground it needs, all of it is skipped."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import given
from tests.e2e.harness.local import LocalStack
from tests.e2e.harness.report import say


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            if not given.is_own() and "KUBECONFIG" not in os.environ:
                item.add_marker(pytest.mark.skip(reason="needs a cluster of its own or KUBECONFIG: `make e2e`"))
            # The event log's threads and the CLI's pipes are closed by the Automation API in its own time.
            item.add_marker(pytest.mark.filterwarnings("default"))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """The reason of a failure at once: the run may be ended before pytest gives its summary."""
    if report.failed:
        lines = [line for line in report.longreprtext.splitlines() if line.startswith("E ")]
        say("\n".join([f"FAILED ({report.when}) {report.nodeid}", *(line[:300] for line in lines[:8])]))


@pytest.fixture(autouse=True)
def progress(request: pytest.FixtureRequest) -> Iterator[None]:
    """Says which test runs and how long it took."""
    say(f"{request.node.name} …")
    began = time.monotonic()
    yield
    say(f"{request.node.name}: {time.monotonic() - began:.0f} s")


@pytest.fixture(scope="session")
def ground() -> Iterator[given.Ground]:
    """A cluster with a real node."""
    with given.ground(with_node=True) as found:
        yield found


@pytest.fixture(scope="session")
def stack(ground: given.Ground, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """Stack `local`, not up yet; taken down after all tests where the cluster is not ours to throw away."""
    found = LocalStack(ground, tmp_path_factory.mktemp("local"))
    yield found
    if not ground.is_own and found.engine.resources():
        found.engine.destroy()


@pytest.fixture(scope="module")
def up_once(stack: LocalStack) -> LocalStack:
    """The same, up and formed as its file and `LocalStack` have it: files that ran before may have edited it."""
    stack.as_committed()
    return stack


@pytest.fixture
def local(up_once: LocalStack) -> Iterator[LocalStack]:
    """The same, with no update under way before and after the test."""
    yield up_once
    up_once.engine.settle()
