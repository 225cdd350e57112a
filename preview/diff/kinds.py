"""Kinds of resources, counted for people. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from components.config.formats import count
from preview.resources import Resource

_PLURALS = {"NetworkPolicy": "NetworkPolicies", "StorageClass": "StorageClasses"}


def counted(number: int, kind: str) -> str:
    """`1 NetworkPolicy`, `4 StorageClasses`."""
    return count(number, kind, _PLURALS.get(kind))


def all_counted(resources: Iterable[Resource]) -> str:
    """`1 NetworkPolicy, 4 StorageClasses`."""
    kinds = Counter(map(_kind, resources))
    return ", ".join(counted(number, kind) for kind, number in sorted(kinds.items()))


def _kind(item: Resource) -> str:
    """The type of a provider ends in what it provides: `pulumi:providers:kubernetes`."""
    return f"{item.kind.capitalize()} provider" if item.type.startswith("pulumi:providers:") else item.kind
