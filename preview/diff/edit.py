"""The resources of a stack before and after an edit, and what of them changes. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from components.config.choices import MoveMode
from components.config.engines import LINES, Line, can_follow, can_take_keys, differences, server_of
from preview.changes import changed_paths, force_new, prune
from preview.resources import Resource


@dataclass(frozen=True, slots=True)
class Danger:
    """What speaks against an edit."""

    text: str
    """Sentences."""
    instead: str = ""
    """What happens in place of the update, for a headline; empty where the update goes on all the same."""
    is_certain: bool = True
    """False where that depends on what nobody can read offline."""


@dataclass(frozen=True, slots=True)
class ServerChange:
    """Another line of a server, in pods that stay or in the pool that takes over from theirs."""

    before: Line
    after: Line
    pods_stay: bool
    masters_go: bool
    """Whether there are fewer masters of the pods that stay. Those that go give their slots away before."""


@dataclass(frozen=True)
class Edit:
    """Resources by URN, before and after."""

    before: Mapping[str, Resource]
    after: Mapping[str, Resource]
    access: tuple[Mapping[str, Any], Mapping[str, Any]] | None = None
    """The map `access` of the config on both sides: what users may do stands in a Secret, whose content is masked. None
    where that of before cannot be read."""

    @classmethod
    def between(
        cls,
        before: Iterable[Resource],
        after: Iterable[Resource],
        access: tuple[Mapping[str, Any], Mapping[str, Any]] | None = None,
    ) -> Edit:
        """The edit from one list of resources to another. Components, which only group others, are left out."""
        former, new = ({item.urn: item for item in items if item.inputs} for items in (before, after))
        return cls(former, new, access)

    @cached_property
    def created(self) -> tuple[Resource, ...]:
        """In the order of the program, like the others here."""
        return tuple(item for urn, item in self.after.items() if urn not in self.before)

    @cached_property
    def deleted(self) -> tuple[Resource, ...]:
        return tuple(item for urn, item in self.before.items() if urn not in self.after)

    @cached_property
    def changed(self) -> tuple[Resource, ...]:
        """What is updated in place or replaced, as it will be."""
        kept = {urn: item for urn, item in self.after.items() if urn in self.before}
        found = {urn for urn, item in kept.items() if changed_paths(prune(self.before[urn].inputs), prune(item.inputs))}
        # A launch template's next version is AWS's to number, so that offline a group seems to keep the one it has.
        templates = {urn for urn in found if self.after[urn].kind == "LaunchTemplate"}
        found |= {
            urn for urn, item in kept.items() if item.kind == "NodeGroup" and not templates.isdisjoint(item.depends_on)
        }
        return tuple(item for urn, item in kept.items() if urn in found)

    @cached_property
    def replaced(self) -> tuple[Resource, ...]:
        """What of `changed` is made anew."""
        return tuple(item for item in self.changed if force_new(self.before[item.urn], item))

    @cached_property
    def unprotected(self) -> tuple[Resource, ...]:
        """What stays and is no longer protected. The mark stands in Pulumi's state alone."""
        return tuple(item for item in self._kept() if self._was_protected(item) and not item.options.get("protect"))

    @cached_property
    def protected(self) -> tuple[Resource, ...]:
        """What stays and is protected from now on."""
        return tuple(item for item in self._kept() if item.options.get("protect") and not self._was_protected(item))

    def _kept(self) -> Iterator[Resource]:
        return (item for urn, item in self.after.items() if urn in self.before)

    def _was_protected(self, item: Resource) -> bool:
        return bool(self.before[item.urn].options.get("protect"))

    @property
    def is_empty(self) -> bool:
        return not (self.created or self.deleted or self.changed or self.unprotected or self.protected)

    @cached_property
    def names_another_cluster(self) -> bool:
        """Whether it leads to another Kubernetes cluster, in which nothing of this one is."""
        for item in self.changed:
            if item.type == "pulumi:providers:kubernetes":
                before = self.before[item.urn]
                regions = {_region(before), _region(item)} - {None}
                if _cluster(before) != _cluster(item) or len(regions) > 1:
                    return True
        return False

    def runs(self, phase: str) -> Resource | None:
        """The Job of a phase (`form`, `release`, `rollout-redis-master`) if the update runs it."""
        jobs = [item for item in (*self.created, *self.replaced) if item.kind == "Job"]
        return next((job for job in jobs if job.name.endswith(f"-{phase}")), None)

    def told_servers(self) -> tuple[str, ...]:
        """What another line of a server changes, where that is no danger: all but another engine in pods that stay."""
        change = self.server_change
        if change is None or (change.pods_stay and change.before.engine is not change.after.engine):
            return ()
        told = differences(change.before, change.after)
        return (
            (f"{change.before.title} becomes {change.after.title}: {'; '.join(told)} (docs/engines.md).",)
            if told
            else ()
        )

    @property
    def way_back(self) -> str:
        """How the edit is taken back, as a sentence or two."""
        change = self.server_change
        if change is None or (
            can_follow(change.before, change.after)
            if change.pods_stay
            else can_take_keys(change.before, change.after) or not moves_keys(self.before.values())
        ):
            return "Taking it back is the same edit the other way round, from wherever it stopped."
        cannot = f"{change.before.title} cannot read what {change.after.title} has written"
        if change.pods_stay:
            return (
                f"Taking it back is the same edit the other way round until the first master is replaced. After that, "
                f"{cannot}: another podMemory with resize.mode: expire makes a pool that fills itself."
            )
        return f"Taking it back needs resize.mode: expire: {cannot}, so the former pool fills itself."

    @cached_property
    def server_change(self) -> ServerChange | None:
        """None where no pods get a server of another line, and where nobody can say which they get."""
        sets = [[item for item in side.values() if item.kind == "StatefulSet"] for side in (self.before, self.after)]
        before, after = (_line(side.values()) for side in (self.before, self.after))
        if not all(sets) or before is None or after is None or before == after:
            return None
        stay = [item for item in sets[1] if item.urn in self.before]
        masters = [item for item in pod_sets(self) if item.name == "redis-master" and item.before and item.after]
        return ServerChange(before, after, bool(stay), any(item.pods_after < item.pods_before for item in masters))

    @property
    def changes_rights_of_nodes_alone(self) -> bool:
        """Whether a Secret of users changes only because servers that move slots themselves may do so."""
        change = self.server_change
        return (
            change is not None
            and change.before.native_move != change.after.native_move
            and self.access is not None
            and self.access[0] == self.access[1]
        )


