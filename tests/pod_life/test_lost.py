"""A pod is gone for good, or cut off from the rest: what Redis does by itself with the derived settings."""

import re
import time
from collections.abc import Callable

import pytest

from tests.pod_life.clusters import Cluster, writable
from tests.pod_life.pods import wait_until

pytestmark = [pytest.mark.redis, pytest.mark.sandbox]

NODE_TIMEOUT_SECONDS = 2


@pytest.fixture
def quick(make_cluster: Callable[..., Cluster], conf: str) -> Cluster:
    """A cluster with a shorter node timeout, to save the test's time."""
    timeout_ms = NODE_TIMEOUT_SECONDS * 1000
    return make_cluster(conf=re.sub(r"cluster-node-timeout \d+", f"cluster-node-timeout {timeout_ms}", conf))


def test_a_master_that_is_gone_is_replaced_and_comes_back_as_a_replica_on_another_node(quick: Cluster) -> None:
    written = quick.fill(300)
    gone, successor = quick.masters[0], quick.replicas[0]
    gone.destroy()
    wait_until("the replica serves", lambda: writable(successor, quick.key_of(0)), 30)
    gone.create()
    quick.wait_until_whole()
    assert quick.role(gone) == "slave"
    assert quick.lost(written) == 0


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
