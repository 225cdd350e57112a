"""No config edit replaces, shrinks or empties anything that still holds slots: every key, alone and in pairs."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from itertools import combinations
from types import UnionType
from typing import Union, get_args, get_origin

import pytest
from pydantic import BaseModel

from components.settings import Settings
from sandbox.evaluate import Evaluation, evaluate
from sandbox.resources import Resource
from tests.resize.pulumi_rules import faults

SUBNETS = {"us-east-1a": "subnet-0a1b2c3d4e5f60001", "us-east-1b": "subnet-0a1b2c3d4e5f60002"}
C = {"us-east-1c": "subnet-0a1b2c3d4e5f60003"}
D = {"us-east-1d": "subnet-0a1b2c3d4e5f60004"}

EDITS: Mapping[str, tuple[Mapping[str, str], ...]] = {
    "podMemory": ({"podMemory": "128GB"}, {"podMemory": "32GB"}),
    "totalMemory": ({"totalMemory": "768GB"}, {"totalMemory": "1536GB"}),
    "replicasPerMaster": ({"replicasPerMaster": "2"},),
    "workload.requestsPerSecond": ({"workload.requestsPerSecond": "4000"},),
    "workload.objectBytes": ({"workload.objectBytes": "500000"},),
    "workload.ttlSeconds": ({"workload.ttlSeconds": "200"},),
    "workload.hitRate": ({"workload.hitRate": "0.9"},),
    "workload.p95LatencyMs": ({"workload.p95LatencyMs": "300"},),
    "eks.subnets": (
        {"eks.subnets": json.dumps(SUBNETS | D)},
        {"eks.subnets": json.dumps(SUBNETS | C | D)},
        {"eks.subnets": json.dumps(SUBNETS | {"us-east-1c": "subnet-0a1b2c3d4e5f69999"})},
    ),
    "eks.nodeRoleArn": ({"eks.nodeRoleArn": "arn:aws:iam::111122223333:role/nodes"},),
    "eks.tags": ({"eks.tags": '{"team": "pictures"}'},),
    "nodes.instanceType": ({"nodes.instanceType": "r7i.12xlarge"}, {"nodes.instanceType": "r7g.16xlarge"}),
    "nodes.architecture": ({"nodes.architecture": "x86_64"}, {"nodes.architecture": "arm64"}),
    "nodes.packing": ({"nodes.packing": "requests"},),
    "nodes.capacityType": ({"nodes.capacityType": "spot", "nodes.production": "false"},),
    "nodes.production": ({"nodes.production": "false"},),
    "nodes.placement": ({"nodes.placement": "preferred", "nodes.production": "false"},),
    "nodes.allowFewerZones": ({"nodes.allowFewerZones": "true", "eks.subnets": json.dumps(SUBNETS)},),
    "storage.size": ({"storage.size": "20GB"},),
    "storage.iops": ({"storage.iops": "4000"},),
    "storage.throughputMibPerSecond": ({"storage.throughputMibPerSecond": "250"},),
    "storage.kmsKeyId": ({"storage.kmsKeyId": "alias/images"},),
    "storage.className": ({"storage.className": "gp3"}, {"storage.className": "gp3.fast"}),
    "monitoring.exporter": ({"monitoring.exporter": "true"},),
    "access.password": ({"access.password": "correct-horse-battery"},),
    "access.alsoAccepted": ({"access.alsoAccepted": "battery-staple-horse"},),
    "access.allowFromNamespaces": ({"access.allowFromNamespaces": '["shop"]'},),
    "images.redis": ({"images.redis": "redis:7.2-alpine"},),
    "images.python": ({"images.python": "python:3.12-alpine"},),
    "images.exporter": ({"images.exporter": "oliver006/redis_exporter:v1.75.0", "monitoring.exporter": "true"},),
    "resize.mode": ({"resize.mode": "expire"},),
    "resize.maxMibPerSecond": ({"resize.maxMibPerSecond": "500"},),
    "resize.extraMissesPerSecond": ({"resize.extraMissesPerSecond": "100"},),
}
"""Key -> edits of stack prod that change it."""

ANOTHER_CLUSTER = {"eks.clusterName", "kubeContext"}
"""They name another Kubernetes cluster. No pod there can join the Redis Cluster here: that is no edit of a living cache
but a second one, and the runbook says how to have both."""

STRUCTURAL = (
    "podMemory",
    "totalMemory",
    "replicasPerMaster",
    "eks.subnets",
    "nodes.architecture",
    "nodes.capacityType",
    "storage.size",
    "storage.className",
)
"""Keys that change what cannot be changed in place: all their pairs are tried, of the others some."""

OTHER_PAIRS = 16


def leaves(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every key of the settings, dotted."""
    for field in model.model_fields.values():
        kinds = (
            get_args(field.annotation) if get_origin(field.annotation) in (Union, UnionType) else (field.annotation,)
        )
        section = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        if section is None:
            yield f"{prefix}{field.alias}"
        else:
            yield from leaves(section, f"{prefix}{field.alias}.")


@cache
def evaluated(edit: tuple[tuple[str, str], ...], node_groups: tuple[tuple[str, int], ...] = ()) -> Evaluation:
    return evaluate("prod", dict(edit), node_groups=dict(node_groups))


