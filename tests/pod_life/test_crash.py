"""A master's process dies and its container is back at once (docs/reference/redis.md, "Crash and restart")."""

import signal
import time
from collections.abc import Callable

import pytest

from tests.pod_life.clusters import Cluster, Load, writable
from tests.pod_life.pods import Pod, wait_until

pytestmark = [pytest.mark.redis, pytest.mark.sandbox]

MakeCluster = Callable[..., Cluster]


def crash(pod: Pod) -> None:
    pod.kill()
    pod.start()


def wait_for_successor(cluster: Cluster, successor: Pod, shard: int = 0, seconds: float = 20) -> None:
    key = cluster.key_of(shard)
    wait_until(
        f"{successor.name} serves shard {shard}",
        lambda: cluster.role(successor) == "master" and writable(successor, key),
        seconds,
    )


def test_a_master_that_crashes_and_restarts_at_once_loses_no_key(cluster: Cluster) -> None:
    written = cluster.fill(600)
    crashed, successor = cluster.masters[0], cluster.replicas[0]
    crash(crashed)
    wait_for_successor(cluster, successor)
    cluster.wait_until_whole()
    assert cluster.role(crashed) == "slave"
    assert cluster.lost(written) == 0


def test_a_shard_whose_copies_crash_in_turn_faster_than_elections_may_repeat_loses_no_key(cluster: Cluster) -> None:
    written = cluster.fill(300)
    pair = [cluster.masters[0], cluster.replicas[0]]
    for turn in range(5):
        crashed, successor = pair[turn % 2], pair[1 - turn % 2]
        begin = time.monotonic()
        crash(crashed)
        wait_for_successor(cluster, successor)
        print(turn, "writable after", time.monotonic() - begin)
        cluster.wait_until_whole()
        assert cluster.lost(written) == 0


def test_most_masters_crashing_at_the_same_moment_lose_no_key(cluster: Cluster) -> None:
    written = cluster.fill(600)
    begin = time.monotonic()
    for pod in cluster.masters[:2]:
        pod.kill()
    for pod in cluster.masters[:2]:
        pod.start()
    for shard in (0, 1):
        wait_for_successor(cluster, cluster.replicas[shard], shard)
    print("writable after", time.monotonic() - begin)
    cluster.wait_until_whole()
    assert cluster.lost(written) == 0


def test_a_crash_while_the_takeover_is_under_way_loses_no_key(cluster: Cluster) -> None:
    written = cluster.fill(300)
    crashed, successor = cluster.masters[0], cluster.replicas[0]
    for delay_seconds in (0.02, 0.05, 0.1, 0.2):
        crash(crashed)
        time.sleep(delay_seconds)
        crash(crashed)
        wait_for_successor(cluster, successor)
        cluster.wait_until_whole()
        assert cluster.lost(written) == 0
        crashed, successor = successor, crashed


def test_a_master_that_comes_back_without_its_volume_or_with_an_empty_nodes_conf_at_its_old_address_loses_no_key(
    cluster: Cluster,
) -> None:
    written = cluster.fill(300)
    crashed, successor = cluster.masters[0], cluster.replicas[0]
    crashed.kill()
    (crashed.data / "nodes.conf").unlink()
    crashed.start()
    wait_for_successor(cluster, successor)
    crashed.wait_for_answer()
    # The same with a file that a machine's crash left empty.
    crashed, successor = cluster.masters[1], cluster.replicas[1]
    crashed.kill()
    (crashed.data / "nodes.conf").write_bytes(b"")
    crashed.start()
    wait_for_successor(cluster, successor, shard=1)
    crashed.wait_for_answer()
    assert cluster.lost(written) == 0


def test_of_two_replicas_the_one_with_more_writes_is_promoted_and_the_other_follows_it(
    make_cluster: MakeCluster,
) -> None:
    cluster = make_cluster(replicas_per_master=2)
    crashed, behind, ahead = cluster.masters[0], cluster.replicas[0], cluster.replicas[3]
    behind.signal(signal.SIGSTOP)
    written = cluster.fill(3000)
    crashed.kill()
    behind.signal(signal.SIGCONT)
    crashed.start()
    cluster.wait_until_whole()
    assert [cluster.role(pod) for pod in (crashed, behind, ahead)] == ["slave", "slave", "master"]
    assert cluster.lost(written) == 0


def test_a_master_whose_replica_is_cut_off_serves_again_when_its_patience_ends(cluster: Cluster) -> None:
    cluster.fill(300)
    crashed, unreachable = cluster.masters[0], cluster.replicas[0]
    unreachable.cut()
    crashed.env["START_TAKEOVER_SECONDS"] = "3"
    begin = time.monotonic()
    crash(crashed)
    key = cluster.key_of(0)
    wait_until("shard 0 is served", lambda: writable(crashed, key), seconds=30)
    print("writable after", time.monotonic() - begin)
    unreachable.cut(connected=True)
    cluster.wait_until_whole()


def test_a_shard_that_lost_both_copies_is_back_empty_while_the_others_serve(cluster: Cluster) -> None:
    written = cluster.fill(300)
    shard = [cluster.masters[0], cluster.replicas[0]]
    for pod in shard:
        pod.kill()
    for pod in shard:
        pod.start()
    cluster.wait_until_whole()
    first, last = cluster.slots_of(0)
    lost = cluster.lost(written)
    assert 0 < lost < 150
    with cluster.client() as client:
        assert all(client.get(k) == v for k, v in written.items() if not first <= client.keyslot(k) <= last)
        assert client.set(cluster.key_of(0), b"new")


def test_a_crash_under_load_loses_nothing_that_was_there_before(cluster: Cluster) -> None:
    written = cluster.fill(300)
    with Load(cluster) as load:
        time.sleep(1)
        begin = time.monotonic()
        crash(cluster.masters[0])
        wait_for_successor(cluster, cluster.replicas[0])
        print("writable after", time.monotonic() - begin)
        time.sleep(2)
    cluster.wait_until_whole()
    print(load.requests, load.failures, load.wrong, load.slowest_seconds)
    assert cluster.lost(written) == 0
