"""A master's machine is lost silently that the applications of `examples/` read from. Those who ask them see nothing
fail: the master's replica has every image, and serves it before it is promoted."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.faults import FAILOVER_S
from tests.examples import together
from tests.examples.programs import Program
from tests.examples.test_applications import each_program
from tests.examples.together import errors
from tests.faults.deployment import Deployment
from tests.faults.stacks import ours

pytestmark = pytest.mark.sandbox

_REPLICAS_AWAY_MS = 10
"""Added to what replicas are sent and send: masters are the nearest copies then, and the lost one is read from."""
_CALM_S, _WATCH_S = 2.0, 4.0


def _lost(deployment: Deployment) -> None:
    """A master's machine, until its replica has been master for a while."""
    time.sleep(_CALM_S)
    master, (replica,) = deployment.copies(0)

    def is_promoted() -> bool:
        view = deployment.view(replica)
        return view is not None and view.is_master

    deployment.fault("lose-pod", pod=master)
    assert deployment.until(is_promoted, FAILOVER_S) is not None
    time.sleep(_WATCH_S)


@pytest.fixture(scope="module")
def reports() -> Iterator[dict[str, Any]]:
    """Application -> what was seen of it; all went through the same fault."""
    with ours("test-example-lost") as deployment, tempfile.TemporaryDirectory(prefix="lost-") as folder:
        for pod in deployment.pods():
            if pod.startswith("redis-replica"):
                deployment.fault("slow-link", pod=pod, delay_ms=_REPLICAS_AWAY_MS)
        yield together.reports(deployment, Path(folder), lambda: _lost(deployment))


@each_program
def test_no_request_fails_while_a_master_is_lost(reports: dict[str, Any], program: Program) -> None:
    report = reports[program.name]
    print(f"{program.name}: {report['asked']} asked, the longest {report['longest_s']:.2f} s")
    assert report["warm"]
    assert report["asked"] > 100
    assert report["failed"] == []


@each_program
def test_every_image_that_the_cache_has_still_comes_from_it(reports: dict[str, Any], program: Program) -> None:
    report = reports[program.name]
    assert errors(report, "get") == 0
    assert report["fetched_again"] == []


@each_program
def test_a_new_image_is_fetched_once_while_it_waits_to_be_stored(reports: dict[str, Any], program: Program) -> None:
    report = reports[program.name]
    assert len(report["new"]) > 20
    assert report["new_fetched_again"] == []


@each_program
def test_an_image_that_cannot_be_stored_is_sent_all_the_same(reports: dict[str, Any], program: Program) -> None:
    """Also says that the fault was one: otherwise the tests above could not fail."""
    assert errors(reports[program.name], "set") > 0
