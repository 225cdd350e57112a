"""The controllers' and the engine's decisions, without processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preview.resources import Resource
from sandbox.errors import ImagePullError, InvalidError, UnsupportedError
from sandbox.host.addresses import IPV4
from sandbox.host.images import ImageStore, exists, repository
from sandbox.host.memory import ended_for_memory
from sandbox.host.network import AddressPool
from sandbox.kubernetes import quantity
from sandbox.kubernetes.controllers.disruption import disruptions_allowed
from sandbox.kubernetes.controllers.statefulset import Create, Replica, check_update, decide, is_settled, revision_of
from sandbox.kubernetes.engine.awaiting import await_timeout_s
from sandbox.kubernetes.engine.changes import Applied, Verb, plan_changes
from sandbox.kubernetes.kubelet.environment import expand
from sandbox.kubernetes.kubelet.probes import Threshold
from sandbox.kubernetes.kubelet.restarts import Backoff
from sandbox.kubernetes.manifests.base import decode
from sandbox.kubernetes.manifests.objects import DisruptionSpec, StatefulSet, decode_object
from tests.sandbox.manifests import claim_template, container, job, pod_spec, resource, stateful_set


def web(replicas: int = 3, **more: Any) -> StatefulSet:
    item = decode_object(stateful_set("web", pod_spec(container("true")), replicas=replicas, **more))
    assert isinstance(item, StatefulSet)
    return item


@st.composite
def sets(draw: st.DrawFn) -> tuple[StatefulSet, list[Replica]]:
    replicas = draw(st.integers(0, 6))
    item = web(
        replicas,
        podManagementPolicy=draw(st.sampled_from(["Parallel", "OrderedReady"])),
    )
    ordinals = draw(st.sets(st.integers(0, 8)))
    return item, [
        Replica(n, draw(st.sampled_from(["old", "new"])), available=draw(st.booleans())) for n in sorted(ordinals)
    ]


@given(sets())
def test_a_stateful_set_settles_from_any_state_when_its_pods_become_available(
    start: tuple[StatefulSet, list[Replica]],
) -> None:
    item, replicas = start
    for _ in range(60):
        actions = decide(item.spec, "new", replicas)
        if not actions and all(replica.available for replica in replicas):
            break
        gone = {action.ordinal for action in actions if not isinstance(action, Create)}
        made = [Replica(a.ordinal, "new", available=False) for a in actions if isinstance(a, Create)]
        # Between two looks of the controller every pod becomes available, and every deleted one is gone.
        replicas = [Replica(r.ordinal, r.revision, available=True) for r in replicas if r.ordinal not in gone] + made
    assert is_settled(item.spec, "new", replicas)
    assert all(replica.revision == "new" for replica in replicas)


@given(sets())
def test_an_update_never_takes_an_available_pod_while_another_is_missing(
    start: tuple[StatefulSet, list[Replica]],
) -> None:
    item, replicas = start
    wanted = set(range(item.spec.replicas))
    deleted = [a.ordinal for a in decide(item.spec, "new", replicas) if not isinstance(a, Create)]
    updates = [ordinal for ordinal in deleted if ordinal in wanted]
    assert len(updates) <= 1
    for ordinal in updates:
        higher = [r for r in replicas if r.ordinal in wanted and r.ordinal > ordinal]
        assert {r.ordinal for r in higher} == {n for n in wanted if n > ordinal}
        assert all(r.available and r.revision == "new" for r in higher)


@given(sets())
def test_ordered_ready_does_one_thing_at_a_time(start: tuple[StatefulSet, list[Replica]]) -> None:
    item, replicas = start
    if item.spec.pod_management_policy == "OrderedReady":
        assert len(decide(item.spec, "new", replicas)) <= 1


def test_the_revision_follows_the_template_alone() -> None:
    assert revision_of(web(1).spec) == revision_of(web(5, minReadySeconds=3).spec)
    other = decode_object(stateful_set("web", pod_spec(container("false"))))
    assert isinstance(other, StatefulSet)
    assert revision_of(other.spec) != revision_of(web().spec)


@pytest.mark.parametrize(
    "more",
    [
        {"serviceName": "x"},
        {"podManagementPolicy": "OrderedReady"},
        {"volumeClaimTemplates": [claim_template("d", "1")]},
    ],
)
def test_immutable_fields_of_a_stateful_set_are_refused(more: dict[str, Any]) -> None:
    with pytest.raises(InvalidError) as caught:
        check_update(web(), web(**more))
    assert "Forbidden: updates to statefulset spec for fields other than" in str(caught.value)
    assert str(caught.value).endswith(f"(changed: {next(iter(more))})")
    check_update(web(), web(5, minReadySeconds=1))


def chain(count: int) -> list[Resource]:
    made: list[Resource] = []
    for number in range(count):
        made.append(resource("ConfigMap", f"c{number}", data={"a": "1"}, depends_on=made[-1:]))
    return made


def applied(*resources: Resource, ready: bool = True) -> dict[str, Applied]:
    return {item.urn: Applied(item, ready) for item in resources}


def verbs(old: dict[str, Applied], new: list[Resource]) -> list[Verb]:
    return [step.verb for step in plan_changes(old, new).steps]


def test_dependents_are_deleted_before_what_they_depend_on() -> None:
    items = chain(5)
    assert list(plan_changes(applied(*items), []).deletes) == items[::-1]


def test_depending_on_a_component_waits_for_all_its_descendants() -> None:
    outer = Resource("urn:outer", "pkg:index:Outer", "outer")
    inner = Resource("urn:inner", "pkg:index:Inner", "inner", parent="urn:outer")
    leaf = resource("ConfigMap", "leaf", data={})
    leaf = Resource(**{**leaf.__dict__, "parent": "urn:inner"})
    last = resource("ConfigMap", "last", data={}, depends_on=[outer])
    assert plan_changes({}, [outer, inner, leaf, last]).waits[last.urn] == {"urn:outer", "urn:inner", leaf.urn}


def test_circles_and_strangers_are_refused() -> None:
    one, two = chain(2)
    circle = Resource(**{**one.__dict__, "depends_on": (two.urn,)})
    with pytest.raises(InvalidError, match="in a circle"):
        plan_changes({}, [circle, two])
    with pytest.raises(InvalidError, match="does not register"):
        plan_changes({}, [two])
    with pytest.raises(InvalidError, match="duplicate resource URN"):
        plan_changes({}, [one, one])


def test_the_providers_rules_decide_between_update_and_replacement() -> None:
    spec = pod_spec(container("true"))
    cases = [
        (stateful_set("a", spec), stateful_set("a", spec, replicas=2), Verb.UPDATE),
        (stateful_set("a", spec), stateful_set("a", pod_spec(container("false"))), Verb.UPDATE),
        (stateful_set("a", spec), stateful_set("a", spec, serviceName="b"), Verb.REPLACE),
        (job("a", spec), job("a", pod_spec(container("false"))), Verb.REPLACE),
        (job("a", spec), job("a", spec, backoffLimit=1), Verb.UPDATE),
        (resource("ConfigMap", "a", data={"k": "1"}), resource("ConfigMap", "a", data={"k": "2"}), Verb.REPLACE),
        (resource("ConfigMap", "a", data={"k": "1"}), resource("ConfigMap", "a", data={"k": "1"}), Verb.SAME),
        (resource("Secret", "a", stringData={"k": "1"}), resource("Secret", "a", stringData={"k": "2"}), Verb.UPDATE),
        (
            resource("Secret", "a", stringData={"k": "1"}),
            resource("Secret", "a", stringData={"k": "2"}, immutable=True),
            Verb.REPLACE,
        ),
    ]
    for old, new, verb in cases:
        assert verbs(applied(old), [new]) == [verb], (old.kind, verb)


def test_an_object_with_a_new_name_is_made_before_the_old_one_goes() -> None:
    old, new = resource("ConfigMap", "a-1", data={"k": "1"}), resource("ConfigMap", "a-2", data={"k": "2"})
    new = Resource(**{**new.__dict__, "urn": old.urn})
    (step,) = (changes := plan_changes(applied(old), [new])).steps
    assert (step.verb, step.deletes_first, changes.deletes) == (Verb.REPLACE, False, (old,))
    same = resource("ConfigMap", "a-1", data={"k": "2"})
    (step,) = (changes := plan_changes(applied(old), [same])).steps
    assert (step.deletes_first, changes.deletes) == (True, ())


def test_a_job_that_failed_is_tried_again_or_replaced_when_it_asks_for_it() -> None:
    plain = job("a", pod_spec(container("true")))
    assert verbs(applied(plain, ready=False), [plain]) == [Verb.RETRY]
    annotated = {**plain.inputs["metadata"], "annotations": {"pulumi.com/replaceUnready": "true"}}
    asking = Resource(**{**plain.__dict__, "inputs": {**plain.inputs, "metadata": annotated}})
    assert verbs(applied(asking, ready=False), [asking]) == [Verb.REPLACE]
    assert verbs(applied(asking), [asking]) == [Verb.SAME]


def test_waiting_times_come_from_the_program_or_the_provider() -> None:
    plain = stateful_set("a", pod_spec(container("true")))
    assert await_timeout_s(plain) == 300
    assert await_timeout_s(stateful_set("a", {}, annotations={"pulumi.com/timeoutSeconds": "7"})) == 7
    assert await_timeout_s(Resource(**{**plain.__dict__, "options": {"customTimeouts": {"create": "1h30m5s"}}})) == 5405
    with pytest.raises(InvalidError, match=r"customTimeouts\.create is 'soon'"):
        await_timeout_s(Resource(**{**plain.__dict__, "options": {"customTimeouts": {"create": "soon"}}}))


@pytest.mark.parametrize(
    ("given", "expected", "healthy", "allowed"),
    [
        ({"maxUnavailable": 1}, 6, 6, 1),
        ({"maxUnavailable": 1}, 6, 5, 0),
        ({"maxUnavailable": 3}, 6, 4, 1),
        ({"maxUnavailable": 0}, 3, 3, 0),
        ({"maxUnavailable": 9}, 3, 2, 2),
    ],
)
def test_disruption_budgets_count_as_kubernetes_does(
    given: dict[str, Any], expected: int, healthy: int, allowed: int
) -> None:
    spec = decode(DisruptionSpec, {"selector": {}, **given}, "PodDisruptionBudget")
    assert disruptions_allowed(spec, expected, healthy) == allowed


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)", "1"),
        ("x$(A)$(B)y", "x12y"),
        ("$(GONE)", "$(GONE)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$A", "$A"),
        ("$(A", "$(A"),
        ("cost: $", "cost: $"),
        ("$$", "$"),
        ("$()", "$()"),
    ],
)
def test_references_expand_as_in_kubernetes(text: str, expanded: str) -> None:
    assert expand(text, {"A": "1", "B": "2"}) == expanded


def test_restarts_back_off_from_ten_seconds_to_five_minutes_and_forget_after_ten() -> None:
    backoff = Backoff()
    now = 1000.0
    assert [backoff.next_delay_s(now) for _ in range(8)] == [0, 10, 20, 40, 80, 160, 300, 300]
    assert backoff.next_delay_s(now + 601) == 0


def test_a_threshold_needs_its_outcomes_in_a_row() -> None:
    verdict = Threshold(failure=3, ok=False)
    assert [verdict.add(ok) for ok in (False, True)] == [False, True]
    assert [verdict.add(ok) for ok in (False, False, True, False, False, False)] == [True] * 5 + [False]
    assert verdict.failed


@given(st.lists(st.sampled_from(["take", "release"]), max_size=60))
def test_no_address_is_used_twice_at_once_or_again_soon(actions: list[str]) -> None:
    pool, held, past = AddressPool(), [], []
    for action in actions:
        if action == "take":
            address = pool.take("pod")
            assert address not in past
            held.append(address)
            past.append(address)
        elif held:
            pool.release(held.pop())


def test_a_reserved_address_goes_to_its_owner_alone() -> None:
    pool = AddressPool()
    pool.reserve("a", str(IPV4.pod_range[2]))
    assert pool.take("b") != str(IPV4.pod_range[2])
    assert pool.take("a") == str(IPV4.pod_range[2])


@pytest.mark.parametrize(
    ("text", "count"),
    [("77Gi", 77 * 2**30), ("1.5Gi", 3 * 2**29), ("1000m", 1), ("1e3", 1000), ("0.5", 1), ("12k", 12000), (64, 64)],
)
def test_quantities_are_bytes_rounded_up(text: str | int, count: int) -> None:
    assert quantity.to_bytes(text) == count


@pytest.mark.parametrize("text", ["", "Gi", "1GB", "1 Gi", "--1", "1e"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        quantity.parse(text)


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("redis:7-alpine", "redis"),
        ("docker.io/library/redis:7@sha256:ab", "redis"),
        ("public.ecr.aws/docker/library/python:3.13-alpine", "python"),
        ("localhost:5000/redis", "localhost:5000/redis"),
        ("busybox", "busybox"),
    ],
)
def test_the_repository_of_an_image_reference(reference: str, name: str) -> None:
    assert repository(reference) == name


@pytest.mark.parametrize(
    "reference",
    [
        "redis:7.4-alpne",
        "redis:7.3",
        "redis:7.4-slim",
        "redis:8.1",
        "valkey/valkey:8.2",
        "redis:7,4",
        "redis:v7",
        "python:3.31-alpine",
        "busybox:1.36-x",
    ],
)
def test_a_tag_that_its_repository_does_not_have_cannot_be_pulled(reference: str, tmp_path: Path) -> None:
    with pytest.raises(ImagePullError, match=f"has no tag '{reference.partition(':')[2]}': not found"):
        ImageStore(tmp_path).get(reference)


@pytest.mark.parametrize(
    "tag", ["", ":latest", ":alpine", ":7", ":7-alpine", ":7.4-alpine", ":7.4.2-alpine3.21", ":7.2-bookworm@sha256:ab"]
)
def test_the_tags_of_the_official_images_can_be_pulled(tag: str) -> None:
    assert exists(f"public.ecr.aws/docker/library/redis{tag}")


def test_an_image_this_machine_has_no_programs_for_is_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(
        UnsupportedError, match="the sandbox has: busybox, oliver006/redis_exporter, python, redis, valkey/valkey"
    ):
        ImageStore(tmp_path).get("nginx:1")


@given(st.lists(st.integers(0, 3), min_size=1, max_size=6))
def test_of_the_largest_processes_the_youngest_is_ended_for_memory(scores: list[int]) -> None:
    pids = [100 + number for number in range(len(scores))]
    ended = ended_for_memory(pids, dict(zip(pids, scores, strict=True)).__getitem__)
    assert scores[pids.index(ended)] == max(scores)
    assert all(score < max(scores) for score in scores[pids.index(ended) + 1 :])
