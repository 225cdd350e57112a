"""An error is an answer: what each script does for each class of reply."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest
import redis

from tests.pod_life.clusters import Cluster
from tests.pod_life.fake_server import FakeServer
from tests.pod_life.network import Network
from tests.pod_life.pods import AUTH, Pod, wait_until

pytestmark = [pytest.mark.redis, pytest.mark.sandbox]

REPLIES = {
    "max clients": "ERR max number of clients + cluster connections reached",
    "BUSY": "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "LOADING": "LOADING Redis is loading the dataset in memory",
    "MASTERDOWN": "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "OOM": "OOM command not allowed when used memory > 'maxmemory'.",
    "NOAUTH": "NOAUTH Authentication required.",
    "WRONGPASS": "WRONGPASS invalid username-password pair or user is disabled.",
    "NOPERM": "NOPERM this user has no permissions to run the 'info' command",
    "MISCONF": "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
    "READONLY": "READONLY You can't write against a read only replica.",
    "no reply": None,
}
"""Class -> what a server in that state answers to every command."""


def hold(pod: Pod) -> None:
    """The container is there again, and no Redis in it."""
    pod.start("sleep", "1000")
    wait_until("the container", lambda: pod.execute("test", "-e", "/scripts/stop.sh").returncode == 0)


# A server that gives one answer to everything. The states themselves are made below, where they can be.


def test_probes_take_an_error_for_an_answer_and_silence_for_none(network: Network, conf: str) -> None:
    pod = Pod(network, "redis-master-0", conf, AUTH)
    pod.env["ALIVE_TIMEOUT_SECONDS"] = "1"
    pod.create()
    pod.wait_for_answer()
    pod.kill()
    hold(pod)
    alive, ready = {}, {}
    for name, reply in REPLIES.items():
        server = FakeServer(pod, reply)
        alive[name] = pod.script("alive.sh").returncode
        ready[name] = pod.script("ready.sh").returncode
        server.close()
    assert alive == {name: int(name == "no reply") for name in REPLIES}
    # An application would get the same error; and whether writes must be held back cannot be seen.
    assert ready == dict.fromkeys(REPLIES, 1)


def test_a_pod_that_stops_never_takes_an_error_for_the_answer_of_a_replica(network: Network, conf: str) -> None:
    pod = Pod(network, "redis-master-0", conf, AUTH)
    pod.env |= {"STOP_DEADLINE_SECONDS": "1", "LONGEST_SCRIPT_SECONDS": "1"}
    pod.create()
    pod.wait_for_answer()
    with pod.client() as client:
        client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 99)
        client.execute_command("CLUSTER SAVECONFIG")
    pod.kill()
    hold(pod)
    for name, reply in REPLIES.items():
        server = FakeServer(pod, reply)
        before = len(pod.log.read_text())
        done = pod.script("stop.sh", seconds=30)
        said = pod.log.read_text()[before:]
        server.close()
        assert done.returncode == 1, (name, said)
        assert "nothing to hand over" not in said, (name, said)
        reason = {"no reply": "does not answer", "BUSY": "cannot be ended"}.get(name, "answered with an error")
        assert reason in said, (name, said)


def test_a_pod_that_starts_waits_for_replicas_that_answer_with_an_error_and_no_longer_than_its_deadline(
    make_cluster: Callable[..., Cluster], conf: str
) -> None:
    # The server in the replica's place has no cluster bus. It must not be missed before the last class is tried.
    patient = conf.replace("cluster-node-timeout 5000", "cluster-node-timeout 600000")
    assert patient != conf
    cluster = make_cluster(conf=patient)
    master, replica = cluster.masters[0], cluster.replicas[0]
    master.env["START_TAKEOVER_SECONDS"] = "2"
    replica.kill()
    hold(replica)
    for name, reply in REPLIES.items():
        server = FakeServer(replica, reply)
        master.kill()
        before = len(master.log.read_text())
        master.start()
        master.wait_for_answer()
        said = master.log.read_text()[before:]
        server.close()
        assert "no answer from the replica at" in said, (name, said)


# Real servers in that state.


@pytest.mark.parametrize(
    "command",
    [
        ("ACL", "SETUSER", "operator", "resetpass", ">another"),
        ("ACL", "SETUSER", "operator", "-info", "-cluster|nodes"),
    ],
    ids=["WRONGPASS", "NOPERM"],
)
def test_a_master_that_refuses_its_own_scripts_hands_over_by_its_replica(
    cluster: Cluster, command: tuple[str, ...]
) -> None:
    master, replica = cluster.masters[0], cluster.replicas[0]
    with master.client() as client:
        client.execute_command(*command)
    assert master.script("alive.sh").returncode == 0
    assert master.script("ready.sh").returncode == 1
    assert master.script("stop.sh").returncode == 0, master.log.read_text()[-2000:]
    assert master.lines("Redis answered with an error")
    assert cluster.role(replica) == "master"
    with master.client() as client:
        client.acl_log_reset()


def test_a_full_memory_changes_nothing_for_the_scripts(cluster: Cluster) -> None:
    """OOM is an answer to clients' commands, not to those of the scripts."""
    master = cluster.masters[0]
    with master.client() as client:
        client.config_set("maxmemory", 1)
    assert "OOM" in master.execute("redis-cli", "SET", cluster.key_of(0), "x").stdout
    assert [master.script(name).returncode for name in ("alive.sh", "ready.sh", "stop.sh")] == [0, 0, 0]
    assert cluster.role(cluster.replicas[0]) == "master"


def test_a_replica_without_its_master_is_alive_and_not_ready(cluster: Cluster) -> None:
    """MASTERDOWN is an answer to clients' commands too."""
    master, replica = cluster.masters[0], cluster.replicas[0]
    with replica.client() as client:
        client.config_set("replica-serve-stale-data", "no")
        master.signal(signal.SIGSTOP)
        client.execute_command("CLIENT", "KILL", "TYPE", "master")
    key = cluster.key_of(0)

    def refuses() -> bool:
        with replica.client() as client:
            client.execute_command("READONLY")
            try:
                client.get(key)
            except redis.exceptions.MasterDownError:
                return True
            return False

    wait_until("the link is down", refuses)
    assert [replica.script(name).returncode for name in ("alive.sh", "ready.sh", "stop.sh")] == [0, 1, 0]
