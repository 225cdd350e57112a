"""A pod is stopped on purpose: rolling update, node drain, scale-down."""

import signal
import time

import pytest

from tests.pod_life.clusters import Cluster, Load, writable
from tests.pod_life.pods import Pod

pytestmark = [pytest.mark.redis, pytest.mark.sandbox]


def replace(cluster: Cluster, pod: Pod) -> None:
    """What a rolling update does with one pod: stop it, make it anew, go on when it is ready."""
    pod.terminate()
    pod.create()
    cluster.wait_until_whole()


def test_a_rolling_restart_under_load_fails_no_request_and_loses_no_key(cluster: Cluster) -> None:
    written = cluster.fill(300)
    with Load(cluster) as load:
        time.sleep(1)
        for pod in [*cluster.replicas, *cluster.masters]:
            replace(cluster, pod)
        time.sleep(1)
    print(load.requests, load.slowest_seconds)
    assert load.failures == []
    assert load.wrong == []
    assert cluster.lost(written | load.written) == 0
    assert [cluster.role(pod) for pod in cluster.replicas] == ["master"] * 3


def test_slots_handed_back_and_forth_faster_than_elections_may_repeat_fail_no_request(cluster: Cluster) -> None:
    written = cluster.fill(300)
    pair = [cluster.masters[0], cluster.replicas[0]]
    with Load(cluster) as load:
        for turn in range(4):
            replace(cluster, pair[turn % 2])
            assert cluster.role(pair[1 - turn % 2]) == "master"
    print(load.requests, load.slowest_seconds)
    assert load.failures == []
    assert load.wrong == []
    assert cluster.lost(written | load.written) == 0


def test_a_master_whose_replica_is_still_syncing_waits_for_it(cluster: Cluster) -> None:
    written = cluster.fill(600)
    master, replica = cluster.masters[0], cluster.replicas[0]
    replica.kill()
    replica.start("sh", "-c", "sleep 2; exec sh /scripts/start.sh")
    master.terminate()
    assert cluster.role(replica) == "master"
    master.create()
    cluster.wait_until_whole()
    assert cluster.lost(written) == 0


def test_a_replica_leaves_at_once(cluster: Cluster) -> None:
    replica = cluster.replicas[0]
    assert replica.script("stop.sh").returncode == 0
    assert replica.lines("nothing to hand over")
    assert cluster.role(cluster.masters[0]) == "master"


def test_a_master_without_a_living_replica_serves_until_its_deadline_and_leaves(cluster: Cluster) -> None:
    master, replica = cluster.masters[0], cluster.replicas[0]
    replica.destroy()
    master.env["STOP_DEADLINE_SECONDS"] = "2"
    assert master.script("stop.sh").returncode == 1
    assert master.lines("leaving")
    assert writable(master, cluster.key_of(0))


def test_a_master_whose_server_does_not_answer_leaves(cluster: Cluster) -> None:
    master = cluster.masters[0]
    master.signal(signal.SIGSTOP)
    assert master.script("stop.sh").returncode == 1
    assert master.lines("does not answer")
