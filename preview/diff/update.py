"""What `pulumi up` will do for an edit, step by step and in its order, with the time of each step.

The order is the one of components/manifests/pool.py and components/resources/cluster.py: node groups, *release*, the
StatefulSets one after the other, *form*, the client Service, and what is deleted last. tests/preview/test_update.py
holds it to the dependencies of the rendered resources.

It is long because it is one list of steps, with a method for each, and every method is a few sentences for people.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from components.advice.advice import Advice
from components.config.choices import MoveMode
from components.config.formats import count, seconds
from components.plan.plan import POD_START_SECONDS
from components.plan.resize import DISCOVERY_SECONDS, DISCOVERY_SECONDS_MAX, JOB_SECONDS, JOIN_SECONDS
from preview.diff.clients import clients_told
from preview.diff.dangers import dangers
from preview.diff.edit import Danger, Edit, PodSet, nodes_of, pod_sets, wanted_nodes
from preview.diff.kinds import all_counted
from preview.resources import Resource

NOT_PREDICTED = "not predicted"
"""The time of what AWS does by itself: to make and to remove nodes."""
_STEPS_OF_THEIR_OWN = {"StatefulSet", "NodeGroup", "Job"}
_MADE_BESIDE_PODS = {"ConfigMap", "Secret", "PersistentVolumeClaim", "LaunchTemplate", "RolePolicyAttachment", "Role"}
"""They come and go with the pods and nodes that use them, so that the steps of those say it all."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an update."""

    what: str
    """Sentences."""
    least_seconds: float | None
    """With what this workload keeps in memory, and volumes and images that are there at once. None: AWS decides."""
    most_seconds: float | None
    """With full masters, and two minutes until a pod's volume and image are there."""
    replaces_pods: bool = False
    """Whether pods that serve are replaced, so that shards are without one of their copies meanwhile."""

    @property
    def time(self) -> str:
        return time_span(self.least_seconds, self.most_seconds)


def time_span(least_seconds: float | None, most_seconds: float | None) -> str:
    """`27 min to 47 min`; `at once` for nothing, and a word for what depends on AWS alone."""
    if least_seconds is None or most_seconds is None:
        return NOT_PREDICTED
    least, most = _rounded(least_seconds), _rounded(most_seconds)
    if most < 1:
        return "at once"
    if least == most:
        return seconds(most)
    return f"up to {seconds(most)}" if least < 1 else f"{seconds(least)} to {seconds(most)}"


def _rounded(value: float) -> float:
    """Whole minutes from two on: a prediction is no more exact."""
    return round(value / 60) * 60 if value >= 120 else round(value)


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _go(number: int) -> str:
    return "goes" if number == 1 else "go"


def _made(number: int, more: str = "") -> str:
    return f"1 pod{more} is made" if number == 1 else f"{count(number, 'pod')}{more} are made, all at once"


