"""The servers of the tests leave nothing behind, however the test process ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.reconciler.servers import eventually

pytestmark = pytest.mark.redis

HOLD = """
import time
from tests.reconciler.servers import Fleet
fleet = Fleet()
print(fleet.add("redis-master-0").process.pid, flush=True)
time.sleep(60)
"""


def test_a_killed_test_process_takes_its_servers_with_it() -> None:
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True, cwd=root) as holder:
        assert holder.stdout is not None
        server = int(holder.stdout.readline())
        assert Path(f"/proc/{server}").exists()
        os.kill(holder.pid, signal.SIGKILL)
        eventually(lambda: not Path(f"/proc/{server}").exists())
