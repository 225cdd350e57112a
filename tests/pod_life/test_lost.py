"""A pod is gone for good, or cut off from the rest: what Redis does by itself with the derived settings."""

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from tests.pod_life.clusters import Cluster, writable
from tests.pod_life.namespaces import run
from tests.pod_life.network import Network
from tests.pod_life.pods import Pod, wait_until

pytestmark = [pytest.mark.redis, pytest.mark.sandbox]

NODE_TIMEOUT_SECONDS = 2


def with_short_node_timeout(conf: str) -> str:
    return re.sub(r"cluster-node-timeout \d+", f"cluster-node-timeout {NODE_TIMEOUT_SECONDS * 1000}", conf)


@pytest.fixture
def quick(make_cluster: Callable[..., Cluster], conf: str) -> Cluster:
    """A cluster with a shorter node timeout, to save the test's time."""
    return make_cluster(conf=with_short_node_timeout(conf))


def test_a_master_that_is_gone_is_replaced_and_comes_back_as_a_replica_on_another_node(quick: Cluster) -> None:
    written = quick.fill(300)
    gone, successor = quick.masters[0], quick.replicas[0]
    gone.destroy()
    wait_until("the replica serves", lambda: writable(successor, quick.key_of(0)), 30)
    gone.create()
    quick.wait_until_whole()
    assert quick.role(gone) == "slave"
    assert quick.lost(written) == 0


def fill(file: Path) -> None:
    with file.open("wb", buffering=0) as content, suppress(OSError):
        while True:
            content.write(bytes(1024))


@pytest.fixture
def full_volumes(make_cluster: Callable[..., Cluster], network: Network, conf: str) -> Iterator[Cluster]:
    """The same, and the volumes are full: a sync through the volume, the only thing besides nodes.conf that is written
    there, was cut off. The kubelet has looked at each pod since."""
    mounted = []

    class SmallVolume(Pod):
        def create(self, ip: str | None = None) -> None:
            if self.data not in mounted:
                mounted.append(self.data)
                run("mount", "-t", "tmpfs", "-o", "size=6m,mode=777", "volume", str(self.data))
            super().create(ip)

    try:
        cluster = make_cluster(conf=with_short_node_timeout(conf), pod_class=SmallVolume)
        for pod in cluster.pods:
            assert (pod.data / "spare").exists()
            fill(pod.data / "temp-1.rdb")
            assert os.statvfs(pod.data).f_bavail == 0
            assert pod.script("ready.sh").returncode == 0
        yield cluster
    finally:
        for pod in network.pods:
            pod.kill()
        for directory in mounted:
            run("umount", str(directory))


def lose_two_masters(cluster: Cluster) -> tuple[list[Pod], list[Pod]]:
    """Nobody can be elected then. Returns the pods that are lost, and the replicas that have their data."""
    lost = [pod for pod in cluster.pods if cluster.role(pod) == "master"][:2]
    shards = [cluster.pods.index(pod) % 3 for pod in lost]
    left = [next(pod for pod in (cluster.masters[n], cluster.replicas[n]) if pod not in lost) for n in shards]
    for pod in lost:
        pod.destroy()
    with left[0].client() as client:
        wait_until("the majority is missed", lambda: client.execute_command("CLUSTER INFO")["cluster_state"] == "fail")
    assert [cluster.role(pod) for pod in left] == ["slave", "slave"]
    return lost, left


def test_two_of_three_masters_that_are_lost_while_all_volumes_are_full_lose_no_key_whether_they_come_back_or_not(
    full_volumes: Cluster,
) -> None:
    cluster = full_volumes
    written = cluster.fill(300)
    lost, _ = lose_two_masters(cluster)
    for pod in lost:
        pod.create()
    cluster.wait_until_whole()
    assert cluster.lost(written) == 0
    # They do not come back: docs/runbook.md, "The majority of masters is gone".
    lost, left = lose_two_masters(cluster)
    for pod in left:
        assert pod.execute("redis-cli", "cluster", "failover", "takeover").stdout == "OK\n"
    for pod in left:
        shard = cluster.pods.index(pod) % 3
        wait_until("the shard is served", partial(writable, pod, cluster.key_of(shard)), 10)
    for pod in lost:
        pod.create()
    cluster.wait_until_whole()
    assert cluster.lost(written) == 0


def test_a_replica_that_lost_its_memory_and_its_master_brings_the_shard_back_empty(quick: Cluster) -> None:
    quick.fill(60)
    master, replica = quick.masters[0], quick.replicas[0]
    master.destroy()
    replica.kill()
    replica.start()
    wait_until("the shard is back", lambda: writable(replica, quick.key_of(0)), 60)


def test_a_master_that_is_cut_off_takes_no_write_beyond_the_node_timeout(quick: Cluster) -> None:
    written = quick.fill(300)
    isolated, successor = quick.masters[0], quick.replicas[0]
    key = quick.key_of(0)
    isolated.cut()
    begin = last_taken = time.monotonic()
    taken = refused = 0
    while time.monotonic() - begin < 4 * NODE_TIMEOUT_SECONDS:
        if isolated.execute("redis-cli", "SET", key, "lost").stdout == "OK\n":
            taken += 1
            last_taken = time.monotonic()
        else:
            refused += 1
    assert taken > 0
    assert refused > 0
    assert last_taken - begin < 2 * NODE_TIMEOUT_SECONDS
    assert isolated.execute("redis-cli", "GET", key).stdout == "lost\n"
    wait_until("the replica serves", lambda: writable(successor, key), 30)
    isolated.cut(connected=True)
    quick.wait_until_whole()
    assert quick.role(isolated) == "slave"
    assert quick.lost(written) == 0
