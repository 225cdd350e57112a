"""Updates of a living stack `local` that fail or are cut off: no key is lost, the reason is told, the next one ends."""

from __future__ import annotations

from tests.e2e.harness.local import POOL, LocalStack, eventually

_MOVING_WITHIN_S = 180.0
_SMALLER = {"podMemory": "48MB", "totalMemory": "144MB"}
"""Three masters that cannot hold what the load keeps in three of 256 MB."""


def test_a_killed_update_is_cancelled_and_the_next_one_ends_it(local: LocalStack) -> None:
    with local.load() as load:
        # Slow enough to be met while slots move.
        local.engine.set(totalMemory="1GB", resize={"maxMibPerSecond": 1})
        update = local.engine.start_up()
        eventually("slots move", lambda: "move: " in local.job_log("form"), _MOVING_WITHIN_S)
        local.engine.kill_cli()
        assert not update.result().succeeded
        local.engine.cancel()

        local.edit(resize=None).ok()
        load.end().is_whole()

    assert len(local.pods()) == 8
    assert local.engine.preview().ok().changes == []


def test_a_form_that_refuses_says_why_in_the_output_and_nothing_is_lost(local: LocalStack) -> None:
    with local.load(shards=4) as load:
        run = local.edit(**_SMALLER)
        assert not run.succeeded
        assert "maxmemory" in run.output
        assert "Nothing was moved" in run.output
        load.end().is_whole()

    assert POOL in local.pools()


def test_with_continue_on_error_the_old_pool_stays_and_the_next_update_ends(local: LocalStack) -> None:
    with local.load(shards=4) as load:
        local.engine.set(**_SMALLER)
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
