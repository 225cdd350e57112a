"""A master's process dies and its container is back at once (redis-facts 6)."""

import time

import pytest

from tests.pod_life.clusters import Cluster, writable
from tests.pod_life.pods import wait_until

pytestmark = [pytest.mark.redis, pytest.mark.sandbox]


def test_a_master_that_crashes_and_restarts_at_once_loses_no_key(cluster: Cluster) -> None:
    written = cluster.fill(600)
    crashed, heir = cluster.masters[0], cluster.replicas[0]
    begin = time.monotonic()
    crashed.kill()
    crashed.start()
    wait_until(
        "the replica serves the slots", lambda: cluster.role(heir) == "master" and writable(heir, cluster.key_of(0))
    )
    print("writable after", time.monotonic() - begin)
    cluster.wait_until_whole()
    print("whole after", time.monotonic() - begin)
    assert cluster.role(crashed) == "slave"
    assert cluster.lost(written) == 0
