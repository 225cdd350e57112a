"""A script or a function that does not end is ended, and costs its own writes at most."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.pod_life.clusters import Cluster, writable
from tests.pod_life.pods import Pod, wait_until

pytestmark = [pytest.mark.redis, pytest.mark.sandbox]

ENDLESS = "while true do end"
ENDLESS_WRITE = "redis.call('SET', KEYS[1], 'half') while true do end"
LIBRARY = f"#!lua name=endless\nredis.register_function('endless', function() {ENDLESS} end)"


@contextmanager
def running(pod: Pod, *command: str) -> Iterator[None]:
    """A command of redis-cli that goes on while the block runs, once Redis answers BUSY because of it."""
    with pod.client() as client:
        client.config_set("busy-reply-threshold", 50)
    busy = subprocess.Popen(
        pod.inside("redis-cli", *command),
        env=pod.everything_allowed(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until("BUSY", lambda: "BUSY" in pod.execute("redis-cli", "PING").stdout)
        yield
    finally:
        busy.kill()
        busy.wait(timeout=20)


def probed_until(pod: Pod, word: str, seconds: float = 20) -> None:
    """Runs the liveness probe, as the kubelet does, until the pod's log has the word. A probe that ends Redis, which is
    process 1, ends with it."""

    def said() -> bool:
        if not pod.lines(word):
            assert pod.script("alive.sh").returncode in (0, -signal.SIGKILL)
        return bool(pod.lines(word))

    wait_until(word, said, seconds, step_seconds=0.3)


@pytest.mark.parametrize("kind", ["script", "function"])
def test_what_has_not_written_is_ended_after_the_limit_and_not_before(pod: Pod, kind: str) -> None:
    pod.env["LONGEST_SCRIPT_SECONDS"] = "2"
    with pod.client() as client:
        client.function_load(LIBRARY)
    command = ("EVAL", ENDLESS, "0") if kind == "script" else ("FCALL", "endless", "0")
    with pod.client() as client:
        client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
        wait_until("slots", lambda: client.execute_command("CLUSTER INFO")["cluster_state"] == "ok")
    with running(pod, *command):
        begin = time.monotonic()
        assert pod.script("alive.sh").returncode == 0
        assert pod.script("ready.sh").returncode == 1
        assert "BUSY" in pod.execute("redis-cli", "PING").stdout
        probed_until(pod, "ended a script")
        assert time.monotonic() - begin >= 1.9
        wait_until("it serves", lambda: pod.script("ready.sh").returncode == 0)
    assert not (pod.base / "run" / "busy-since").exists()


def test_scripts_that_end_are_never_counted_together(pod: Pod) -> None:
    pod.env["LONGEST_SCRIPT_SECONDS"] = "2"
    for _ in range(3):
        with running(pod, "EVAL", ENDLESS, "0"):
            pod.script("alive.sh")
            time.sleep(1.2)
            pod.execute("redis-cli", "SCRIPT", "KILL")
        wait_until("it serves", lambda: pod.script("ready.sh").returncode == 0)
        pod.script("alive.sh")
    assert not pod.lines("ended a script")


def test_a_script_that_has_written_costs_its_own_writes_and_no_other(cluster: Cluster) -> None:
    written = cluster.fill(60)
    master, replica = cluster.masters[0], cluster.replicas[0]
    master.env["LONGEST_SCRIPT_SECONDS"] = "1"
    key = cluster.key_of(0)
    with running(master, "EVAL", ENDLESS_WRITE, "1", key):
        probed_until(master, "ending Redis: the writes of that script are lost")
    master.wait_for_end()
    assert cluster.role(replica) == "master"
    assert writable(replica, "{" + key + "}other")
    master.start()
    cluster.wait_until_whole()
    assert cluster.lost(written) == 0
    with cluster.client() as client:
        assert client.get(key) is None
    assert cluster.role(master) == "slave"


def test_without_a_replica_a_script_may_go_on_for_twice_as_long(cluster: Cluster) -> None:
    master, replica = cluster.masters[0], cluster.replicas[0]
    replica.destroy()
    master.env["LONGEST_SCRIPT_SECONDS"] = "2"
    with running(master, "EVAL", ENDLESS_WRITE, "1", cluster.key_of(0)):
        begin = time.monotonic()
        probed_until(master, "no replica has its keys", 30)
        assert time.monotonic() - begin >= 3.5
    master.wait_for_end()


def test_a_master_that_is_stopped_meanwhile_hands_over_when_the_script_ends(cluster: Cluster) -> None:
    written = cluster.fill(60)
    master, replica = cluster.masters[0], cluster.replicas[0]
    with running(master, "EVAL", ENDLESS, "0"):
        master.env["LONGEST_SCRIPT_SECONDS"] = "2"
        assert master.script("stop.sh").returncode == 0
    assert master.lines("handed over")
    assert cluster.role(replica) == "master"
    assert cluster.lost(written) == 0


def test_a_master_that_is_stopped_while_a_script_writes_is_replaced(cluster: Cluster) -> None:
    written = cluster.fill(60)
    master, replica = cluster.masters[0], cluster.replicas[0]
    with running(master, "EVAL", ENDLESS_WRITE, "1", cluster.key_of(0)):
        master.env["LONGEST_SCRIPT_SECONDS"] = "1"
        assert master.script("stop.sh").returncode in (0, -signal.SIGKILL)
    master.wait_for_end()
    assert cluster.role(replica) == "master"
    master.start()
    cluster.wait_until_whole()
    assert cluster.lost(written) == 0
