"""Edits of a living stack `local` that are cut off at seeded moments: `cancel` and `up` end each, and nothing is lost.

Each edit is cut off several times, in another way and at another moment each time. `E2E_SEED` chooses others.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from tests.e2e.harness.engine import Run
from tests.e2e.harness.images import other_redis
from tests.e2e.harness.local import OTHER_PASSWORD, PASSWORD, LocalStack
from tests.e2e.harness.report import say

pytestmark = pytest.mark.e2e_long

_SEED = int(os.environ.get("E2E_SEED", "1"))
_CUTS = 3
_VALUE_BYTES = 50_000
_MIB_PER_SECOND = 4
"""Slow enough that slots move for a part of the time in which an edit is cut off."""

_BOTH = {"password": PASSWORD, "alsoAccepted": OTHER_PASSWORD}
EDITS: tuple[tuple[str, dict[str, Any], float], ...] = (
    ("more-memory", {"totalMemory": "1GB"}, 60.0),
    ("another-image", {"images": {"redis": other_redis()}}, 90.0),
    ("a-second-password", {"access": _BOTH}, 90.0),
    ("less-memory", {"totalMemory": None}, 60.0),
    ("another-pool", {"podMemory": "512MB", "totalMemory": "1536MB"}, 150.0),
)
"""Each begins where the one before has ended. The seconds are about what it takes, within which it is cut off."""


def kill_everything(local: LocalStack) -> int:
    """The machine that `pulumi up` runs on goes away."""
    local.engine.kill_cli()
    return 1


def kill_a_provider(local: LocalStack) -> int:
    return local.engine.kill_provider("kubernetes")


def interrupt(local: LocalStack) -> int:
    """Ctrl-C."""
    local.engine.signal_cli()
    return 1


def delete_job_pods(local: LocalStack) -> int:
    pods = _job_pods(local)
    for namespace, name in pods:
        local.kube.delete(f"/api/v1/namespaces/{namespace}/pods/{name}?gracePeriodSeconds=0")
    return len(pods)


def evict_job_pods(local: LocalStack) -> int:
    """As a drain of their node does."""
    pods = _job_pods(local)
    for namespace, name in pods:
        local.kube.evict(namespace, name)
    return len(pods)


def _job_pods(local: LocalStack) -> list[tuple[str, str]]:
    """Pods of Jobs that have not ended: (namespace, name)."""
    pods = local.kube.items("/api/v1/pods?labelSelector=batch.kubernetes.io%2Fjob-name")
    return [
        (pod["metadata"]["namespace"], pod["metadata"]["name"])
        for pod in pods
        if pod["status"].get("phase") in ("Pending", "Running")
    ]


CUTS: tuple[Callable[[LocalStack], int], ...] = (
    kill_everything,
    kill_a_provider,
    interrupt,
    delete_job_pods,
    evict_job_pods,
)
"""Each gives how many processes or pods it met."""


@pytest.mark.parametrize(("name", "settings", "takes_s"), EDITS, ids=[edit[0] for edit in EDITS])
def test_an_edit_that_is_cut_off_again_and_again_ends_with_the_next_up(
    local: LocalStack, name: str, settings: dict[str, Any], takes_s: float
) -> None:
    seeded = random.Random(f"{_SEED} {name}")
    cuts = seeded.sample(CUTS, _CUTS)
    with local.load(value_bytes=_VALUE_BYTES) as load:
        local.engine.set(resize={"mode": "copy", "maxMibPerSecond": _MIB_PER_SECOND}, **settings)
        met = 0
        for cut in cuts:
            update = local.engine.start_up()
            met += _cut_off(local, update, cut, seeded.uniform(1, takes_s))
            assert local.engine.resources(), "the state can be read"
        assert met > 0, "every update had ended before it was cut off: choose another seed"

        local.engine.up().ok()
        load.end().is_whole()
    assert local.engine.preview().ok().changes == []


def _cut_off(local: LocalStack, update: Future[Run], cut: Callable[[LocalStack], int], after_s: float) -> int:
    """Cuts an update off at a time, or as soon after it as there is what to cut; then clears the lock that it may have
    left. Gives what was met; 0 when the update had ended."""
    began, met = time.monotonic(), 0
    while not update.done() and not met:
        time.sleep(0.2)
        if time.monotonic() - began > after_s and not update.done():
            met = cut(local)
    say(f"{cut.__name__} after {time.monotonic() - began:.0f} s met {met}")
    # What does not end by the cut itself goes on to its end, well or not.
    update.result()
    local.engine.cancel()
    return met
