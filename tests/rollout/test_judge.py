"""Each rule of a rollout alone, with cases on both sides of each of its comparisons."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.rollout.judge import Limits, Verdict, judge, trouble
from reconciler.rollout.state import Pod, StatefulSet

NEW, OLD = "redis-replica-new", "redis-replica-old"
LIMITS = Limits(pod_seconds=200, grace_seconds=100)
SET = StatefulSet(
    name="redis-replica",
    selector={"app": "redis"},
    wanted=3,
    generation=5,
    observed_generation=5,
    replicas=3,
    updated=3,
    available=3,
    update_revision=NEW,
    current_revision=OLD,
)


def pod(number: int = 2, **changes: Any) -> Pod:
    return replace(Pod(f"redis-replica-{number}", f"id-{number}", NEW, is_ready=True, is_ending=False), **changes)


def verdict(*pods: Pod, seconds: float = 0.0, **changes: Any) -> Verdict:
    """Of a set in the middle of a rollout, whose pods have been in their trouble for so long."""
    return judge(
        replace(SET, **{"updated": 1, "available": 2, **changes}), pods, {pod.name: seconds for pod in pods}, LIMITS
    )


def test_a_rollout_is_over_when_every_count_is_the_wanted_number() -> None:
    assert judge(SET, [pod(0), pod(1), pod(2)], {}, LIMITS) == Verdict(
        "redis-replica: all 3 pods run the wanted revision", is_done=True
    )


@pytest.mark.parametrize("count", ["replicas", "updated", "available"])
@pytest.mark.parametrize("number", [2, 4])
def test_a_count_that_is_not_the_wanted_number_is_waited_for(count: str, number: int) -> None:
    found = judge(replace(SET, **{count: number}), [pod()], {}, LIMITS)
    assert (found.is_done, found.is_stuck) == (False, False)


def test_counts_of_before_the_edit_are_not_believed() -> None:
    assert not judge(replace(SET, generation=6), [pod()], {}, LIMITS).is_done
    assert judge(replace(SET, generation=5), [pod()], {}, LIMITS).is_done
    assert judge(replace(SET, generation=4), [pod()], {}, LIMITS).is_done


@pytest.mark.parametrize(
    ("changes", "patience_s", "reason"),
    [
        ({"waiting_reason": "ErrImagePull", "waiting_message": "not found"}, 60, "ErrImagePull: not found"),
        ({"waiting_reason": "ImagePullBackOff"}, 60, "its image cannot be pulled"),
        ({"waiting_reason": "InvalidImageName"}, 0, "its image cannot be pulled"),
        ({"waiting_reason": "CreateContainerConfigError", "waiting_message": "no Secret"}, 60, "no Secret"),
        ({"unschedulable": "0/9 nodes are available"}, 100, "no node takes it (0/9 nodes are available)"),
        ({"is_missing": True, "warning": "exceeded quota"}, 60, "Kubernetes refuses to make it (exceeded quota)"),
        ({"is_missing": True}, 120, "Kubernetes has not made it"),
        ({"is_ending": True}, 220, "it is being deleted and does not go"),
        ({}, 200, "it is not ready"),
        ({"warning": "Startup probe failed: no answer"}, 200, "it is not ready (Startup probe failed: no answer)"),
    ],
)
def test_trouble_is_waited_for_until_waiting_is_of_no_use(
    changes: dict[str, Any], patience_s: float, reason: str
) -> None:
    troubled = pod(2, is_ready=False, **changes)
    if patience_s:
        before = verdict(troubled, seconds=patience_s - 1)
        assert not before.is_stuck
        assert "redis-replica-2" in before.text
    after = verdict(troubled, seconds=patience_s)
    assert after.is_stuck
    assert after.text.startswith("redis-replica-2 holds up the rollout of redis-replica: ")
    assert reason in after.text
    assert f"{1 if troubled.is_missing else 2} of 3 pods were not touched" in after.text
    assert "run `pulumi up` again" in after.text


def test_a_new_pod_is_given_the_time_in_which_a_node_is_added() -> None:
    waiting = pod(is_ready=False, unschedulable="0/9 nodes are available")
    assert not verdict(waiting, seconds=299, current_revision=NEW).is_stuck
    assert verdict(waiting, seconds=300, current_revision=NEW).is_stuck


def test_memory_is_named_where_it_ran_out() -> None:
    crashing = pod(is_ready=False, restarts=3, last_end="OOMKilled, exit status 137")
    assert "take a larger podMemory" in verdict(crashing).text
    assert "kubectl logs --previous" in verdict(replace(crashing, last_end="Error, exit status 1: bad")).text


def test_a_container_that_ended_three_times_with_an_error_is_not_waited_for() -> None:
    crashing = pod(is_ready=False, waiting_reason="CrashLoopBackOff", last_end="Error, exit status 1: bad directive")
    assert not verdict(replace(crashing, restarts=2), seconds=5).is_stuck
    stuck = verdict(replace(crashing, restarts=3), seconds=5)
    assert stuck.is_stuck
    assert "ended 3 times with an error (Error, exit status 1: bad directive)" in stuck.text
    assert not verdict(replace(crashing, restarts=9, is_ready=True)).is_stuck, "it has recovered"
    assert not verdict(replace(crashing, restarts=9, revision=OLD)).is_stuck, "the controller replaces it"


def test_pods_of_an_older_revision_are_the_controllers_business() -> None:
    for broken in ({"waiting_reason": "ImagePullBackOff"}, {"unschedulable": "no node"}, {}):
        assert trouble(SET, pod(revision=OLD, is_ready=False, **broken)) == ""
        assert not verdict(pod(revision=OLD, is_ready=False, **broken), seconds=10_000).is_stuck


@given(st.text(min_size=1000, max_size=4000))
def test_the_advice_survives_the_longest_message(message: str) -> None:
    """Kubernetes keeps the last 2,048 bytes of a log as a pod's message; the pod's name stands at the line's begin."""
    found = verdict(pod(is_ready=False, waiting_reason="ErrImagePull", waiting_message="x" + message), seconds=60)
    assert len(found.text.encode()) < 1_100
    assert found.text.endswith("the rollout goes on from there.")


@given(st.lists(st.booleans(), min_size=3, max_size=3), st.floats(0, 10_000))
def test_a_rollout_is_never_both_over_and_stuck(ready: list[bool], seconds: float) -> None:
    pods = [pod(number, is_ready=is_ready) for number, is_ready in enumerate(ready)]
    found = verdict(*pods, seconds=seconds, updated=3, available=sum(ready))
    assert not (found.is_done and found.is_stuck)
    assert found.is_done == all(ready)
