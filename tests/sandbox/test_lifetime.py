"""A sandbox leaves nothing behind, however it ends, and several run side by side."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from preview.resources import Resource
from sandbox.control.client import Sandbox
from sandbox.errors import NotFoundError, SandboxError
from sandbox.host.machine import members, wait_ended
from tests.sandbox.manifests import SLEEP, claim_template, container, pod_spec, stateful_set

pytestmark = pytest.mark.sandbox

ROOT = Path(__file__).resolve().parents[2]


def pods() -> list[Resource]:
    spec = pod_spec(container(SLEEP, volumeMounts=[{"name": "d", "mountPath": "/d"}]))
    return [stateful_set("web", spec, replicas=2, volumeClaimTemplates=[claim_template("d", "1Mi")])]


@pytest.fixture
def machine_unchanged() -> Iterator[None]:
    """Links, mounts and network namespaces of the machine are the same after the test."""

    def state() -> list[str]:
        links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
        mounts = Path("/proc/self/mountinfo").read_text()
        names = sorted(os.listdir("/run/netns")) if Path("/run/netns").is_dir() else []
        return [*sorted(line.split(":")[1] for line in links.splitlines()), *sorted(mounts.splitlines()), *names]

    before = state()
    yield
    assert state() == before


CHILD = """
import sys, time
from sandbox.control.client import Sandbox
from tests.sandbox.test_lifetime import pods
sandbox = Sandbox(sys.argv[1])
sandbox.start()
sandbox.apply(pods())
print(*sandbox.hello()["namespaces"], flush=True)
time.sleep(600)
"""


@pytest.mark.usefixtures("machine_unchanged")
def test_a_killed_launcher_takes_every_process_and_namespace_with_it() -> None:
    name = f"killed-{os.getpid()}"
    child = subprocess.Popen([sys.executable, "-c", CHILD, name], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    try:
        processes = members(child.stdout.readline().split())
        # The supervisor, and per pod a bubblewrap and its shell.
        assert len(processes) >= 5
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
    wait_ended(processes)
    with pytest.raises(NotFoundError):
        Sandbox(name).hello()


@pytest.mark.usefixtures("machine_unchanged")
def test_down_leaves_nothing_and_a_second_down_is_no_error() -> None:
    sandbox = Sandbox(f"down-{os.getpid()}", die_with_parent=False)
    sandbox.start()
    try:
        sandbox.apply(pods())
        processes = members(sandbox.hello()["namespaces"])
        assert len(processes) >= 5
    finally:
        sandbox.stop()
    wait_ended(processes)
    sandbox.stop()
    assert not sandbox.is_running


def test_a_program_in_the_sandboxs_network_ends_with_the_sandbox() -> None:
    with Sandbox(f"ends-{os.getpid()}") as sandbox:
        runner = subprocess.Popen(
            [sys.executable, "-m", "sandbox", "--name", sandbox.name, "run", "--", "sleep", "600"],
            cwd=ROOT,
            stderr=subprocess.PIPE,
        )
        deadline = time.monotonic() + 10
        while not subprocess.run(["pgrep", "-P", str(runner.pid)], capture_output=True, check=False).stdout:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    _, stderr = runner.communicate(timeout=10)
    assert (runner.returncode, stderr) == (1, b"error: the sandbox ended\n")


def test_two_sandboxes_have_the_same_addresses_and_do_not_meet() -> None:
    with Sandbox(f"one-{os.getpid()}") as one, Sandbox(f"two-{os.getpid()}") as two:
        for sandbox in (one, two):
            sandbox.apply(pods())
        assert one.pods()["web-0"]["ip"] == two.pods()["web-0"]["ip"]
        one.exec("web-0", ["sh", "-c", "echo mine > /d/file"]).check()
        assert two.exec("web-0", ["ls", "/d"]).stdout == ""


def test_one_name_is_one_sandbox() -> None:
    with Sandbox(f"name-{os.getpid()}") as sandbox, pytest.raises(SandboxError, match="is running already"):
        Sandbox(sandbox.name).start()


def test_the_command_line_passes_on_exit_status_and_says_errors_in_one_line() -> None:
    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "sandbox", "--name", name, *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    name = f"cli-{os.getpid()}"
    done = call("exec", "web-0", "--", "true")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: no sandbox is running here; start one with: make up (python -m sandbox up)\n"
    with Sandbox(name) as sandbox:
        sandbox.apply(pods())
        assert call("exec", "web-0", "--", "sh", "-c", "exit 9").returncode == 9
        assert call("exec", "-it", "default/web-1", "--", "hostname").stdout == "web-1\n"
        assert call("run", "--", "sh", "-c", "exit 5").returncode == 5
        assert "Traceback" not in call("exec", "web-7", "--", "true").stderr
        assert "web-0" in call("status").stdout
        assert call("fault", "lose-zone", "zone-x").stderr == (
            "error: there is no zone 'zone-x'; zones: zone-a, zone-b, zone-c\n"
        )
