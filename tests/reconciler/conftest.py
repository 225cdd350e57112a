from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.slots import slot_range
from tests.reconciler.servers import Fleet

FEW_SLOTS = 256
"""Slots of a cluster of dictionaries. All 16,384 take seconds to move, and no rule depends on their number."""


@pytest.fixture(scope="module")
def few_slots() -> Iterator[None]:
    """Gives the cluster a small number of slots, in the reconciler and in the tests of a module."""
    with pytest.MonkeyPatch.context() as patch:
        for name, module in list(sys.modules.items()):
            if name.startswith(("reconciler", "tests.reconciler")):
                for constant, value in (("SLOT_COUNT", FEW_SLOTS), ("ALL_SLOTS", slot_range(0, FEW_SLOTS - 1))):
                    if hasattr(module, constant):
                        patch.setattr(module, constant, value)
        yield


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

    def run(phase: str, topology: dict[str, object], *extra: str, **login: Any) -> tuple[int, str]:
        file = tmp_path / "topology.json"
        file.write_text(json.dumps(topology))
        child = fleet.spawn(phase, file, *extra, **login)
        output, _ = child.communicate(timeout=120)
        return child.returncode, output

    return run
