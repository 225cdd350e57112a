"""What an update has to do: new resources against applied ones, by the rules of Pulumi and its provider. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from preview.changes import changed_paths, force_new, identity, prune
from preview.resources import Resource
from sandbox.errors import InvalidError

REPLACE_UNREADY = "pulumi.com/replaceUnready"


class Verb(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    RETRY = "retry"
    SAME = "same"
    NOTE = "note"


@dataclass(frozen=True)
class Applied:
    """A resource of the previous update; `ready` is false when waiting for it failed."""

    resource: Resource
    ready: bool = True


@dataclass(frozen=True)
class Step:
    verb: Verb
    resource: Resource
    old: Resource | None = None
    because: tuple[str, ...] = ()
    """Field paths that changed."""

    @property
    def deletes_first(self) -> bool:
        """Two objects of one name cannot exist at once; with a new name the old one goes last."""
        return self.verb is Verb.REPLACE and self.old is not None and identity(self.old) == identity(self.resource)


@dataclass(frozen=True)
class Changes:
    steps: tuple[Step, ...]
    """In the order the program registered them; `waits` tells what must be done before each."""
    waits: Mapping[str, frozenset[str]]
    """URN -> URNs of resources (not components) that must be ready before it."""
    deletes: tuple[Resource, ...]
    """In the order they must go, after all steps."""


def is_component(resource: Resource) -> bool:
    """Components only group and order: a token of the program itself or of no provider."""
    return resource.provider is None and not resource.inputs and not resource.is_kubernetes


def plan_changes(applied: Mapping[str, Applied], resources: Sequence[Resource]) -> Changes:
    """Raises InvalidError for a URN used twice, an unknown dependency or a cycle."""
    by_urn = {resource.urn: resource for resource in resources}
    if len(by_urn) != len(resources):
        twice = sorted(urn for urn, count in Counter(r.urn for r in resources).items() if count > 1)
        raise InvalidError(f"duplicate resource URN: {', '.join(twice)}")
    waits = {resource.urn: _waits(resource, by_urn) for resource in resources}
    _check_acyclic(waits)
    steps = tuple(_step(resource, applied.get(resource.urn)) for resource in resources)
    replaced = [step.old for step in steps if step.verb is Verb.REPLACE and step.old and not step.deletes_first]
    gone = [item.resource for urn, item in applied.items() if urn not in by_urn]
    return Changes(steps, waits, tuple(_reverse_order([*replaced, *gone])))


def _step(new: Resource, applied: Applied | None) -> Step:
    if not new.is_kubernetes:
        return Step(Verb.NOTE, new)
    if applied is None:
        return Step(Verb.CREATE, new)
    old = applied.resource
    if not applied.ready and (new.inputs.get("metadata") or {}).get("annotations", {}).get(REPLACE_UNREADY) == "true":
        return Step(Verb.REPLACE, new, old, ("it was not ready",))
    because = changed_paths(prune(old.inputs), prune(new.inputs))
    forced = force_new(old, new)
    if forced:
        return Step(Verb.REPLACE, new, old, forced)
    if because:
        return Step(Verb.UPDATE, new, old, because)
    return Step(Verb.SAME if applied.ready else Verb.RETRY, new, old)


def _waits(resource: Resource, by_urn: Mapping[str, Resource]) -> frozenset[str]:
    waits: set[str] = set()
    for urn in resource.depends_on:
        if urn not in by_urn:
            raise InvalidError(f"{resource.urn} depends on {urn}, which the program does not register")
        waits |= {urn} | _descendants(urn, by_urn)
    # A child may depend on a sibling through their common parent; it never waits for itself.
    return frozenset(waits - {resource.urn})


def _descendants(urn: str, by_urn: Mapping[str, Resource]) -> set[str]:
    found: set[str] = set()
    frontier = {urn}
    while frontier:
        frontier = {item.urn for item in by_urn.values() if item.parent in frontier} - found
        found |= frontier
    return found


def _check_acyclic(waits: Mapping[str, frozenset[str]]) -> None:
    left = {urn: set(needed) & set(waits) for urn, needed in waits.items()}
    while left:
        free = {urn for urn, needed in left.items() if not needed & set(left)}
        if not free:
            raise InvalidError(f"resources depend on each other in a circle: {', '.join(sorted(left))}")
        for urn in free:
            del left[urn]


def _reverse_order(resources: Iterable[Resource]) -> list[Resource]:
    """Dependents before what they depend on."""
    items = list(resources)
    by_urn = {resource.urn: resource for resource in items}
    waits = {}
    for resource in items:
        known = [urn for urn in resource.depends_on if urn in by_urn]
        waits[resource.urn] = {urn for dep in known for urn in ({dep} | _descendants(dep, by_urn))} - {resource.urn}
        # A child goes before its parent.
        if resource.parent in by_urn:
            waits[resource.urn].add(str(resource.parent))
    ordered: list[Resource] = []
    left = dict.fromkeys(reversed([resource.urn for resource in items]))
    while left:
        free = [urn for urn in left if not any(urn in waits[other] for other in left if other != urn)]
        for urn in free or [next(iter(left))]:
            ordered.append(by_urn[urn])
            del left[urn]
    return ordered
