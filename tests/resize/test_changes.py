"""Config edits on a stack that serves, carried out in the sandbox as `pulumi up` would."""

from __future__ import annotations

import time

import pytest

from tests.resize.harness import LOAD, SLOW_MIB_PER_SECOND, Killer, assert_nothing_lost, stack, until_done, wait_settled

pytestmark = pytest.mark.sandbox


def test_another_pod_size_and_back_loses_no_key_and_fails_no_request() -> None:
    with stack("resize-pool", podMemory="128MB", totalMemory="384MB") as living:
        with living.deployment.load(LOAD) as load:
            smaller = living.edit(podMemory="64MB")
            assert living.namespaces() == {smaller.plan.pool}
            assert sorted(living.masters().values()) == [2730, 2730, 2731, 2731, 2731, 2731]
            larger = living.edit(podMemory="128MB")
            wait_settled(2)
            measured = load.end()
        assert living.namespaces() == {larger.plan.pool}
        assert sorted(living.masters().values()) == [5461, 5461, 5462]
        assert living.denied() == {}
        assert_nothing_lost(measured, requests_at_least=500)


@pytest.mark.second_look
def test_three_six_and_four_masters_with_killed_jobs_lose_no_key_and_fail_no_request() -> None:
    seed = 20261123
    slow = {"resize__maxMibPerSecond": SLOW_MIB_PER_SECOND}
    with stack("resize-masters", podMemory="64MB", totalMemory="192MB", **slow) as living:
        with living.deployment.load(LOAD) as load:
            with Killer(living.sandbox, seed, times=2) as growing:
                until_done(lambda: living.edit(totalMemory="384MB"), attempts=3)
            assert len(living.masters()) == 6
            with Killer(living.sandbox, seed + 1, times=2) as shrinking:
                until_done(lambda: living.edit(totalMemory="256MB"), attempts=3)
            wait_settled(2)
            measured = load.end()
        assert sorted(living.masters().values()) == [4096] * 4
        assert len(living.sandbox.status()["pods"]) >= 8
        assert growing.killed
        assert shrinking.killed
        assert_nothing_lost(measured, requests_at_least=500)


@pytest.mark.second_look
def test_handing_over_ownership_alone_fails_no_request_and_misses_no_more_than_the_budget() -> None:
    budget = 40
    config = {"resize__mode": "expire", "resize__extraMissesPerSecond": str(budget)}
    with stack("resize-expire", podMemory="64MB", totalMemory="192MB", **config) as living:
        with living.deployment.load(LOAD) as load:
            began = time.monotonic()
            living.edit(totalMemory="384MB")
            seconds = time.monotonic() - began
            wait_settled(2)
            measured = load.end()
        assert len(living.masters()) == 6
        assert measured.errors == {}, measured.tracebacks
        # Half of the slots changed owner, and only their keys are gone, no faster than the budget allows.
        assert 0 < measured.lost_keys <= measured.keys * 0.6
        assert seconds >= measured.lost_keys / budget * 0.8
        assert living.deployment.until(living.copies_agree, within_s=10) is not None
