"""Every pod restarts at about the same time, at new addresses (docs/reference/redis.md, "Crash and restart")."""

import re
import time

import pytest

from tests.pod_life.clusters import Cluster
from tests.pod_life.pods import Pod, wait_until

pytestmark = [pytest.mark.redis, pytest.mark.sandbox]

GOAL_SECONDS = 30


def restart_all(cluster: Cluster, addresses: list[str | None], pause_seconds: float = 0.0) -> None:
    for pod in cluster.pods:
        pod.destroy()
    for pod, ip in zip(cluster.pods, addresses, strict=True):
        pod.create(ip)
        time.sleep(pause_seconds)


def serves(cluster: Cluster) -> bool:
    with cluster.client() as client:
        return all(client.set(cluster.key_of(shard), b"new") for shard in range(len(cluster.masters)))


def test_all_pods_restarted_at_new_addresses_serve_again(cluster: Cluster) -> None:
    cluster.fill(60)
    begin = time.monotonic()
    restart_all(cluster, [None] * 6)
    cluster.wait_until_whole(GOAL_SECONDS)
    print("whole after", time.monotonic() - begin)
    assert serves(cluster)


def test_all_pods_restarted_at_each_others_addresses_serve_again(cluster: Cluster) -> None:
    cluster.fill(60)
    addresses = [pod.ip for pod in cluster.pods]
    begin = time.monotonic()
    restart_all(cluster, addresses[1:] + addresses[:1])
    cluster.wait_until_whole(GOAL_SECONDS)
    print("whole after", time.monotonic() - begin)
    assert serves(cluster)


def test_pods_that_come_back_one_by_one_at_new_addresses_serve_again(cluster: Cluster) -> None:
    cluster.fill(60)
    begin = time.monotonic()
    restart_all(cluster, [None] * 6, pause_seconds=2)
    cluster.wait_until_whole(GOAL_SECONDS)
    print("whole after", time.monotonic() - begin)
    assert serves(cluster)


def test_pods_restarted_while_dns_still_has_their_old_addresses_serve_again(cluster: Cluster) -> None:
    cluster.fill(60)
    network = cluster.network
    stale = {name: list(ips) for name, ips in network.names.items()}
    for pod in cluster.pods:
        pod.destroy()
    begin = time.monotonic()
    for pod in cluster.pods:
        pod.create()
        network.names.clear()
        network.names.update(stale)
    time.sleep(5)
    network.publish()
    cluster.wait_until_whole(GOAL_SECONDS)
    print("whole after", time.monotonic() - begin)
    assert serves(cluster)


def test_containers_restarted_while_no_name_server_answers_serve_again(cluster: Cluster) -> None:
    written = cluster.fill(60)
    cluster.network.stop_dns()
    begin = time.monotonic()
    for pod in cluster.masters:
        pod.kill()
        pod.start()
    cluster.wait_until_whole(GOAL_SECONDS)
    print("whole after", time.monotonic() - begin)
    assert cluster.lost(written) == 0


def test_a_pod_that_moves_to_another_address_is_known_there_by_all(cluster: Cluster) -> None:
    written = cluster.fill(60)
    moved: Pod = cluster.replicas[1]
    moved.destroy()
    moved.create()
    cluster.wait_until_whole(GOAL_SECONDS)
    assert cluster.role(moved) == "slave"
    assert cluster.lost(written) == 0
    with cluster.masters[0].client() as client:
        wait_until(
            "the others know the new address", lambda: f"{moved.ip}:6379" in client.execute_command("CLUSTER NODES")
        )


def test_pods_start_with_what_a_server_wrote_that_knows_more(cluster: Cluster) -> None:
    """A Valkey 9 writes the zones of nodes. Whoever takes it back to a Valkey 8 has that in nodes.conf."""
    cluster.fill(60)
    for pod in cluster.pods:
        pod.kill()
    for pod in cluster.pods:
        file = pod.data / "nodes.conf"
        file.write_text(re.sub(r"(@\d+,[^, ]*)", r"\1,availability-zone=zone-a,later=1", file.read_text()))
        assert file.read_text().count(",later=1") == len(cluster.pods)
    for pod in cluster.pods:
        pod.start()
    cluster.wait_until_whole(GOAL_SECONDS)
    assert serves(cluster)
    # A server that does not end takes what it does not know for a part of the host name.
    assert not any("zone-a" in (pod.data / "nodes.conf").read_text() for pod in cluster.pods)


def test_pods_killed_before_they_knew_the_shard_ids_of_others_start_again(cluster: Cluster) -> None:
    """Redis up to 7.4 writes such files and does not start with them. Redis 7.0 has no such ids."""
    cluster.fill(60)
    for pod in cluster.pods:
        pod.kill()
    for number, pod in enumerate(cluster.pods):
        file = pod.data / "nodes.conf"
        lines = file.read_text().splitlines(keepends=True)
        file.write_text(
            "".join(
                re.sub("shard-id=[0-9a-f]+", f"shard-id={number:040x}", line)
                if "slave" in line and "myself" not in line
                else line
                for line in lines
            )
        )
    for pod in cluster.pods:
        pod.start()
    cluster.wait_until_whole(GOAL_SECONDS)
    assert serves(cluster)
