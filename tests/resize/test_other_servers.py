"""`images.redis` of a living stack names another server: rolled in place, or with a pool that takes over.

Which pairs are tried with plain servers, and why others are refused: tests/reconciler/test_mixed_versions.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from _pytest.mark.structures import ParameterSet

from components.config.engines import server_of
from sandbox.errors import ApplyError
from sandbox.host.images import stand_in
from sandbox.host.servers import server_for
from tests.resize.harness import LOAD, Stack, assert_nothing_lost, stack, wait_settled

pytestmark = [pytest.mark.sandbox, pytest.mark.second_look]

SMALL = {"podMemory": "64MB", "totalMemory": "192MB"}
REDIS_7_2, REDIS_7_4, REDIS_8_2, REDIS_8_6 = (f"redis:{line}-alpine" for line in ("7.2", "7.4", "8.2", "8.6"))
VALKEY_8_1, VALKEY_9_1 = (f"valkey/valkey:{line}-alpine" for line in ("8.1", "9.1"))


def case(*images: str) -> ParameterSet:
    """Skipped where this machine lacks a server, but for Redis 7.2: Debian's stands in for it on every machine, and all
    others read what that has."""
    lacking = [image for image in images if image != REDIS_7_2 and stand_in(image) is not None]
    skip = pytest.mark.skip(reason=f"no server of {', '.join(lacking)} is here; `make servers` fetches more")
    return pytest.param(images, marks=[skip] if lacking else [], id=" to ".join(title(image) for image in images))


def title(image: str) -> str:
    return server_of(image).title


def runs_for(image: str) -> str:
    """The server of this machine that pods of an image run."""
    engine, _, version = title(image).lower().partition(" ")
    found = server_for(engine, version)
    assert found is not None
    return found.title


def running(living: Stack) -> set[str]:
    """What the pods say that they run."""
    return {server_in(living, pod["namespace"], name) for name, pod in living.deployment.pods().items()}


def server_in(living: Stack, namespace: str, pod: str) -> str:
    told = living.sandbox.exec(pod, ["redis-cli", "INFO", "server"], namespace=namespace).check().stdout
    fields = dict(line.split(":", 1) for line in told.splitlines() if ":" in line)
    # A Valkey calls itself Redis 7.2.4 as well.
    if "valkey_version" in fields:
        return f"Valkey {fields['valkey_version']}"
    return f"Redis {fields['redis_version']}"


@contextmanager
def under_load(living: Stack) -> Iterator[None]:
    """No request fails in the block or for a moment after it, and no key is lost."""
    with living.deployment.load(LOAD) as load:
        yield
        wait_settled(2)
        measured = load.end()
    assert_nothing_lost(measured, requests_at_least=100)
    assert living.denied() == {}


@pytest.mark.parametrize(
    "images",
    [
        case(REDIS_7_2, REDIS_8_2),
        case(REDIS_7_2, VALKEY_9_1),
        case(REDIS_7_4, REDIS_8_2, REDIS_7_4),
        case(REDIS_8_2, REDIS_8_6),
        case(VALKEY_8_1, VALKEY_9_1, VALKEY_8_1, REDIS_7_4),
    ],
)
def test_a_roll_to_another_server_that_can_follow_loses_no_key_and_fails_no_request(images: tuple[str, ...]) -> None:
    with stack("resize-roll", **SMALL, images__redis=images[0]) as living:
        assert running(living) == {runs_for(images[0])}
        for image in images[1:]:
            with under_load(living):
                living.edit(images__redis=image)
            assert running(living) == {runs_for(image)}
            assert sorted(living.masters().values()) == [5461, 5461, 5462]


@pytest.mark.parametrize(
    "images",
    [
        case(REDIS_7_2, VALKEY_9_1),
        case(REDIS_7_4, REDIS_8_2),
        case(REDIS_8_2, REDIS_8_6),
        case(VALKEY_8_1, VALKEY_9_1),
        case(VALKEY_8_1, REDIS_7_4),
    ],
)
def test_a_pool_of_another_server_that_can_read_the_keys_takes_over_and_fails_no_request(
    images: tuple[str, ...],
) -> None:
    before, after = images
    with stack("resize-other", **SMALL, images__redis=before) as living:
        with under_load(living):
            larger = living.edit(podMemory="128MB", totalMemory="384MB", images__redis=after)
        assert living.namespaces() == {larger.plan.pool}
        assert running(living) == {runs_for(after)}
        assert sorted(living.masters().values()) == [5461, 5461, 5462]


@pytest.mark.parametrize("images", [case(VALKEY_9_1, REDIS_8_2), case(REDIS_8_2, VALKEY_9_1)])
def test_another_engine_that_cannot_share_the_cluster_is_refused_and_no_pod_is_touched(images: tuple[str, ...]) -> None:
    before, after = images
    with stack("resize-engine", **SMALL, images__redis=before) as living:
        pods = {name: (pod["ip"], pod["restarts"]) for name, pod in living.deployment.pods().items()}
        with under_load(living):
            for edit in ({}, {"podMemory": "128MB", "totalMemory": "384MB"}):
                with pytest.raises(ApplyError) as refused:
                    living.edit(images__redis=after, **edit)
                assert f"and {title(after)} cannot be in one cluster with it" in str(refused.value)
                # Of a pool, what is there by then has no pod of Redis.
                assert {name: (pod["ip"], pod["restarts"]) for name, pod in living.deployment.pods().items()} == pods
                assert len(living.namespaces()) == 1
                living.edit(images__redis=before, **SMALL)
        assert running(living) == {runs_for(before)}
