"""Crashes at random moments, under load; the seed is in the test's name. More of them: POD_LIFE_CRASHES=50."""

import os
import random
import time
from functools import partial

import pytest

from tests.pod_life.clusters import Cluster, Load, writable
from tests.pod_life.pods import Pod, wait_until

pytestmark = [pytest.mark.redis, pytest.mark.sandbox]

CRASHES = int(os.environ.get("POD_LIFE_CRASHES", "4"))


def crash_and_restart(pod: Pod, chance: random.Random) -> None:
    """Dies, is back after the kubelet's reaction time, and one time in three dies again while it starts."""
    pod.kill()
    time.sleep(chance.uniform(0, 1))
    pod.start()
    if chance.random() < 1 / 3:
        time.sleep(chance.uniform(0, 0.6))
        pod.kill()
        pod.start()


def takes_writes(cluster: Cluster, shard: int) -> bool:
    key = cluster.key_of(shard)
    return any(writable(pod, key) for pod in (cluster.masters[shard], cluster.replicas[shard]))


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.second_look)])
def test_random_crashes_of_one_copy_of_a_shard_lose_no_key(cluster: Cluster, seed: int) -> None:
    chance = random.Random(seed)
    written = cluster.fill(300)
    pairs = list(zip(cluster.masters, cluster.replicas, strict=True))
    for crash in range(CRASHES):
        shards = chance.sample(range(len(pairs)), chance.choice([1, 1, 2]))
        with Load(cluster) as load:
            time.sleep(chance.uniform(0, 1))
            for shard in shards:
                crash_and_restart(chance.choice(pairs[shard]), chance)
            begin = time.monotonic()
            for shard in shards:
                wait_until("the shard takes writes", partial(takes_writes, cluster, shard))
            print(seed, crash, shards, "writable", round(time.monotonic() - begin, 2), end=" ")
        cluster.wait_until_whole()
        print("whole", round(time.monotonic() - begin, 2), len(load.failures), load.requests)
        assert cluster.lost(written) == 0
        assert load.wrong == []
