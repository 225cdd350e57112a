"""What an update does for an edit, step by step: held to the resources that are rendered before and after."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from components.plan.resize import JOB_SECONDS, JOIN_SECONDS
from preview.diff.edit import Edit, nodes_of, pod_sets
from preview.diff.revision import access
from preview.diff.update import NOT_PREDICTED, Update, time_span
from preview.evaluate import evaluate
from tests.preview.updates import PINNED, between, place, told, update, warned, with_an_older_provider
from tests.resize.edits import EDITS, edited, evaluated, frozen


def test_the_same_config_has_no_steps() -> None:
    assert update({}).steps() == ()
    assert update({}).total() is None


def test_another_pod_size_makes_a_second_pool_moves_the_slots_and_lets_the_first_one_go() -> None:
    found = update({"podMemory": "128GB"})
    steps = told(found)

    order = [
        "9 nodes (r6g.12xlarge) are made",
        "redis-replica: 8 pods are made",
        "redis-master: 8 pods are made",
        "moves all slots with their keys",
        "The client Service points to the new pool",
        "Pool redis-64gb goes: 32 pods",
        "9 nodes in 3 node groups go",
    ]
    assert [place(steps, fragment) for fragment in order] == list(range(len(order)))
    assert found.exchanges_the_pool


def test_the_steps_of_an_exchange_stand_in_the_order_of_their_dependencies() -> None:
    before = evaluated(())
    after = edited(before, frozen({"podMemory": "128GB"}))
    resources = {item.urn: item for item in after.resources}

    def waits_for(urn: str) -> set[str]:
        """Every resource that must be ready before; depending on a component is depending on its children."""
        seen: set[str] = set()
        left = [urn]
        while left:
            for needed in resources[left.pop()].depends_on:
                found = {needed, *(item.urn for item in after.resources if item.parent == needed)}
                left += found - seen
                seen |= found
        return seen

    def urn(kind: str, end: str) -> str:
        (found,) = (item.urn for item in after.resources if item.kind == kind and item.name.endswith(end))
        return found

    chain = [
        urn("NodeGroup", "us-east-1a"),
        urn("Job", "-release"),
        urn("StatefulSet", "-redis-replica"),
        urn("Job", "-rollout-redis-replica"),
        urn("StatefulSet", "-redis-master"),
        urn("Job", "-form"),
        urn("Service", "-client"),
    ]
    for earlier, later in pairwise(chain):
        assert earlier in waits_for(later), (earlier, later)


def test_fewer_masters_are_released_before_their_pods_go_and_form_moves_nothing_more() -> None:
    steps = told(update({"totalMemory": "512GB"}, PINNED))

    released = place(steps, "release moves the slots of 8 masters")
    assert released < place(steps, "redis-replica: 8 pods go") < place(steps, "redis-master: 8 pods go")
    assert place(steps, "form moves no slot") > place(steps, "redis-master: 8 pods go")


def test_more_masters_get_nodes_first_and_their_slots_last() -> None:
    before = evaluated(frozen(PINNED))
    found = update({"totalMemory": "1536GB"}, PINNED)
    steps = told(found)
    groups = [item for item in before.resources if item.kind == "NodeGroup"]
    more = sum(zone.nodes for zone in found.after.nodes.zones) - nodes_of(groups) if found.after.nodes else 0

    assert more > 0
    assert place(steps, f"{more} nodes more in the node groups") < place(steps, "redis-replica: 8 pods more")
    assert place(steps, "redis-master: 8 pods more") < place(steps, "form moves slots to even shares")
    form = found.steps()[place(steps, "form moves slots to even shares")]
    whole = update({"podMemory": "32GB"}, PINNED).steps()
    (every,) = [step for step in whole if "moves all slots" in step.what]
    assert form.least_seconds is not None
    assert every.least_seconds is not None
    assert form.least_seconds < every.least_seconds


def test_a_new_replica_of_each_shard_is_made_and_attached() -> None:
    steps = told(update({"replicasPerMaster": "2"}))
    assert place(steps, "redis-replica-2: 16 pods are made") < place(steps, "form moves no slot, and attaches")


def test_one_replica_less_leaves_the_cluster_before_its_pods_go() -> None:
    steps = told(update({"replicasPerMaster": "1"}, {"replicasPerMaster": "2"}))
    assert place(steps, "form moves no slot") < place(steps, "redis-replica-2 goes")


def test_another_image_rolls_the_replicas_then_the_masters_and_moves_nothing() -> None:
    found = update({"images.redis": "redis:8.2-alpine"})
    steps = told(found)

    assert [step.partition(":")[0] for step in steps[:2]] == ["redis-replica", "redis-master"]
    assert all("16 pods are replaced, one after the other" in step for step in steps[:2])
    # The Jobs are told which server comes.
    assert steps[2] == "The Jobs run again and find nothing to move."
    assert all(step.startswith("Changed without touching a pod") for step in steps[3:])
    (change,) = found.edit.told_servers()
    assert change.startswith("Redis 7.4 becomes Redis 8.2: the license is ")
    resync = found.after.resilience
    least, most = found.total() or (0, 0)
    assert least >= 32 * resync.reprotection_seconds
    assert most >= 32 * resync.reprotection_full_seconds > least / 3


def test_another_architecture_makes_nodes_rolls_the_pods_and_removes_the_empty_nodes() -> None:
    steps = told(update({"nodes.architecture": "x86_64"}))
    assert place(steps, "are made, one zone after the other: 3 node groups") == 0
    assert place(steps, "redis-master: 16 pods are replaced") < place(steps, "in 3 node groups go, empty by then")


def test_another_type_of_the_same_architecture_lets_eks_replace_the_nodes() -> None:
    found = update({"nodes.instanceType": "r7g.16xlarge"})
    steps = told(found)
    assert place(steps, "EKS replaces 9 nodes one after the other") == 0
    assert "pods are replaced" not in " ".join(steps)
    assert [step.replaces_pods for step in found.steps()] == [True, *[False] * (len(steps) - 1)]
    groups = [item for item in found.edit.changed if item.kind == "NodeGroup"]
    assert len(groups) == 3


def test_mode_expire_says_how_many_misses_it_adds() -> None:
    (form,) = [step for step in told(update({"podMemory": "32GB", "resize.mode": "expire"})) if "form" in step]
    assert "without their keys: up to 480,000 more misses" in form


def test_who_may_connect_changes_without_touching_a_pod() -> None:
    assert told(update({"access.allowFromNamespaces": '["shop"]'})) == [
        "Changed without touching a pod: 1 NetworkPolicy."
    ]


def test_a_new_stack_is_formed_and_nothing_goes() -> None:
    after = evaluated(())
    found = Update(Edit.between((), after.resources), {}, after.plan)
    steps = told(found)

    assert "form makes one cluster of the pods" in steps[place(steps, "form makes")]
    assert not any(" go" in re.sub(r" go\w+", "", step) for step in steps)
    assert not found.exchanges_the_pool
    assert warned(found) == ()


def test_other_parameters_of_volumes_leave_those_that_exist_as_they_are() -> None:
    found = update({"storage.iops": "4000"})
    (step,) = told(found)
    assert step.startswith(
        "4 StorageClasses are made anew, for volumes to come. Volumes that exist keep their parameters and their price"
    )
    assert not update({"storage.iops": "4000", "podMemory": "128GB"}).renews_classes


def test_a_single_pod_is_written_as_one() -> None:
    steps = told(update({"totalMemory": "1088GB"}))
    assert "redis-master: 1 pod more is made." in steps
    found = evaluated(frozen({"totalMemory": "1088GB"}))
    steps = told(between(found, edited(found, frozen({}))))
    assert "redis-master: 1 pod goes. It holds no slots any more." in steps


def test_the_provider_of_kubernetes_is_no_kind_called_kubernetes() -> None:
    before = evaluated(())
    older = with_an_older_provider(before.resources)
    found = Update(Edit.between(older, before.resources), before.plan.to_json(), before.plan)
    assert told(found) == ["Changed without touching a pod: 1 Kubernetes provider."]


def test_what_a_node_role_may_is_told() -> None:
    assert "The node role gets AmazonEKS_CNI_Policy." in told(update({"eks.cniRole": "node"}))
    assert "The node role loses AmazonEKS_CNI_Policy." in told(update({"eks.cniRole": "own"}, {"eks.cniRole": "node"}))


LOSES = {
    *(("clusterDomain", False), ("clusterDomain", True), ("protect", False)),
    *(("access.password", False), ("access.password", True), ("access.alsoAccepted", True)),
    *(("access.keyPrefix", False), ("access.scripts", True), ("access.defaultUser", True)),
    *(("access.allowFromNamespaces", True), ("access.allowFromPods", True)),
}
"""Key and whether its edit is taken back: what then is refused, or lost to clients. What everybody may do who gives no
user is a danger too (`test_who_may_connect.py`)."""


@pytest.mark.long
@pytest.mark.parametrize("key", EDITS)
def test_every_edit_of_a_key_is_told_or_changes_nothing_and_only_what_is_lost_is_a_danger(key: str) -> None:
    before = evaluated(())
    for edit in EDITS[key]:
        after = edited(before, frozen(edit))
        users = access("prod", {}), access("prod", edit)
        there, back = between(before, after, users), between(after, edited(after, frozen({})), users[::-1])
        for found in (there, back):
            assert bool(found.steps()) == (not found.edit.is_empty and not found.instead)
            by_another = not {"tls.issuer", "tls.secret"}.isdisjoint(edit)
            dangerous = not found.edit.is_empty and (by_another or edit.get("tls.mode") == "plain")
            everything = edit.get("access.defaultUser") == "everything"
            assert bool(warned(found)) == (dangerous or everything or (key, found is back) in LOSES)
            said = ("The certificate is signed by ", "Clients would be cut off: tls.mode ")
            assert key in dict(LOSES) or all(text.startswith(said) for text in warned(found))
            if found.instead:
                continue
            for step in found.steps():
                assert step.what.endswith(".")
                assert not re.search(r"\b1 (pods|nodes|masters|groups)\b|[Nn]one|nan", step.what)
                if step.least_seconds is not None and step.most_seconds is not None:
                    assert 0 <= step.least_seconds <= step.most_seconds
            rolled = [item for item in pod_sets(found.edit) if item.rolls]
            assert sum("are replaced, one after the other" in what for what in told(found)) == len(rolled)


@pytest.mark.parametrize(
    ("span", "shown"),
    [
        ((0, 0), "at once"),
        ((0, 120), "up to 2 min"),
        ((61, 61.2), "61 s"),
        ((110, 725), "110 s to 12 min"),
        ((3000, 9000), "50 min to 2 h 30 min"),
        ((None, None), NOT_PREDICTED),
    ],
)
def test_a_time_is_written_no_more_exactly_than_it_is_known(
    span: tuple[float | None, float | None], shown: str
) -> None:
    assert time_span(*span) == shown


def test_the_first_up_takes_about_as_long_as_was_measured() -> None:
    """24.8 s for stack `local` in the sandbox (docs/reference/redis.md, "Moving slots")."""
    made = evaluate("local", {})
    total = Update(Edit.between([], made.resources), {}, made.plan).total()
    assert total is not None
    assert 24.8 / 2 <= total[0] <= 2 * 24.8
    assert total[1] > 24.8


def test_more_masters_take_their_joining_however_little_moves() -> None:
    before, after = evaluate("local", {}), evaluate("local", {"totalMemory": "1GB"})
    found = between(before, after)
    (form,) = [step for step in found.steps() if step.what.startswith("form moves slots")]
    assert form.least_seconds is not None
    assert form.least_seconds >= JOB_SECONDS + JOIN_SECONDS + after.plan.resize.slots_seconds / 4