def _cluster(provider: Resource) -> Any:
    """By what the provider tells whether it is another cluster: the name that it is given, or how it is reached."""
    given = provider.inputs
    return given.get("clusterIdentifier") or [given.get(key) for key in ("kubeconfig", "context", "cluster")]


def _region(provider: Resource) -> str | None:
    """The region of AWS in which the provider asks for its token; None where it says none. Offline the name that a
    cluster of EKS has in all of AWS is made up, and has the same region everywhere."""
    try:
        (user,) = json.loads(provider.inputs["kubeconfig"])["users"]
        arguments = user["user"]["exec"]["args"]
        return str(arguments[arguments.index("--region") + 1])
    except (ValueError, LookupError, TypeError):
        return None


def told_to_pods(pods: Resource) -> dict[str, Any]:
    """The environment of Redis in the pods of a StatefulSet."""
    return {entry["name"]: entry.get("value") for entry in containers(pods)[0].get("env", ())}


def containers(pods: Resource) -> Sequence[Mapping[str, Any]]:
    """Of the pods of a StatefulSet. Redis is the first."""
    found: Sequence[Mapping[str, Any]] = pods.inputs["spec"]["template"]["spec"]["containers"]
    return found


def _line(resources: Iterable[Resource]) -> Line | None:
    """What the pods run, as the Jobs are told; a version of the program that did not tell them has it in the image's
    name. None where that does not say it."""
    kept = tuple(resources)
    title = _topology(kept).get("server", {}).get("title")
    for line in LINES:
        if line.title == title:
            return line
    image = next((containers(item)[0]["image"] for item in kept if item.kind == "StatefulSet"), "")
    try:
        return server_of(image).line
    except ValueError:
        return None


@dataclass(frozen=True)
class PodSet:
    """A StatefulSet of a pool before and after; None where it is not there."""

    name: str
    before: Resource | None
    after: Resource | None

    @property
    def pods_before(self) -> int:
        return int(self.before.inputs["spec"]["replicas"]) if self.before else 0

    @property
    def pods_after(self) -> int:
        return int(self.after.inputs["spec"]["replicas"]) if self.after else 0

    @property
    def rolls(self) -> bool:
        """Whether pods that stay are replaced, one after the other."""
        if self.before is None or self.after is None:
            return False
        return bool(self._template(self.before) != self._template(self.after))

    @staticmethod
    def _template(item: Resource) -> Any:
        return prune(item.inputs["spec"]["template"])


def pod_sets(edit: Edit) -> tuple[PodSet, ...]:
    """In the order in which an update takes them: the last replicas first, the masters last."""
    found: dict[str, PodSet] = {}
    for item in (*edit.before.values(), *edit.after.values()):
        if item.kind == "StatefulSet" and item.urn not in found:
            name = item.inputs["metadata"]["name"]
            found[item.urn] = PodSet(name, edit.before.get(item.urn), edit.after.get(item.urn))
    # redis-master, redis-replica, redis-replica-2, …: the names sort in the opposite order.
    return tuple(sorted(found.values(), key=lambda item: item.name, reverse=True))


def wanted_nodes(resources: Iterable[Resource]) -> Any:
    """The Redis nodes that *form* is to bring about; None without a topology."""
    return _topology(resources).get("nodes")


def moves_keys(resources: Iterable[Resource]) -> bool:
    """Whether slots move with their keys."""
    return bool(_topology(resources).get("move", {}).get("mode") == MoveMode.COPY)


def _topology(resources: Iterable[Resource]) -> dict[str, Any]:
    """What the Jobs are told to bring about; empty where they are told nothing."""
    for item in resources:
        text = (item.inputs.get("data") or {}).get("topology.json") if item.kind == "ConfigMap" else None
        if text is not None:
            found: dict[str, Any] = json.loads(text)
            return found
    return {}


def nodes_of(groups: Iterable[Resource]) -> int:
    """EC2 nodes that these node groups have."""
    return sum(int(group.inputs["scalingConfig"]["desiredSize"]) for group in groups)