@dataclass(frozen=True)
class Update:
    """An edit with the plans it leads from and to."""

    edit: Edit
    before: dict[str, Any]
    """The plan before in its machine form; empty where there was none."""
    after: Advice

    @cached_property
    def dangers(self) -> tuple[Danger, ...]:
        """What speaks against the edit."""
        return dangers(self.edit)

    @property
    def instead(self) -> str:
        """What happens in place of an update of this cache; empty where it is updated."""
        return next((danger.instead for danger in self.dangers if danger.instead), "")

    @property
    def is_refused(self) -> bool:
        """Whether it is certain that this cache is not updated."""
        return any(danger.instead and danger.is_certain for danger in self.dangers)

    @property
    def renews_classes(self) -> bool:
        """Whether volumes to come get other parameters than those that the pods keep."""
        return not self.exchanges_the_pool and any(item.kind == "StorageClass" for item in self.edit.replaced)

    @property
    def exchanges_the_pool(self) -> bool:
        """Whether another pool takes the place of the living one."""
        return bool(self.before) and self.before.get("pool") != self.after.pool

    @property
    def unprotected_seconds(self) -> float:
        """How long a shard is without one of its copies while a pod of it is replaced, at most."""
        return POD_START_SECONDS + self.after.resilience.reprotection_full_seconds

    def steps(self) -> tuple[Step, ...]:
        """In their order; empty when nothing changes, and when something else happens in place of the update."""
        if self.edit.is_empty or self.instead:
            return ()
        return (
            *self._new_nodes(),
            *self._release(),
            *self._pods(),
            *self._form(),
            *self._clients(),
            *self._told(),
            *self._rights_of_nodes(),
            *(Step(told, 0, 0) for told in clients_told(self.edit) if isinstance(told, str)),
            *self._storage(),
            *self._others(),
            *self._protection(),
            *self._validation(),
            *self._deletes(),
        )

    def total(self) -> tuple[float, float] | None:
        """Least and most seconds of all steps whose time is known; None when there is none."""
        known = [(step.least_seconds, step.most_seconds) for step in self.steps()]
        pairs = [(least, most) for least, most in known if least is not None and most is not None]
        return (sum(least for least, _ in pairs), sum(most for _, most in pairs)) if pairs else None

    def _groups(self, resources: tuple[Resource, ...]) -> list[Resource]:
        return [item for item in resources if item.kind == "NodeGroup"]

    def _new_nodes(self) -> Iterator[Step]:
        edit, nodes = self.edit, self.after.nodes
        if nodes is None:
            return
        made = self._groups(edit.created)
        if made:
            yield Step(
                f"{count(nodes_of(made), 'node')} ({nodes.instance_type}) {_are(nodes_of(made))} made, one zone after "
                f"the other: {count(len(made), 'node group')}.",
                None,
                None,
            )
        kept = [group for group in self._groups(tuple(edit.after.values())) if group.urn in edit.before]
        more = nodes_of(kept) - nodes_of([edit.before[group.urn] for group in kept])
        if more > 0:
            yield Step(f"{count(more, 'node')} more in the node groups that are there.", None, None)
        if kept and any(item.kind == "LaunchTemplate" for item in edit.changed):
            number = nodes_of([edit.before[group.urn] for group in kept])
            least, most = self._seconds_of_a_pod()
            yield Step(
                f"EKS replaces {count(number, 'node')} one after the other, zone by zone. Masters hand over before "
                "their pod is evicted.",
                number * nodes.pods_per_node * least,
                number * nodes.pods_per_node * most,
                replaces_pods=True,
            )

    def _release(self) -> Iterator[Step]:
        leaving = [item for item in pod_sets(self.edit) if item.name == "redis-master" and self._stays(item)]
        number = sum(max(0, item.pods_before - item.pods_after) for item in leaving)
        if number and self.edit.runs("release"):
            least, most = self._seconds_of_a_move()
            yield Step(
                f"release moves the slots of {count(number, 'master')} to the others, {self._with_or_without_keys()}.",
                JOB_SECONDS + least * number / self._masters_before(),
                JOB_SECONDS + most,
            )

    def _pods(self) -> Iterator[Step]:
        for item in pod_sets(self.edit):
            more = item.pods_after - item.pods_before
            if item.before is None:
                yield Step(f"{item.name}: {_made(more)}.", *self._seconds_of_new_pods())
            elif item.after is not None:
                yield from self._pods_that_stay(item, more)

    def _pods_that_stay(self, item: PodSet, more: int) -> Iterator[Step]:
        if more < 0:
            go = "goes. It holds" if more == -1 else "go. They hold"
            text = f"{item.name}: {count(-more, 'pod')} {go} no slots any more."
            yield Step(text, JOB_SECONDS, JOB_SECONDS)
        if more > 0:
            yield Step(f"{item.name}: {_made(more, ' more')}.", *self._seconds_of_new_pods())
        if item.rolls:
            least, most = self._seconds_of_a_pod()
            rolled = min(item.pods_before, item.pods_after)
            yield Step(
                f"{item.name}: {count(rolled, 'pod')} are replaced, one after the other. A master hands over first, "
                "and the next pod waits until this one is in sync.",
                JOB_SECONDS + rolled * least,
                JOB_SECONDS + rolled * most,
                replaces_pods=True,
            )

    def _form(self) -> Iterator[Step]:
        if not self.edit.runs("form"):
            return
        before, after = (wanted_nodes(side.values()) for side in (self.edit.before, self.edit.after))
        copies, joining = self.after.resilience, JOB_SECONDS + JOIN_SECONDS
        if not self.before:
            yield Step("form makes one cluster of the pods and shares out the slots.", joining, POD_START_SECONDS)
        elif self.exchanges_the_pool:
            least, most = self._seconds_of_a_move()
            yield Step(
                f"form joins the new pods to the living cluster, moves all slots {self._with_or_without_keys()}, and "
                "attaches the replicas.",
                joining + DISCOVERY_SECONDS + least + copies.reprotection_seconds,
                joining + DISCOVERY_SECONDS_MAX + most + copies.reprotection_full_seconds,
            )
        elif before != after:
            moved = self._moved_share()
            least, most = self._seconds_of_a_move()
            sentence = f"moves slots to even shares, {self._with_or_without_keys()}" if moved else "moves no slot"
            yield Step(
                f"form {sentence}, and attaches the replicas.",
                joining + (DISCOVERY_SECONDS + moved * least if moved else 0) + copies.reprotection_seconds,
                joining + (DISCOVERY_SECONDS_MAX + most if moved else 0) + copies.reprotection_full_seconds,
            )
        else:
            yield Step("The Jobs run again and find nothing to move.", JOB_SECONDS, POD_START_SECONDS)

    def _clients(self) -> Iterator[Step]:
        if self.before and self.exchanges_the_pool:
            yield Step("The client Service points to the new pool. Clients have followed the slots already.", 0, 0)
        elif not self.before:
            yield Step("The client Service gives applications their name of the cache.", 0, 0)

    def _told(self) -> Iterator[Step]:
        """Applications get what they need to connect, in namespaces of their own."""
        secrets = [
            [item for item in side if item.kind == "Secret" and "-delivered-" in item.name]
            for side in ((*self.edit.created, *self.edit.changed), self.edit.deleted)
        ]
        for found, what in zip(secrets, ("is told in", "is told no longer in"), strict=True):
            if found:
                where = ", ".join(sorted(item.inputs["metadata"]["namespace"] for item in found))
                yield Step(f"How to connect {what} {where}.", 0, 0)

    def _validation(self) -> Iterator[Step]:
        """It runs after *form*, and nothing waits for it."""
        if job := self.edit.runs("validation"):
            limit_seconds = float(job.inputs["spec"]["activeDeadlineSeconds"])
            yield Step(
                "validation puts a load of images on the cache, and fails the update if it misses the rate or the p95.",
                0,
                limit_seconds,
            )
        elif any(item.kind == "Job" and item.name.endswith("-validation") for item in self.edit.deleted):
            yield Step("No load is put on the cache at the end of an update any more.", 0, 0)

    def _rights_of_nodes(self) -> Iterator[Step]:
        """Of a node role that stays."""
        if not self.before or self.exchanges_the_pool:
            return
        for found, what in ((self.edit.created, "gets"), (self.edit.deleted, "loses")):
            rights = [item for item in found if item.kind == "RolePolicyAttachment"]
            if rights and not any(item.kind in ("Role", "NodeGroup") for item in found):
                names = ", ".join(sorted(item.inputs["policyArn"].rpartition("/")[2] for item in rights))
                yield Step(f"The node role {what} {names}.", 0, 0)

    def _others(self) -> Iterator[Step]:
        if not self.before or self.exchanges_the_pool:
            return
        quiet = _STEPS_OF_THEIR_OWN | _MADE_BESIDE_PODS
        renewed = {item.urn for item in self.edit.replaced if item.kind == "StorageClass"}
        found = [
            item
            for item in (*self.edit.created, *self.edit.changed)
            if item.kind not in quiet and item.urn not in renewed
        ]
        if not any(item.kind == "LaunchTemplate" for item in self.edit.changed):
            found += (group for group in self._groups(self.edit.changed) if not self._grows(group))
        if found:
            yield Step(f"Changed without touching a pod: {all_counted(found)}.", 0, 0)

    def _storage(self) -> Iterator[Step]:
        if self.renews_classes:
            classes = [item for item in self.edit.replaced if item.kind == "StorageClass"]
            yield Step(
                f"{all_counted(classes)} {_are(len(classes))} made anew, for volumes to come. Volumes that exist keep "
                "their parameters and their price; another pool has the new ones everywhere "
                "(docs/adr/0005-a-pool-is-named-after-what-cannot-change.md).",
                0,
                0,
            )

    def _protection(self) -> Iterator[Step]:
        """A mark in Pulumi's state, of which no provider is told."""
        lost, gained = self.edit.unprotected, self.edit.protected
        if lost:
            yield Step(f"{count(len(lost), 'resource')} no longer protected, by marks in Pulumi's state alone.", 0, 0)
        if gained:
            number = count(len(gained), "resource")
            yield Step(f"{number} protected, by marks in Pulumi's state alone: {all_counted(gained)}.", 0, 0)

    def _grows(self, group: Resource) -> bool:
        return nodes_of([group]) > nodes_of([self.edit.before[group.urn]])

    def _deletes(self) -> Iterator[Step]:
        gone = self.edit.deleted
        groups, sets = self._groups(gone), [item for item in gone if item.kind == "StatefulSet"]
        if self.exchanges_the_pool and sets:
            pods = sum(int(item.inputs["spec"]["replicas"]) for item in sets)
            yield Step(f"Pool {self.before['pool']} goes: {count(pods, 'pod')} with their volumes.", 0, 0)
        elif sets:
            names = ", ".join(item.inputs["metadata"]["name"] for item in sets)
            yield Step(f"{names} {_go(len(sets))}, out of the cluster already.", 0, 0)
        if groups:
            nodes, groups_of_nodes = nodes_of(groups), count(len(groups), "node group")
            yield Step(f"{count(nodes, 'node')} in {groups_of_nodes} {_go(nodes)}, empty by then.", None, None)

    def _stays(self, item: PodSet) -> bool:
        return item.before is not None and item.after is not None

    def _masters_before(self) -> int:
        return int(self.before.get("masters") or self.after.sizing.masters)

    def _moved_share(self) -> float:
        """The share of all slots that change their master when masters come; those that go were released before."""
        before, after = self._masters_before(), self.after.sizing.masters
        return max(0.0, 1 - before / after)

    def _seconds_of_new_pods(self) -> tuple[float, float]:
        """Until they are ready and have stayed so for a while, which a Job waits for."""
        ready = JOB_SECONDS + self.after.tuning.min_ready_seconds
        return ready, POD_START_SECONDS + ready

    def _seconds_of_a_pod(self) -> tuple[float, float]:
        """Until a replaced pod is back in sync: at least with what the workload keeps, at most with a full master and
        a volume and an image that take their time."""
        found, ready = self.after.resilience, self.after.tuning.min_ready_seconds
        # What is copied is what the living cache holds, or what it will.
        former = self.before.get("resilience") or {}
        least = max(found.reprotection_seconds, float(former.get("reprotection_seconds", 0)))
        return least + ready, max(least, found.reprotection_full_seconds) + POD_START_SECONDS + ready

    def _seconds_of_a_move(self) -> tuple[float, float]:
        """Until every slot has moved: at least with the working set, at most with full masters. Of the two plans'
        predictions the longer one, since both sides take part. Servers move slots themselves where both do, in one
        way."""
        new, old = self.after.resize, self.before.get("resize") or {}
        if new.mode is MoveMode.EXPIRE:
            return new.expire_seconds, new.expire_seconds
        change = self.edit.server_change
        by_job = change is not None and change.before.native_move != change.after.native_move
        least = new.copy_by_job_seconds if by_job else new.copy_seconds
        most = new.copy_full_by_job_seconds if by_job else new.copy_full_seconds
        return (
            max(least, float(old.get("copy_seconds", 0))),
            max(most, float(old.get("copy_full_seconds", 0))),
        )

    def _with_or_without_keys(self) -> str:
        new = self.after.resize
        if new.mode is MoveMode.EXPIRE:
            return f"without their keys: up to {new.expire_extra_misses:,} more misses"
        return "with their keys"
