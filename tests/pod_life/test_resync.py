"""A replica copies its master's whole data set while writes go on (docs/reference/redis.md, "Full resync")."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.pod_life.clusters import Cluster
from tests.pod_life.pods import Pod, wait_until

pytestmark = [pytest.mark.redis, pytest.mark.sandbox]

MakeCluster = Callable[..., Cluster]


def full_syncs(master: Pod) -> int:
    with master.client() as client:
        return int(client.info("stats")["sync_full"])


def in_sync(replica: Pod) -> bool:
    with replica.client() as client:
        return bool(client.info("replication").get("master_link_status") == "up")


@contextmanager
def writes(pod: Pod, key: str, size_bytes: int, per_second: int) -> Iterator[None]:
    """A constant stream of writes of one key, so that the data set does not grow."""
    end = threading.Event()

    def write() -> None:
        with pod.client() as client:
            while not end.wait(1 / per_second):
                client.set(key, bytes(size_bytes))

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join(timeout=20)


def resync_slowly(cluster: Cluster) -> tuple[int, bool]:
    """Makes shard 0 sync anew, 3 s long, under 5 MB/s of writes: full syncs begun in 8 s, and if one ended."""
    master, replica = cluster.masters[0], cluster.replicas[0]
    cluster.fill(3000)
    with master.client() as client:
        client.config_set("rdb-key-save-delay", 3000)
    before = full_syncs(master)
    with writes(master, cluster.key_of(0), 100_000, 50):
        replica.kill()
        replica.start()
        replica.wait_for_answer()
        end = time.monotonic() + 8
        while not (ended := in_sync(replica)) and time.monotonic() < end:
            time.sleep(0.1)
        return full_syncs(master) - before, ended


def test_a_full_resync_under_write_load_ends_at_the_first_attempt(cluster: Cluster) -> None:
    assert resync_slowly(cluster) == (1, True)


@pytest.mark.second_look
def test_the_same_with_an_output_limit_below_what_is_written_never_ends(make_cluster: MakeCluster, conf: str) -> None:
    limit = next(line for line in conf.splitlines() if line.startswith("client-output-buffer-limit replica"))
    backlog = next(line for line in conf.splitlines() if line.startswith("repl-backlog-size"))
    plain = conf.replace(limit, "client-output-buffer-limit replica 4mb 2mb 1").replace(
        backlog, "repl-backlog-size 1mb"
    )
    cluster = make_cluster(conf=plain)
    with cluster.masters[0].client() as client:
        if int(client.info("server")["redis_version"].partition(".")[0]) >= 8:
            pytest.skip("from Redis 8 on the replica holds what is written during its resync")
    _, ended = resync_slowly(cluster)
    assert not ended
    assert cluster.masters[0].lines("output buffer limits")


def test_a_replica_with_old_data_that_syncs_through_its_volume_is_restarted_and_then_syncs(cluster: Cluster) -> None:
    master, replica = cluster.masters[0], cluster.replicas[0]
    cluster.fill(3000)
    with master.client() as client:
        client.config_set("rdb-key-save-delay", 5000)
        replica.cut()
        for turn in range(300):
            client.set(cluster.key_of(0), b"%d" % turn + bytes(100_000))
        client.execute_command("CLIENT KILL TYPE replica")
        replica.cut(connected=True)
        wait_until("a sync through the volume", lambda: list(replica.data.glob("temp-*.rdb")))
        assert replica.script("alive.sh").returncode == 1
        assert replica.script("ready.sh").returncode == 1
        replica.kill()
        assert list(replica.data.glob("temp-*.rdb"))
        replica.start()
        wait_until("the replica loads", lambda: client.info("persistence")["rdb_bgsave_in_progress"])
        replica.wait_for_answer()
        assert replica.script("alive.sh").returncode == 0
        client.config_set("rdb-key-save-delay", 0)
    wait_until("the replica is in sync", lambda: in_sync(replica))
    assert replica.script("ready.sh").returncode == 0
    assert list(replica.data.glob("temp-*.rdb")) == []


def test_a_sync_through_the_volume_leaves_nothing_that_a_later_start_would_load(cluster: Cluster) -> None:
    master, replica = cluster.masters[0], cluster.replicas[0]
    cluster.fill(100)
    before = full_syncs(master)
    with master.client() as client:
        replica.cut()
        for turn in range(300):
            client.set(cluster.key_of(0), b"%d" % turn + bytes(100_000))
        client.execute_command("CLIENT KILL TYPE replica")
        replica.cut(connected=True)
    wait_until("the replica has synced anew", lambda: full_syncs(master) > before and in_sync(replica))
    assert list(replica.data.glob("*.rdb")) == []
