"""Edits of a living stack `local` under load: every one ends, and every key is accounted for."""

from __future__ import annotations

import pytest

from tests.e2e.harness.engine import Run
from tests.e2e.harness.images import other_redis
from tests.e2e.harness.local import OTHER_PASSWORD, PASSWORD, POOL, LocalStack

NO_SUCH_IMAGE = "redis:7.4-alpien"


def test_an_image_that_does_not_exist_stops_at_the_first_replica_and_the_corrected_edit_rolls_on(
    local: LocalStack,
) -> None:
    before = {name: pod["metadata"]["uid"] for name, pod in local.pods().items()}
    with local.load() as load:
        run = local.edit(images={"redis": NO_SUCH_IMAGE})
        assert not run.succeeded
        assert "redis-replica-2 holds up the rollout of redis-replica: its image cannot be pulled" in run.output
        after = local.pods()
        assert [name for name, image in local.images().items() if image == NO_SUCH_IMAGE] == ["redis-replica-2"]
        assert [name for name, uid in before.items() if after[name]["metadata"]["uid"] != uid] == ["redis-replica-2"]

        run = local.edit(images={"redis": other_redis()}).ok()
        load.end().is_whole()

    assert set(local.images().values()) == {other_redis()}
    assert_masters_roll_after_replicas(run)


def assert_masters_roll_after_replicas(run: Run) -> None:
    """The masters are not touched before the last replica runs the edit and is in sync."""
    rolled = run.of_any(("create", "create-replacement"), f"Job::images-{POOL}-rollout-redis-replica")
    masters = run.of("update", f"StatefulSet::images-{POOL}-redis-master")
    assert rolled.ended is not None
    assert masters.began > rolled.ended


@pytest.mark.e2e_long
def test_a_second_password_rolls_the_pods_and_no_client_notices(local: LocalStack) -> None:
    with local.load() as load:
        run = local.edit(access={"password": PASSWORD, "alsoAccepted": OTHER_PASSWORD}).ok()
        load.end().is_whole()

    assert_masters_roll_after_replicas(run)


def test_other_pod_memory_moves_the_cache_to_a_second_pool_and_the_first_goes_last(local: LocalStack) -> None:
    with local.load() as load:
        run = local.edit(podMemory="512MB", totalMemory="1536MB").ok()
        load.end().is_whole()

    formed = run.of("create", "Job::images-redis-512mb-form")
    pointed = run.of("update", "Service::images-client")
    assert formed.ended is not None
    assert pointed.ended is not None
    assert formed.ended < pointed.began
    gone = [step for step in run.steps if step.operation == "delete" and POOL in step.name]
    assert len(gone) > 10
    assert min(step.began for step in gone) > pointed.ended
    assert local.pools() == ["redis-512mb", "redis-image-cache"]


@pytest.mark.e2e_long
def test_less_total_memory_empties_the_pods_that_go_before_they_go(local: LocalStack) -> None:
    local.edit(podMemory="512MB", totalMemory="2GB").ok()
    assert len(local.pods("redis-512mb")) == 8
    with local.load(shards=4) as load:
        run = local.edit(totalMemory="1536MB").ok()
        load.end().is_whole()

    assert len(local.pods("redis-512mb")) == 6
    released = run.of("create-replacement", "Job::images-redis-512mb-release")
    assert released.ended is not None
    for role in ("replica", "master"):
        assert run.of("update", f"StatefulSet::images-redis-512mb-redis-{role}").began > released.ended
