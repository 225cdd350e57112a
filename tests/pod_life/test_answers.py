"""An error is an answer: what each script does for each class of reply, on real servers in that state."""

from __future__ import annotations

import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.pod_life.clusters import Cluster, writable
from tests.pod_life.fake_server import FakeServer
from tests.pod_life.pods import AUTH, PORT, Network, Pod, enter_network, wait_until

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


@contextmanager
def all_connections_taken(pod: Pod, most: int = 40) -> Iterator[list[socket.socket]]:
    """Clients hold every connection that the pod's Redis takes. They say nothing."""
    with pod.client() as client:
        client.config_set("maxclients", most)
    held: list[socket.socket] = []
    stop = threading.Event()

    def connect() -> None:
        # From the pod's own network, so that any number of them works.
        enter_network(pod)
        while not stop.is_set():
            if len(held) < 3 * most:
                held.append(socket.create_connection(("127.0.0.1", PORT)))
            else:
                stop.wait(0.05)

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    refused = "max number of clients"
    try:
        wait_until("all connections are taken", lambda: refused in everything(pod, "redis-cli", "PING"))
        yield held
    finally:
        stop.set()
        thread.join(10)
        for connection in held:
            connection.close()


def everything(pod: Pod, *command: str) -> str:
    done = pod.execute(*command)
    return done.stdout + done.stderr


