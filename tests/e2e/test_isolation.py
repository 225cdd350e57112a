"""What `make e2e` starts is gone when it ends, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.harness import cgroups, given
from tests.e2e.harness.engine import CHECKOUT
from tests.e2e.harness.local import eventually

pytestmark = pytest.mark.skipif(not given.is_own(), reason="KUBECONFIG's cluster is not started here")
_STARTS = """
import time
import os
from tests.e2e.harness.supervise import Supervised
command = "setsid sleep 86399 & mkdir /sys/fs/cgroup/memory/pod; exec sleep 86398"
running = Supervised("isolation", ["sh", "-c", command], dict(os.environ))
while running.poll() is None:
    time.sleep(0.1)
"""


def commands() -> list[str]:
    """Command lines of all processes."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_text().replace("\0", " ").strip())
        except OSError:
            continue
    return found


def groups(of: int) -> list[Path]:
    """Control groups of a run."""
    return [path for item in cgroups.hierarchies() for path in item.own.glob(f"*-e2e-{of}-*")]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda number: number.name)
def test_a_run_that_is_killed_leaves_no_process_and_no_control_group(number: signal.Signals) -> None:
    env = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    run = subprocess.Popen([sys.executable, "-c", _STARTS], env=env, stdin=subprocess.DEVNULL)
    try:
        eventually("its processes run", lambda: {"sleep 86398", "sleep 86399"} <= set(commands()), 30)
        assert len(groups(run.pid)) >= 8
    finally:
        run.send_signal(number)
        run.wait()

    eventually("its processes are gone", lambda: not {"sleep 86398", "sleep 86399"} & set(commands()), 10)
    eventually("its control groups are gone", lambda: groups(run.pid) == [], 30)


def test_a_run_that_follows_another_of_its_name_has_control_groups_of_its_own() -> None:
    """The sweeper of the first removes the first one's groups a moment later."""
    first = cgroups.make("twice")
    assert cgroups.remove(first) == []
    second = cgroups.make("twice")
    assert cgroups.remove(second) == []

    assert len(second) >= 8
    assert not set(first) & set(second)
