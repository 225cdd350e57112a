"""All built applications of `examples/` at once, each asked for images at a steady rate, while something happens."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.examples.programs import PROGRAMS
from tests.examples.test_applications import counted
from tests.faults.deployment import Deployment

_READY_WITHIN_S = 120.0
_PATIENCE_S = "4"
"""Twice what the applications have by default, and half of a failover: this machine does other work meanwhile."""


def reports(
    deployment: Deployment, folder: Path, during: Callable[[], object], before: Callable[[], object] = lambda: None
) -> dict[str, Any]:
    """Application -> what was seen of it `during` the one (see steady.py). `before`, it has its images and its
    connections, and is not asked for anything."""
    programs = [program for program in PROGRAMS if program.is_built]
    (folder / "password").write_text(deployment.password)
    environment = {
        "REDIS_ENDPOINT": deployment.endpoint,
        "REDIS_USER": deployment.user,
        "REDIS_PASSWORD_FILE": str(folder / "password"),
        "REDIS_CA_FILE": str(folder / "no-ca.crt"),
        "REDIS_PATIENCE_S": _PATIENCE_S,
    }

    def steady(name: str, command: tuple[str, ...]) -> Any:
        words = [sys.executable, "-m", "tests.examples.steady", name, str(folder), *command]
        return json.loads(deployment.run(words, timeout_s=300, env=environment).check().stdout)

    with ThreadPoolExecutor(len(programs)) as threads:
        running = {program.name: threads.submit(steady, program.name, program.command) for program in programs}

        def wait_for(step: str) -> None:
            deadline = time.monotonic() + _READY_WITHIN_S
            while not all((folder / f"{step}-{name}").exists() for name in running):
                for item in running.values():
                    if item.done():
                        item.result()
                assert time.monotonic() < deadline, f"the applications were not {step} in time"
                time.sleep(0.1)

        try:
            wait_for("ready")
            before()
            (folder / "begin").touch()
            wait_for("begun")
            during()
        finally:
            for step in ("begin", "stop"):
                (folder / step).touch()
        return {name: item.result() for name, item in running.items()}


def errors(report: Any, command: str) -> float:
    """Commands that the cache did not answer meanwhile."""
    after, before = ({"metrics": report[when]} for when in ("after", "before"))
    return counted(after, "image_cache_errors", command) - counted(before, "image_cache_errors", command)