@contextmanager
def running(pod: Pod, *command: str) -> Iterator[None]:
    """A command of redis-cli that goes on while the block runs, once Redis answers BUSY because of it."""
    with pod.client() as client:
        client.config_set("busy-reply-threshold", 50)
    busy = subprocess.Popen(
        pod.inside("redis-cli", *command),
        env=pod.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until("BUSY", lambda: "BUSY" in pod.execute("redis-cli", "PING").stdout)
        yield
    finally:
        busy.kill()
        busy.wait(timeout=20)


@pytest.fixture
def pod(network: Network, conf: str) -> Pod:
    pod = Pod(network, "redis-master-0", conf, AUTH)
    pod.create()
    pod.wait_for_answer()
    return pod


def way_in_is_open(pod: Pod) -> bool:
    return way_in(pod, "PING") == "PONG"


def hold(pod: Pod) -> None:
    """The container is there again, and no Redis in it."""
    pod.start("sleep", "1000")
    wait_until("the container", lambda: pod.execute("test", "-e", "/scripts/stop.sh").returncode == 0)


class TestEveryClassOfReply:
    """A server that gives one answer to everything; the states themselves are made below, where they can be."""

    def test_probes_take_an_error_for_an_answer_and_silence_for_none(self, network: Network, conf: str) -> None:
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

    def test_a_pod_that_stops_never_takes_an_error_for_the_answer_of_a_replica(
        self, network: Network, conf: str
    ) -> None:
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
        self, make_cluster: Callable[..., Cluster], conf: str
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


class TestAllConnectionsTaken:
    def test_the_pod_is_alive_and_ready_and_hands_over_by_the_connection_that_is_kept(self, cluster: Cluster) -> None:
        written = cluster.fill(60)
        master, replica = cluster.masters[0], cluster.replicas[0]
        wait_until("the way in", lambda: way_in_is_open(master))
        with all_connections_taken(master):
            assert master.script("alive.sh").returncode == 0
            ready = master.script("ready.sh")
            assert ready.returncode == 0, ready.stderr
            assert master.script("stop.sh").returncode == 0
            assert master.lines("handed over")
            assert cluster.role(replica) == "master"
        assert cluster.lost(written) == 0

    def test_without_that_connection_the_pod_is_alive_and_hands_over_by_its_replica(self, cluster: Cluster) -> None:
        written = cluster.fill(60)
        master, replica = cluster.masters[0], cluster.replicas[0]
        wait_until("the way in", lambda: way_in_is_open(master))
        (master.base / "run" / "way-in.pid").unlink()
        with all_connections_taken(master):
            assert master.script("alive.sh").returncode == 0
            assert master.script("ready.sh").returncode == 1
            assert master.script("stop.sh").returncode == 0
            assert master.lines("max number of clients")
            assert cluster.role(replica) == "master"
        assert cluster.lost(written) == 0

    def test_a_master_that_hears_no_majority_holds_back_writes_all_the_same(self, cluster: Cluster) -> None:
        master = cluster.masters[0]
        wait_until("the way in", lambda: way_in_is_open(master))
        with all_connections_taken(master):
            for other in cluster.masters[1:]:
                other.cut()
            wait_until("a look that fences", lambda: master.script("ready.sh") and master.lines("held back"), 30)
        for other in cluster.masters[1:]:
            other.cut(connected=True)

    def test_idle_connections_are_closed_until_there_is_room_and_then_no_longer(self, pod: Pod) -> None:
        wait_until("the way in", lambda: way_in_is_open(pod))
        with all_connections_taken(pod):
            assert pod.script("ready.sh").returncode == 0
            assert pod.lines("those idle for 60 s are closed")
            assert way_in(pod, "CONFIG GET timeout").endswith("60")
            # The sixtieth of the time, so that the test need not wait.
            way_in(pod, "CONFIG SET timeout 1")
            with pod.client() as client:
                wait_until("room for a client", client.ping, 30)
        wait_until("fewer clients", lambda: pod.script("ready.sh") and pod.lines("idle ones are kept again"))
        with pod.client() as client:
            assert client.config_get("timeout") == {"timeout": "0"}

    def test_a_broken_way_in_opens_again_and_leaves_no_process_behind(self, pod: Pod) -> None:
        file = pod.base / "run" / "way-in.pid"
        wait_until("the way in", lambda: way_in_is_open(pod))
        number = file.read_text().strip()
        before = pod.execute("ps").stdout
        pod.execute("kill", "-KILL", number)
        wait_until("another redis-cli", lambda: way_in_is_open(pod) and file.read_text().strip() != number)
        assert way_in(pod, "PING") == "PONG"
        assert pod.execute("ps").stdout.count("redis-cli") == before.count("redis-cli")

    def test_a_master_that_restarts_while_its_replica_is_full_loses_no_key(self, cluster: Cluster) -> None:
        written = cluster.fill(60)
        master, replica = cluster.masters[0], cluster.replicas[0]
        master.env["START_TAKEOVER_SECONDS"] = "15"  # as derived for a node timeout of 5 s
        with all_connections_taken(replica):
            master.kill()
            master.start()
            master.wait_for_answer(40)
        cluster.wait_until_whole(60)
        assert cluster.lost(written) == 0


def way_in(pod: Pod, command: str) -> str:
    """The last line of the answer by the connection that is kept."""
    # shellcheck would call this code; it is what ready.sh does.
    line = f'. /scripts/lib.sh; by_way_in 4 "{command}" | tail -n 1'
    return pod.execute("sh", "-c", line, "/scripts/lib.sh").stdout.strip()


ENDLESS = "while true do end"
ENDLESS_WRITE = "redis.call('SET', KEYS[1], 'half') while true do end"
LIBRARY = f"#!lua name=endless\nredis.register_function('endless', function() {ENDLESS} end)"


def probed_until(pod: Pod, word: str, seconds: float = 20) -> None:
    """Runs the liveness probe, as the kubelet does, until the pod's log has the word. A probe that ends Redis, which is
    process 1, ends with it."""

    def said() -> bool:
        if not pod.lines(word):
            assert pod.script("alive.sh").returncode in (0, -signal.SIGKILL)
        return bool(pod.lines(word))

    wait_until(word, said, seconds, step_seconds=0.3)


class TestEndlessScripts:
    @pytest.mark.parametrize("kind", ["script", "function"])
    def test_one_that_has_not_written_is_ended_after_the_limit_and_not_before(self, pod: Pod, kind: str) -> None:
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

    def test_scripts_that_end_are_never_counted_together(self, pod: Pod) -> None:
        pod.env["LONGEST_SCRIPT_SECONDS"] = "2"
        for _ in range(3):
            with running(pod, "EVAL", ENDLESS, "0"):
                pod.script("alive.sh")
                time.sleep(1.2)
                pod.execute("redis-cli", "SCRIPT", "KILL")
            wait_until("it serves", lambda: pod.script("ready.sh").returncode == 0)
            pod.script("alive.sh")
        assert not pod.lines("ended a script")

    def test_one_that_has_written_costs_its_own_writes_and_no_other(self, cluster: Cluster) -> None:
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

    def test_without_a_replica_it_may_go_on_for_twice_as_long(self, cluster: Cluster) -> None:
        master, replica = cluster.masters[0], cluster.replicas[0]
        replica.destroy()
        master.env["LONGEST_SCRIPT_SECONDS"] = "2"
        with running(master, "EVAL", ENDLESS_WRITE, "1", cluster.key_of(0)):
            begin = time.monotonic()
            probed_until(master, "no replica has its keys", 30)
            assert time.monotonic() - begin >= 3.5
        master.wait_for_end()

    def test_a_master_that_is_stopped_meanwhile_hands_over_when_the_script_ends(self, cluster: Cluster) -> None:
        written = cluster.fill(60)
        master, replica = cluster.masters[0], cluster.replicas[0]
        with running(master, "EVAL", ENDLESS, "0"):
            master.env["LONGEST_SCRIPT_SECONDS"] = "2"
            assert master.script("stop.sh").returncode == 0
        assert master.lines("handed over")
        assert cluster.role(replica) == "master"
        assert cluster.lost(written) == 0

    def test_a_master_that_is_stopped_while_a_script_writes_is_replaced(self, cluster: Cluster) -> None:
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


class TestErrorsOfAMaster:
    @pytest.mark.parametrize(
        "command",
        [("CONFIG", "SET", "requirepass", "another"), ("ACL", "SETUSER", "default", "-info", "-cluster|nodes")],
        ids=["WRONGPASS", "NOPERM"],
    )
    def test_a_master_that_refuses_its_own_scripts_hands_over_by_its_replica(
        self, cluster: Cluster, command: tuple[str, ...]
    ) -> None:
        master, replica = cluster.masters[0], cluster.replicas[0]
        with master.client() as client:
            client.execute_command(*command)
        assert master.script("alive.sh").returncode == 0
        assert master.script("ready.sh").returncode == 1
        assert master.script("stop.sh").returncode == 0, master.log.read_text()[-2000:]
        assert master.lines("Redis answered with an error")
        assert cluster.role(replica) == "master"

    def test_a_full_memory_changes_nothing_for_the_scripts(self, cluster: Cluster) -> None:
        """OOM is an answer to clients' commands, not to those of the scripts."""
        master = cluster.masters[0]
        with master.client() as client:
            client.config_set("maxmemory", 1)
        assert "OOM" in master.execute("redis-cli", "SET", cluster.key_of(0), "x").stdout
        assert [master.script(name).returncode for name in ("alive.sh", "ready.sh", "stop.sh")] == [0, 0, 0]
        assert cluster.role(cluster.replicas[0]) == "master"

    def test_a_replica_without_its_master_is_alive_and_not_ready(self, cluster: Cluster) -> None:
        """MASTERDOWN is an answer to clients' commands too."""
        master, replica = cluster.masters[0], cluster.replicas[0]
        with replica.client() as client:
            client.config_set("replica-serve-stale-data", "no")
            master.signal(signal.SIGSTOP)
            client.execute_command("CLIENT", "KILL", "TYPE", "master")
        commands = f"READONLY\nGET {cluster.key_of(0)}\n"
        reply = wait_until(
            "the link is down", lambda: replica.execute("sh", "-c", f"printf '{commands}' | redis-cli").stdout
        )
        assert "MASTERDOWN" in reply
        assert [replica.script(name).returncode for name in ("alive.sh", "ready.sh", "stop.sh")] == [0, 1, 0]
