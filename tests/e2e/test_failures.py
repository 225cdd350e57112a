"""Updates of a living stack `local` that fail or are cut off: no key is lost, the reason is told, the next one ends."""

from __future__ import annotations

import pytest

from tests.e2e.harness.images import other_redis
from tests.e2e.harness.local import POOL, LocalStack, assert_masters_roll_after_replicas, eventually

pytestmark = pytest.mark.e2e_long
_NO_SUCH_IMAGE = "redis:7.4-alpien"
_MOVING_WITHIN_S = 400.0
_VALUE_BYTES = 100_000
"""Of 1,500 keys and more: 150 MB, which takes a while to move and does not fit the pool below."""
_TOO_SMALL = {"podMemory": "48MB", "totalMemory": "144MB"}


def test_an_image_that_does_not_exist_stops_at_the_first_replica_and_the_corrected_edit_rolls_on(
    local: LocalStack,
) -> None:
    before = {name: pod["metadata"]["uid"] for name, pod in local.pods().items()}
    with local.load() as load:
        run = local.edit(images={"redis": _NO_SUCH_IMAGE})
        assert not run.succeeded
        assert "redis-replica-2 holds up the rollout of redis-replica: its image cannot be pulled" in run.output
        after = local.pods()
        assert [name for name, image in local.images().items() if image == _NO_SUCH_IMAGE] == ["redis-replica-2"]
        assert [name for name, uid in before.items() if after[name]["metadata"]["uid"] != uid] == ["redis-replica-2"]

        run = local.edit(images={"redis": other_redis()}).ok()
        load.end().is_whole()

    assert set(local.images().values()) == {other_redis()}
    assert_masters_roll_after_replicas(run)


def test_a_killed_update_is_cancelled_and_the_next_one_ends_it(local: LocalStack) -> None:
    with local.load(value_bytes=_VALUE_BYTES) as load:
        # Slow enough to be met while slots move.
        local.engine.set(totalMemory="1GB", resize={"mode": "copy", "maxMibPerSecond": 2})
        update = local.engine.start_up()
        eventually("slots move", lambda: update.done() or "move: " in local.job_log("form"), _MOVING_WITHIN_S)
        local.engine.kill_cli()
        assert not update.result().succeeded
        local.engine.cancel()

        local.edit(resize={"mode": "copy"}).ok()
        load.end().is_whole()

    assert len(local.pods()) == 8
    assert local.engine.preview().ok().changes == []


def test_a_form_that_refuses_says_why_in_the_output_and_nothing_is_lost(local: LocalStack) -> None:
    with local.load(4, _VALUE_BYTES) as load:
        run = local.edit(**_TOO_SMALL)
        assert not run.succeeded
        assert "maxmemory" in run.output
        assert "Nothing was moved" in run.output
        load.end().is_whole()

    assert POOL in local.pools()


def test_with_continue_on_error_the_old_pool_stays_and_the_next_update_ends(local: LocalStack) -> None:
    with local.load(4, _VALUE_BYTES) as load:
        local.engine.set(**_TOO_SMALL)
        run = local.engine.up(continue_on_error=True)
        assert not run.succeeded
        assert "Nothing was moved" in run.output
        assert [
            str(step) for step in run.steps if step.operation == "delete" and f"{POOL}-" in step.name and step.ended
        ] == []
        assert POOL in local.pools()

        local.edit(podMemory=None, totalMemory="1GB").ok()
        load.end().is_whole()

    assert local.pools() == [POOL, "redis-image-cache"]
