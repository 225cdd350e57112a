"""Edits of stack prod, and what the update for one says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from preview.diff.edit import Edit
from preview.diff.revision import access
from preview.diff.update import Update
from preview.evaluate import Evaluation
from preview.resources import Resource
from tests.resize.edits import edited, evaluated, frozen

PLAIN = {"tls.mode": "plain", "tls.plainBecause": "not asked for yet"}
PINNED = {"nodes.instanceType": "r7g.4xlarge", "workload.requestsPerSecond": "4000"}


def update(second: Mapping[str, str], first: Mapping[str, str] | None = None) -> Update:
    """From one config of stack prod to another, while its nodes are there."""
    former = first or {}
    before = evaluated(frozen(former))
    users = access("prod", former), access("prod", {**former, **second})
    return between(before, edited(before, frozen(former, second)), users)


def between(before: Evaluation, after: Evaluation, users: tuple[Any, Any] | None = None) -> Update:
    return Update(Edit.between(before.resources, after.resources, users), before.plan.to_json(), after.plan)


def warned(found: Update) -> tuple[str, ...]:
    return tuple(danger.text for danger in found.dangers)


def told(found: Update) -> list[str]:
    return [step.what for step in found.steps()]


def place(steps: list[str], fragment: str) -> int:
    (found,) = [index for index, step in enumerate(steps) if fragment in step]
    return found


def with_spec(resources: Iterable[Resource], kind: str, **spec: Any) -> list[Resource]:
    """The same, where every resource of a kind has something else in its spec."""
    return [
        replace(item, inputs={**item.inputs, "spec": {**item.inputs["spec"], **spec}}) if item.kind == kind else item
        for item in resources
    ]


def with_an_older_provider(resources: Iterable[Resource]) -> list[Resource]:
    """As they were before the provider of Kubernetes was given its newest option."""
    return [
        replace(item, inputs={key: value for key, value in item.inputs.items() if key != "enableSecretMutable"})
        for item in resources
    ]
