"""Clients have taken every connection (maxclients): the pod stays alive, fences, makes room and hands over."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.pod_life.clusters import Cluster
from tests.pod_life.pods import PORT, Pod, enter_network, wait_until

pytestmark = [pytest.mark.redis, pytest.mark.sandbox]


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


def way_in(pod: Pod, command: str) -> str:
    """The last line of the answer by the connection that is kept."""
    # shellcheck would call this code; it is what ready.sh does.
    line = f'. /scripts/lib.sh; by_way_in 4 "{command}" | tail -n 1'
    return pod.execute("sh", "-c", line, "/scripts/lib.sh").stdout.strip()


def way_in_is_open(pod: Pod) -> bool:
    return way_in(pod, "PING") == "PONG"


def test_the_pod_is_alive_and_ready_and_hands_over_by_the_connection_that_is_kept(cluster: Cluster) -> None:
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


def test_without_that_connection_the_pod_is_alive_and_hands_over_by_its_replica(cluster: Cluster) -> None:
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


def test_a_master_that_hears_no_majority_holds_back_writes_all_the_same(cluster: Cluster) -> None:
    master = cluster.masters[0]
    wait_until("the way in", lambda: way_in_is_open(master))
    with all_connections_taken(master):
        for other in cluster.masters[1:]:
            other.cut()
        wait_until("a look that fences", lambda: master.script("ready.sh") and master.lines("held back"), 30)
    for other in cluster.masters[1:]:
        other.cut(connected=True)


def test_idle_connections_are_closed_until_there_is_room_and_then_no_longer(pod: Pod) -> None:
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


def test_a_broken_way_in_opens_again_and_leaves_no_process_behind(pod: Pod) -> None:
    file = pod.base / "run" / "way-in.pid"
    wait_until("the way in", lambda: way_in_is_open(pod))
    number = file.read_text().strip()
    before = pod.execute("ps").stdout
    pod.execute("kill", "-KILL", number)
    wait_until("another redis-cli", lambda: way_in_is_open(pod) and file.read_text().strip() != number)
    assert way_in(pod, "PING") == "PONG"
    assert pod.execute("ps").stdout.count("redis-cli") == before.count("redis-cli")


def test_a_master_that_restarts_while_its_replica_is_full_loses_no_key(cluster: Cluster) -> None:
    written = cluster.fill(60)
    master, replica = cluster.masters[0], cluster.replicas[0]
    master.env["START_TAKEOVER_SECONDS"] = "15"  # as derived for a node timeout of 5 s
    with all_connections_taken(replica):
        master.kill()
        master.start()
        master.wait_for_answer(40)
    cluster.wait_until_whole(60)
    assert cluster.lost(written) == 0
