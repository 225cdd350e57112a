"""A master that hears no majority of masters holds back writes before they are lost."""

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pod_life.awk_files import awk_on
from tests.pod_life.clusters import Cluster, writable
from tests.pod_life.pods import Pod, wait_until

NOW_MS = 1_790_000_000_000
WITHIN_MS = 3000


@st.composite
def tables(draw: st.DrawFn) -> tuple[str, str]:
    """What a node says of its cluster, and what is to be made of it."""
    me = draw(st.integers(0, 6))
    lines, masters, heard, concerned = [], 0, 0, False
    for number in range(draw(st.integers(me + 1, 9))):
        is_master = draw(st.booleans())
        slots = f"{number}-{number + 5}" if is_master and draw(st.booleans()) else ""
        mark = f" [{number}->-{'a' * 40}]" if is_master and draw(st.booleans()) else ""
        pong_ms = draw(st.one_of(st.just(0), st.integers(NOW_MS - 2 * WITHIN_MS, NOW_MS + 50)))
        flags = ("myself," if number == me else "") + ("master" if is_master else "slave")
        flags += draw(st.sampled_from(("", ",fail?", ",fail"))) if number != me else ""
        lines.append(
            f"{number:040x} 10.0.0.{number}:6379@16379,h flags {'-' if is_master else 'b' * 40} 0 "
            f"{0 if number == me else pong_ms} 1 connected {slots}{mark}".replace("flags", flags)
        )
        if slots:
            masters += 1
            concerned = concerned or number == me
            heard += number == me or NOW_MS - pong_ms <= WITHIN_MS
    wanted = f"{heard} of {masters}\n" if concerned and 2 * heard <= masters else ""
    newline = draw(st.sampled_from(("\n", "\r\n")))
    return newline.join((f"server_time_usec:{NOW_MS * 1000}", *lines, "")), wanted


@given(tables())
def test_a_master_is_alone_exactly_when_it_lately_heard_no_majority_of_masters(case: tuple[str, str]) -> None:
    answers, wanted = case
    done = awk_on("majority.awk", answers, within_ms=WITHIN_MS)
    assert (done.returncode, done.stdout, done.stderr) == (0, wanted, "")


def test_without_the_servers_time_nothing_is_said() -> None:
    assert awk_on("majority.awk", "LOADING\n", within_ms=WITHIN_MS).returncode == 3


@contextmanager
def looked_at(*pods: Pod) -> Iterator[None]:
    """What the kubelet does: the readiness probe of each pod, every second."""
    ended = threading.Event()

    def look(pod: Pod) -> None:
        while not ended.wait(1):
            pod.script("ready.sh")

    threads = [threading.Thread(target=look, args=(pod,)) for pod in pods]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join(30)


def write(pod: Pod, key: str, seconds: float) -> str:
    """What the node at `pod` says to a write from where it is; `held` when it says nothing for so long."""
    try:
        return pod.execute("redis-cli", "SET", key, "x", seconds=seconds).stdout.strip()
    except subprocess.TimeoutExpired:
        return "held"


@pytest.mark.redis
@pytest.mark.sandbox
class TestOnACluster:
    def test_a_master_that_is_cut_off_holds_back_writes_while_redis_still_takes_them(self, cluster: Cluster) -> None:
        written = cluster.fill(300)
        isolated, successor, key = cluster.masters[0], cluster.replicas[0], cluster.key_of(0)
        with looked_at(*cluster.pods):
            isolated.cut()
            said: list[str] = []

            def refuses() -> bool:
                said.append(write(isolated, key, 0.5))
                return said[-1].startswith("CLUSTERDOWN")

            wait_until("Redis refuses", refuses, 30)
            said.pop()
            assert set(said) == {"OK", "held"}
            assert said == sorted(said)
            assert isolated.execute("redis-cli", "GET", key).stdout == "x\n"
            wait_until("the replica serves", lambda: writable(successor, key), 30)
            isolated.cut(connected=True)
            cluster.wait_until_whole()
            wait_until("it holds nothing back", lambda: isolated.lines("writes are taken again"))
            assert write(isolated, key, 5).startswith("MOVED")
        assert len(isolated.lines("held back")) == 1
        assert not any(pod.lines("held back") for pod in cluster.pods if pod is not isolated)
        assert cluster.lost(written) == 0

    def test_a_write_that_was_held_back_is_done_when_the_silence_ends(
        self, make_cluster: Callable[..., Cluster], conf: str
    ) -> None:
        # Time enough between the holding and the verdict of the others.
        cluster = make_cluster(conf=conf.replace("cluster-node-timeout 5000", "cluster-node-timeout 10000"))
        master, key = cluster.masters[0], cluster.key_of(0)
        for pod in cluster.pods:
            pod.env |= {"NODE_TIMEOUT_MS": "10000", "FENCE_AFTER_MS": "6000"}
        with looked_at(master):
            master.cut()
            wait_until("writes are held back", lambda: master.lines("held back"), 20)
            waiting = subprocess.Popen(
                master.inside("redis-cli", "SET", key, "late"),
                env=master.everything_allowed(),
                stdout=subprocess.PIPE,
                text=True,
            )
            time.sleep(0.5)
            assert waiting.poll() is None
            master.cut(connected=True)
            assert waiting.communicate(timeout=20)[0] == "OK\n"
        cluster.wait_until_whole()
        assert cluster.role(master) == "master"
        assert master.execute("redis-cli", "GET", key).stdout == "late\n"

    def test_a_master_that_stood_still_itself_holds_back_nothing(self, cluster: Cluster) -> None:
        master, key = cluster.masters[0], cluster.key_of(0)
        master.signal(signal.SIGSTOP)
        time.sleep(3.5)
        look = threading.Thread(target=master.script, args=("ready.sh",))
        look.start()
        time.sleep(0.3)
        master.signal(signal.SIGCONT)
        look.join(30)
        assert write(master, key, 5) == "OK"
        assert master.lines("held back") == []

    def test_a_holding_that_is_over_ends_with_the_next_look(self, cluster: Cluster) -> None:
        master, replica, key = cluster.masters[0], cluster.replicas[0], cluster.key_of(0)
        for pod in (master, replica):
            pod.execute("redis-cli", "CLIENT", "PAUSE", "60000", "WRITE")
            pod.execute("touch", "/run/redis/writes-held")
            assert pod.script("ready.sh").returncode == 0
            assert len(pod.lines("writes are taken again")) == 1
        assert write(master, key, 5) == "OK"
