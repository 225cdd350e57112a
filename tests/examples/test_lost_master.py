"""A master's machine is lost silently that the applications of `examples/` read from. Those who ask them see nothing
fail: the master's replica has every image, and serves it before it is promoted."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.clients.faults import FAILOVER_S
from tests.examples.programs import PROGRAMS, Program
from tests.examples.test_applications import counted, each_program
from tests.faults.deployment import Deployment
from tests.faults.stacks import ours

pytestmark = pytest.mark.sandbox

_READY_WITHIN_S = 120.0
_REPLICAS_AWAY_MS = 10
"""Added to what replicas are sent and send: masters are the nearest copies then, and the lost one is read from."""
_CALM_S, _WATCH_S = 2.0, 4.0
_PATIENCE_S = "4"
"""Twice what the applications have by default, and half of a failover: this machine does other work meanwhile."""


def _lost(deployment: Deployment) -> None:
    """A master's machine, until its replica has been master for a while."""
    master, (replica,) = deployment.copies(0)

    def is_promoted() -> bool:
        view = deployment.view(replica)
        return view is not None and view.is_master

    deployment.fault("lose-pod", pod=master)
    assert deployment.until(is_promoted, FAILOVER_S) is not None
    time.sleep(_WATCH_S)


def _reports(deployment: Deployment, programs: list[Program], folder: Path) -> dict[str, Any]:
    (folder / "password").write_text(deployment.password)
    environment = {
        "REDIS_ENDPOINT": deployment.endpoint,
        "REDIS_USER": deployment.user,
        "REDIS_PASSWORD_FILE": str(folder / "password"),
        "REDIS_CA_FILE": str(folder / "no-ca.crt"),
        "REDIS_PATIENCE_S": _PATIENCE_S,
    }

    def steady(program: Program) -> Any:
        words = [sys.executable, "-m", "tests.examples.steady", program.name, str(folder), *program.command]
        return json.loads(deployment.run(words, timeout_s=300, env=environment).check().stdout)

    with ThreadPoolExecutor(len(programs)) as threads:
        running = {program.name: threads.submit(steady, program) for program in programs}
        try:
            deadline = time.monotonic() + _READY_WITHIN_S
            while not all((folder / f"ready-{name}").exists() for name in running):
                for item in running.values():
                    if item.done():
                        item.result()
                assert time.monotonic() < deadline, "the applications were not ready in time"
                time.sleep(0.1)
            time.sleep(_CALM_S)
            _lost(deployment)
        finally:
            (folder / "stop").touch()
        return {name: item.result() for name, item in running.items()}


@pytest.fixture(scope="module")
def reports() -> Iterator[dict[str, Any]]:
    """Application -> what was seen of it; all went through the same fault."""
    programs = [program for program in PROGRAMS if program.is_built]
    with ours("test-example-lost") as deployment, tempfile.TemporaryDirectory(prefix="lost-") as folder:
        for pod in deployment.pods():
            if pod.startswith("redis-replica"):
                deployment.fault("slow-link", pod=pod, delay_ms=_REPLICAS_AWAY_MS)
        yield _reports(deployment, programs, Path(folder))


def _errors(report: Any, command: str) -> float:
    """Commands without an answer since the images were in the cache."""
    after, before = ({"metrics": report[when]} for when in ("after", "before"))
    return counted(after, "image_cache_errors", command) - counted(before, "image_cache_errors", command)


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
    assert _errors(report, "get") == 0
    assert report["fetched_again"] == []


@each_program
def test_a_new_image_is_fetched_once_while_it_waits_to_be_stored(reports: dict[str, Any], program: Program) -> None:
    report = reports[program.name]
    assert len(report["new"]) > 20
    assert report["new_fetched_again"] == []


@each_program
def test_an_image_that_cannot_be_stored_is_sent_all_the_same(reports: dict[str, Any], program: Program) -> None:
    """Also says that the fault was one: otherwise the tests above could not fail."""
    assert _errors(reports[program.name], "set") > 0
