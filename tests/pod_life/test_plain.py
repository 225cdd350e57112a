"""The sizing document's plain deployment under the same faults: why the scripts exist.

The facts are in docs/reference/redis.md, "Crash and restart"."""

from collections.abc import Callable

import pytest

from tests.pod_life.clusters import Cluster, writable
from tests.pod_life.pods import Pod, wait_until

pytestmark = [pytest.mark.redis, pytest.mark.sandbox, pytest.mark.second_look]

PLAIN = """
cluster-enabled yes
cluster-config-file /data/nodes.conf
maxmemory 256mb
maxmemory-policy allkeys-lru
save ""
appendonly no
protected-mode no
dir /data
# The document leaves the default of 15000, with which the same happens later.
cluster-node-timeout 3000
"""


class PlainPod(Pod):
    """Starts redis-server itself, as the document's StatefulSet does."""

    def start(self, *command: str) -> None:
        super().start(*(command or ("redis-server", "/etc/redis/redis.conf")))


@pytest.fixture
def plain(make_cluster: Callable[..., Cluster]) -> Cluster:
    return make_cluster(conf=PLAIN, pod_class=PlainPod, password=None)


def test_a_master_that_crashes_and_restarts_at_once_takes_its_keys_with_it(plain: Cluster) -> None:
    written = plain.fill(300)
    plain.masters[0].kill()
    plain.masters[0].start()
    plain.wait_until_whole()
    assert plain.lost(written) > 50


def test_a_shard_without_copies_takes_all_others_with_it(plain: Cluster) -> None:
    plain.fill(60)
    for pod in (plain.masters[0], plain.replicas[0]):
        pod.kill()
    wait_until("no shard serves", lambda: not any(writable(plain.masters[i], plain.key_of(i)) for i in (1, 2)), 30)


def test_all_pods_restarted_at_new_addresses_never_find_each_other(plain: Cluster) -> None:
    plain.fill(60)
    for pod in plain.pods:
        pod.destroy()
    for pod in plain.pods:
        pod.create()
    with pytest.raises(AssertionError, match="not within 12 s"):
        plain.wait_until_whole(12)
