"""No config edit replaces, shrinks or empties anything that still holds slots: every key alone. Pairs of keys have a
file of their own, so that another process tries them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import UnionType
from typing import Union, get_args, get_origin

import pytest
from pydantic import BaseModel

from components.config.settings import Settings
from preview.evaluate import Evaluation
from preview.resources import Resource
from tests.resize.edits import ANOTHER_CLUSTER, EDITS, SUBNETS, D, assert_safe, edited, evaluated, frozen
from tests.resize.pulumi_rules import faults


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


def providers(evaluation: Evaluation) -> dict[str, object]:
    """The providers that name the Kubernetes cluster, by URN."""
    return {item.urn: item.inputs for item in evaluation.resources if item.type == "pulumi:providers:kubernetes"}


def test_every_key_of_the_settings_is_tried_here() -> None:
    assert {*EDITS, *ANOTHER_CLUSTER} == set(leaves(Settings))


@pytest.mark.long
@pytest.mark.parametrize("key", EDITS)
def test_an_edit_of_one_key_endangers_nothing_that_holds_slots(key: str) -> None:
    for edit in EDITS[key]:
        after = assert_safe({}, edit)
        assert providers(after) == providers(evaluated(()))


def test_only_the_keys_that_name_it_change_the_kubernetes_cluster() -> None:
    assert len(providers(evaluated(()))) == 1
    assert providers(evaluated((("eks.clusterName", "images-two"),))) != providers(evaluated(()))


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
        assert size["desiredSize"] == size["maxSize"] - 1 == former[name]["desiredSize"]
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


def test_a_protected_object_that_an_edit_replaces_or_deletes_is_found() -> None:
    before = evaluated(())
    guarded = [
        replace(item, options={**item.options, "protect": True}) if item.kind in ("StatefulSet", "Job") else item
        for item in before.resources
    ]
    protected = Evaluation(**{**vars(before), "resources": tuple(guarded)})

    found = faults(protected, edited(before, frozen({"podMemory": "128GB"})))
    for name in ("redis-master", "form"):
        assert any(f"{name} is protected, so Pulumi refuses to delete it" in fault for fault in found), found
    assert any("replace it" in fault for fault in faults(protected, edited(before, frozen({"totalMemory": "768GB"}))))


def test_a_config_map_that_goes_while_pods_mount_it_is_found_and_one_that_nobody_mounts_is_not() -> None:
    watched = frozen({"monitoring.exporter": "true"})
    before = evaluated(watched)
    after = edited(before, frozen(dict(watched), {"workload.requestsPerSecond": "7000"}))
    (dashboard,) = (
        item for item in after.resources if item.inputs.get("metadata", {}).get("name") == "redis-dashboard"
    )
    assert faults(before, after) == []

    def mounting(item: Resource) -> Resource:
        return replace(item, inputs={**item.inputs, "mounts": {"configMap": {"name": "redis-dashboard"}}})

    def needing(item: Resource) -> Resource:
        return replace(item, needs=(*item.needs, dashboard.urn))

    for changed, told in ((mounting, "mounts it"), (needing, f"would go with {dashboard.name}")):
        resources = tuple(changed(item) if item.kind == "Job" else item for item in after.resources)
        found = faults(before, Evaluation(**{**vars(after), "resources": resources}))
        assert any(told in fault for fault in found), found


def _with_spec(resource: Resource, **changed: object) -> Resource:
    return replace(resource, inputs={**resource.inputs, "spec": {**resource.inputs["spec"], **changed}})
