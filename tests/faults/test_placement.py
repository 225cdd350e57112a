"""Wherever the scheduler may put the rendered pods, in whatever order they come: nothing shares, all fit."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import replace
from functools import cache

import pytest

from preview.evaluate import Evaluation, evaluate
from sandbox.kubernetes.controllers.disruption import disruptions_allowed
from sandbox.kubernetes.controllers.scheduler import PlacedPod, feasible_nodes
from sandbox.kubernetes.manifests.objects import (
    PersistentVolumeClaim,
    PodDisruptionBudget,
    StatefulSet,
    StorageClass,
    decode_object,
)
from sandbox.kubernetes.nodes import ZONE_LABEL, Node
from tests.faults.stacks import machines

ORDERS = 20
INDEX = "apps.kubernetes.io/pod-index"
OPTIONS = [(zones, size) for zones in (2, 3, 4) for size in ("64GB", "128GB")]


@cache
def stack(zones: int, pod_memory: str) -> Evaluation:
    subnets = {f"us-east-1{'abcd'[n]}": f"subnet-0a1b2c3d4e5f6000{n}" for n in range(zones)}
    fewer = {"nodes.allowFewerZones": "true"} if zones < 3 else {}
    return evaluate("prod", {"podMemory": pod_memory, "eks.subnets": json.dumps(subnets), **fewer})


def pods_of(evaluation: Evaluation) -> list[PlacedPod]:
    """Every Redis pod, with the zones its claim's StorageClass allows."""
    decoded = [decode_object(resource) for resource in evaluation.resources if resource.is_kubernetes]
    classes = {item.metadata.name: item for item in decoded if isinstance(item, StorageClass)}
    claims = {item.metadata.name: item for item in decoded if isinstance(item, PersistentVolumeClaim)}
    found = []
    for item in decoded:
        if isinstance(item, StatefulSet):
            for index in range(item.spec.replicas):
                name = f"{item.metadata.name}-{index}"
                claim = claims[f"{item.spec.volume_claim_templates[0].metadata.name}-{name}"]
                zones = classes[claim.spec.storage_class_name or ""].zones(ZONE_LABEL)
                labels = {**item.spec.template.metadata.labels, INDEX: str(index)}
                spec = item.spec.template.spec
                found.append(PlacedPod(name, item.metadata.namespace, labels, spec, volume_zones=zones))
    return found


def place_in_some_order(pods: list[PlacedPod], nodes: list[Node], dice: random.Random) -> list[PlacedPod]:
    """Each pod, as it comes, on any of the nodes the scheduler may choose. `node` stays None where there is none."""
    placed: list[PlacedPod] = []
    for pod in dice.sample(pods, len(pods)):
        choices = feasible_nodes(pod, nodes, placed)
        placed.append(replace(pod, node=dice.choice(choices).name if choices else None))
    return placed


@pytest.mark.parametrize(("zones", "size"), OPTIONS)
def test_no_copies_of_a_shard_share_a_node_or_zone_and_no_pod_is_left_over(zones: int, size: str) -> None:
    evaluation = stack(zones, size)
    pods, nodes = pods_of(evaluation), machines(evaluation)
    zone_of = {node.name: node.zone for node in nodes}
    masters = evaluation.plan.sizing.masters
    assert len(pods) == 2 * masters
    assert len(set(zone_of.values())) == zones
    for seed in range(ORDERS):
        placed = place_in_some_order(pods, nodes, random.Random(seed))
        assert [pod.name for pod in placed if pod.node is None] == [], f"left over, seed {seed}"
        for index in range(masters):
            copies = [pod.node or "" for pod in placed if pod.labels[INDEX] == str(index)]
            assert len({zone_of[node] for node in copies}) == len(set(copies)) == len(copies) == 2
        # With three zones or more the others keep the majority of masters, and can fail over.
        by_zone = Counter(zone_of[pod.node or ""] for pod in placed if pod.labels["role"] == "master")
        assert zones < 3 or masters - max(by_zone.values()) > masters // 2


@pytest.mark.parametrize(("zones", "size"), OPTIONS)
def test_a_pod_that_leaves_any_node_finds_a_place_again(zones: int, size: str) -> None:
    evaluation = stack(zones, size)
    pods, nodes = pods_of(evaluation), machines(evaluation)
    dice = random.Random(zones)
    placed = place_in_some_order(pods, nodes, dice)
    for pod in dice.sample(placed, 8):
        rest = [other for other in placed if other is not pod]
        assert feasible_nodes(replace(pod, node=None), nodes, rest)


@pytest.mark.parametrize(("zones", "size"), OPTIONS)
def test_every_node_drains_pod_by_pod(zones: int, size: str) -> None:
    evaluation = stack(zones, size)
    pods = pods_of(evaluation)
    (budget,) = (
        item
        for resource in evaluation.resources
        if resource.kind == "PodDisruptionBudget" and isinstance(item := decode_object(resource), PodDisruptionBudget)
    )
    assert all(budget.spec.selector.matches(pod.labels) for pod in pods)
    assert {budget.metadata.namespace} == {pod.namespace for pod in pods}
    # One may go while all are ready; while it is away, no other may.
    assert disruptions_allowed(budget.spec, len(pods), len(pods)) == 1
    assert disruptions_allowed(budget.spec, len(pods), len(pods) - 1) == 0
