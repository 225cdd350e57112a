"""Edits of a living stack `local` under load: every one ends, and every key is accounted for."""

from __future__ import annotations

import pytest

from tests.e2e.harness.engine import Run
from tests.e2e.harness.local import (
    OTHER_PASSWORD,
    PASSWORD,
    POOL,
    LocalStack,
    assert_masters_roll_after_replicas,
    eventually,
)

_OTHER_POOL = "redis-512mb"
_VALUE_BYTES = 100_000
"""Of 1,500 keys: 150 MB, which take more than a minute to move at the rate below."""
_SLOWLY = {"mode": "copy", "maxMibPerSecond": 2}
_MOVING_WITHIN_S = 400.0


@pytest.mark.e2e_long
def test_a_second_password_rolls_the_pods_and_no_client_notices(local: LocalStack) -> None:
    with local.load() as load:
        run = local.edit(access={"password": PASSWORD, "alsoAccepted": OTHER_PASSWORD}).ok()
        load.end().is_whole()

    assert_masters_roll_after_replicas(run)


@pytest.mark.e2e_long
def test_other_pod_memory_moves_the_cache_to_a_second_pool_and_the_first_goes_last(local: LocalStack) -> None:
    with local.load() as load:
        run = local.edit(podMemory="512MB", totalMemory="1536MB").ok()
        load.end().is_whole()

    assert_the_first_pool_goes_last(local, run)
    local.edit(podMemory=None, totalMemory=None).ok()


def test_a_killed_change_of_pool_is_cancelled_and_the_next_update_ends_it_with_the_first_pool_gone_last(
    local: LocalStack,
) -> None:
    with local.load(value_bytes=_VALUE_BYTES) as load:
        local.engine.set(podMemory="512MB", totalMemory="1536MB", resize=_SLOWLY)
        update = local.engine.start_up()
        eventually(
            "slots move", lambda: update.done() or "move: " in local.job_log("form", _OTHER_POOL), _MOVING_WITHIN_S
        )
        local.engine.kill_cli()
        assert not update.result().succeeded
        local.engine.cancel()

        run = local.edit(resize=None).ok()
        load.end().is_whole()

    assert_the_first_pool_goes_last(local, run)
    assert local.engine.preview().ok().changes == []


def assert_the_first_pool_goes_last(local: LocalStack, run: Run) -> None:
    """No object of it is deleted before the slots have moved and the client Service points to the second pool."""
    formed = run.of_any(("create", "create-replacement"), f"Job::images-{_OTHER_POOL}-form")
    pointed = run.of("update", "Service::images-client")
    assert formed.ended is not None
    assert pointed.ended is not None
    assert formed.ended < pointed.began
    gone = [step for step in run.steps if step.operation == "delete" and POOL in step.name]
    assert len(gone) > 10
    assert min(step.began for step in gone) > pointed.ended
    assert local.pools() == [_OTHER_POOL, "redis-image-cache"]


@pytest.mark.e2e_long
def test_less_total_memory_empties_the_pods_that_go_before_they_go(local: LocalStack) -> None:
    local.edit(podMemory="512MB", totalMemory="2GB").ok()
    assert len(local.pods(_OTHER_POOL)) == 8
    with local.load(shards=4) as load:
        run = local.edit(totalMemory="1536MB").ok()
        load.end().is_whole()

    assert len(local.pods(_OTHER_POOL)) == 6
    released = run.of("create-replacement", f"Job::images-{_OTHER_POOL}-release")
    assert released.ended is not None
    for role in ("replica", "master"):
        assert run.of("update", f"StatefulSet::images-{_OTHER_POOL}-redis-{role}").began > released.ended
