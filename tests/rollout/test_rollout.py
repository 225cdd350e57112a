"""The wait for a rollout, on a cluster that is played and a clock that is turned by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from reconciler.exit_status import ExitStatus
from reconciler.rollout.__main__ import Rollout
from reconciler.rollout.api import ApiForbidden, ApiUnreachable
from reconciler.rollout.judge import Limits
from reconciler.rollout.state import Pod, StatefulSet, read_pod, read_stateful_set, read_warnings, with_warnings
from tests.rollout.test_judge import SET, pod


class Played:
    """A cluster whose answers are given as a function of the seconds that have passed."""

    def __init__(self, answers: Callable[[float], tuple[StatefulSet, tuple[Pod, ...]]]) -> None:
        self.answers, self.now, self.lines = answers, 0.0, list[str]()

    def stateful_set(self, name: str) -> tuple[StatefulSet, tuple[Pod, ...]]:
        assert name == "redis-replica"
        return self.answers(self.now)

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def wait(self, deadline_s: float = 1000.0) -> int:
        limits = Limits(pod_seconds=200, grace_seconds=100)
        return Rollout(self, "redis-replica", limits, deadline_s, self.lines.append, lambda: self.now, self.sleep).run()


MISSING_IMAGE = pod(2, is_ready=False, waiting_reason="ErrImagePull", waiting_message="redis:7.4-alpne: not found")
ROLLING = replace(SET, updated=1, available=2)


def test_it_ends_when_the_last_pod_is_there() -> None:
    cluster = Played(lambda now: (SET if now > 30 else ROLLING, (pod(),)))
    assert cluster.wait() == ExitStatus.DONE
    assert cluster.lines[-1] == "redis-replica: all 3 pods run the wanted revision"


def test_its_last_words_are_the_pod_its_reason_and_what_to_do() -> None:
    cluster = Played(lambda now: (ROLLING, (MISSING_IMAGE,)))
    assert cluster.wait() == ExitStatus.REFUSED
    assert 60 <= cluster.now < 70
    assert "redis-replica-2 holds up" in cluster.lines[-1]
    assert "redis:7.4-alpne: not found" in cluster.lines[-1]


def test_a_trouble_that_passes_and_another_that_begins_are_not_added_up() -> None:
    def answers(now: float) -> tuple[StatefulSet, tuple[Pod, ...]]:
        if now > 200:
            return SET, (pod(),)
        return ROLLING, (replace(MISSING_IMAGE, waiting_reason="" if int(now) // 50 % 2 else "ErrImagePull"),)

    assert Played(answers).wait() == ExitStatus.DONE


def test_a_pod_that_was_made_anew_gets_its_own_time() -> None:
    cluster = Played(lambda now: (SET if now > 300 else ROLLING, (replace(MISSING_IMAGE, uid=f"id-{int(now) // 50}"),)))
    assert cluster.wait() == ExitStatus.DONE


def test_it_ends_at_its_deadline_and_says_what_it_waited_for() -> None:
    cluster = Played(lambda now: (ROLLING, (pod(is_ready=False),)))
    assert cluster.wait(deadline_s=100) == ExitStatus.NOT_IN_TIME
    assert 100 <= cluster.now < 105
    assert "not finished within 100 s. redis-replica: 1 of 3 pods run the wanted revision" in cluster.lines[-1]


def test_an_api_server_that_is_away_for_a_while_is_waited_for() -> None:
    def answers(now: float) -> tuple[StatefulSet, tuple[Pod, ...]]:
        if now < 300:
            raise ApiUnreachable("no answer")
        return SET, (pod(),)

    assert Played(answers).wait() == ExitStatus.DONE


def test_missing_rights_are_waited_for_half_a_minute_and_then_named() -> None:
    def refused(until: float) -> Callable[[float], tuple[StatefulSet, tuple[Pod, ...]]]:
        def answers(now: float) -> tuple[StatefulSet, tuple[Pod, ...]]:
            if now < until:
                raise ApiForbidden("the API server answers 403")
            return SET, (pod(),)

        return answers

    assert Played(refused(28)).wait() == ExitStatus.DONE
    cluster = Played(refused(1e9))
    assert cluster.wait() == ExitStatus.REFUSED
    assert 30 <= cluster.now < 35
    assert cluster.lines[-1].startswith("the API server answers 403. The Role of this Job is part of the stack")


def test_the_same_is_not_said_every_two_seconds() -> None:
    cluster = Played(lambda now: (SET if now > 190 else ROLLING, (pod(is_ready=False),)))
    cluster.wait()
    assert 5 <= len(cluster.lines) <= 9


def test_what_the_api_server_leaves_out_is_zero() -> None:
    body = {"metadata": {"name": "redis-replica", "generation": 2}, "spec": {"selector": {"matchLabels": {"a": "b"}}}}
    found = read_stateful_set(body)
    assert (found.wanted, found.observed_generation, found.replicas, found.updated, found.available) == (1, 0, 0, 0, 0)


def test_a_pod_is_read_with_its_reasons_and_last_words() -> None:
    ended = {"exitCode": 1, "reason": "Error", "message": "*** FATAL CONFIG FILE ERROR\nBad directive"}
    found = read_pod(
        {
            "metadata": {
                "name": "redis-master-0",
                "uid": "u",
                "labels": {"controller-revision-hash": "redis-master-1"},
            },
            "status": {
                "conditions": [
                    {"type": "PodScheduled", "status": "True"},
                    {"type": "Ready", "status": "False"},
                ],
                "containerStatuses": [
                    {
                        "restartCount": 4,
                        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}},
                        "lastState": {"terminated": ended},
                    }
                ],
            },
        }
    )
    assert found == Pod(
        "redis-master-0",
        "u",
        "redis-master-1",
        is_ready=False,
        is_ending=False,
        waiting_reason="CrashLoopBackOff",
        waiting_message="back-off 40s",
        restarts=4,
        last_end="Error, exit status 1: *** FATAL CONFIG FILE ERROR Bad directive",
    )
    pending = read_pod(
        {
            "metadata": {"name": "redis-master-1", "deletionTimestamp": "2026-01-01T00:00:00Z"},
            "status": {"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/3 nodes"}]},
        }
    )
    assert (pending.unschedulable, pending.is_ending, pending.is_ready) == ("0/3 nodes", True, False)


def event(kind: str, name: str, message: str, at: str, uid: str = "") -> dict[str, object]:
    return {"involvedObject": {"kind": kind, "name": name, "uid": uid}, "message": message, "lastTimestamp": at}


def test_a_pod_has_the_latest_warning_about_itself_or_its_claim_and_none_of_its_namesake() -> None:
    warnings = read_warnings(
        [
            event("Pod", "redis-replica-0", "second", "2026-01-01T00:00:02Z", "id-0"),
            event("Pod", "redis-replica-0", "first", "2026-01-01T00:00:01Z", "id-0"),
            event("Pod", "redis-replica-1", "of the pod before", "2026-01-01T00:00:01Z", "an-older-id"),
            event("PersistentVolumeClaim", "redis-data-redis-replica-2", "no such class", "2026-01-01T00:00:01Z"),
        ]
    )
    found = with_warnings(SET, (pod(0), pod(1), pod(2)), warnings)
    assert [item.warning for item in found] == ["second", "", "no such class"]


def test_a_pod_that_could_not_be_made_is_missing_with_the_reason() -> None:
    reason = 'create Pod redis-replica-2 in StatefulSet redis-replica failed error: pods "redis-replica-2" is forbidden'
    warnings = read_warnings([event("StatefulSet", "redis-replica", reason, "2026-01-01T00:00:01Z")])
    present, missing, refused = with_warnings(SET, (pod(0),), warnings)
    assert (present.is_missing, missing.is_missing, refused.is_missing) == (False, True, True)
    assert (refused.name, refused.warning, missing.warning) == ("redis-replica-2", reason, "")