def frozen(*edits: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted({key: value for edit in edits for key, value in edit.items()}.items()))


def edited(before: Evaluation, edit: tuple[tuple[str, str], ...]) -> Evaluation:
    """The stack after an edit, as it is evaluated while the node groups of `before` are there."""
    plain = evaluated(edit)
    new = {item.name: item for item in plain.resources if item.kind == "NodeGroup"}
    living = {
        f"{item.name}-0123456": item.inputs["scalingConfig"]["desiredSize"]
        for item in before.resources
        if item.kind == "NodeGroup" and item.name in new
    }
    return evaluated(edit, tuple(sorted(living.items()))) if living else plain


def assert_safe(first: Mapping[str, str], second: Mapping[str, str]) -> None:
    """From one config to the other and back."""
    for one, other in ((first, second), (second, first)):
        before = evaluated(frozen(one))
        after = edited(before, frozen(other))
        assert faults(before, after) == [], f"{one} -> {other}"


def test_every_key_of_the_settings_is_tried_here() -> None:
    assert {*EDITS, *ANOTHER_CLUSTER} == set(leaves(Settings))


@pytest.mark.parametrize("key", EDITS)
def test_an_edit_of_one_key_endangers_nothing_that_holds_slots(key: str) -> None:
    for edit in EDITS[key]:
        assert_safe({}, edit)


@pytest.mark.parametrize("pair", list(combinations(STRUCTURAL, 2)), ids="+".join)
def test_two_structural_keys_edited_at_once_endanger_nothing_that_holds_slots(pair: tuple[str, str]) -> None:
    assert_safe({}, dict(frozen(EDITS[pair[0]][0], EDITS[pair[1]][0])))


@pytest.mark.parametrize("number", range(OTHER_PAIRS))
def test_any_edit_after_any_other_endangers_nothing_that_holds_slots(number: int) -> None:
    choice = random.Random(number)
    first, second = (choice.choice(EDITS[key]) for key in choice.sample(sorted(EDITS), 2))
    assert_safe(first, dict(frozen(first, second)))


def test_only_the_keys_that_name_it_change_the_kubernetes_cluster() -> None:
    def providers(evaluation: Evaluation) -> dict[str, object]:
        return {item.urn: item.inputs for item in evaluation.resources if item.type == "pulumi:providers:kubernetes"}

    same = providers(evaluated(()))
    assert len(same) == 1
    for edits in EDITS.values():
        assert providers(evaluated(frozen(edits[0]))) == same
    assert providers(evaluated((("eks.clusterName", "images-two"),))) != same


@pytest.mark.parametrize(
    ("edit", "pool"),
    [
        ({}, "redis-64gb"),
        ({"podMemory": "128GB"}, "redis-128gb"),
        ({"storage.size": "77GB"}, "redis-64gb"),
        ({"storage.size": "20GB"}, "redis-64gb-vol20gb"),
        ({"eks.subnets": json.dumps(SUBNETS | D)}, "redis-64gb-az-abd"),
        ({"eks.subnets": json.dumps(SUBNETS | D), "storage.className": "gp3"}, "redis-64gb-az-abd-sc-gp3"),
    ],
)
def test_a_pool_is_named_after_what_cannot_change_in_place(edit: Mapping[str, str], pool: str) -> None:
    assert evaluated(frozen(edit)).plan.pool == pool


def test_fewer_masters_leave_the_node_groups_as_large_as_they_are_and_say_so() -> None:
    pinned = {"nodes.instanceType": "r7g.4xlarge", "workload.requestsPerSecond": "4000"}
    before = evaluated(frozen(pinned))
    after = edited(before, frozen(pinned, {"totalMemory": "512GB"}))
    sizes = {item.name: item.inputs["scalingConfig"] for item in after.resources if item.kind == "NodeGroup"}
    former = {item.name: item.inputs["scalingConfig"] for item in before.resources if item.kind == "NodeGroup"}

    assert sizes.keys() == former.keys()
    for name, size in sizes.items():
        assert size["desiredSize"] == size["maxSize"] == former[name]["desiredSize"]
        assert size["minSize"] < size["desiredSize"]
    assert sum("more than its pods need" in warning for warning in after.warnings) == len(sizes)


def test_the_rules_find_what_they_are_there_for() -> None:
    """The checks of this file are held to edits that are known to be unsafe."""
    pinned = {"nodes.instanceType": "r7g.4xlarge", "workload.requestsPerSecond": "4000"}
    before, smaller = evaluated(frozen(pinned)), evaluated(frozen(pinned, {"totalMemory": "512GB"}))
    assert any("shrinks, and EKS" in fault for fault in faults(before, smaller))

    moved = [
        item if item.kind != "StatefulSet" else _with_spec(item, podManagementPolicy="OrderedReady")
        for item in before.resources
    ]
    broken = Evaluation(**{**vars(before), "resources": tuple(moved)})
    assert any("podManagementPolicy" in fault for fault in faults(before, broken))


def _with_spec(resource: Resource, **changed: object) -> Resource:
    return replace(resource, inputs={**resource.inputs, "spec": {**resource.inputs["spec"], **changed}})
