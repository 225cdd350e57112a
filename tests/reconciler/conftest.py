from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.reconciler.servers import Fleet


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    servers = Fleet()
    try:
        yield servers
    finally:
        servers.close()


@pytest.fixture
def reconcile(fleet: Fleet, tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """Runs the reconciler as its own process against a topology; returns exit status and output."""

    def run(phase: str, topology: dict[str, object], *extra: str, password: str | None = None) -> tuple[int, str]:
        file = tmp_path / "topology.json"
        file.write_text(json.dumps(topology))
        child = fleet.spawn(phase, file, *extra, password=password)
        output, _ = child.communicate(timeout=120)
        return child.returncode, output

    return run
