"""A pool as whole objects, in an order in which `kubectl apply` could take them one by one."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import kubernetes_validate
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.config.load import settings_of
from components.config.settings import Access, Settings
from components.manifests.guard import pool_guard
from components.manifests.keys import PRIORITY_CLASS, READY, certificate_file, secret_value
from components.manifests.manifest import Manifest, Ref, applicable, refs
from components.manifests.pool import client_manifests, pool_manifests, priority_class
from components.manifests.storage import storage_classes
from components.manifests.tls import FILES
from components.manifests.topology import TOPOLOGY_KEY, topology
from components.manifests.users import secret_keys
from components.plan.plan import derive_plan
from components.resources.stack import KUBERNETES_MINOR_MIN
from tests.plan.stacks import BY_TAG, CLIENTS, PRODUCTION

SECRETS = {secret_value(key): "s" * 16 for key in secret_keys(Access.model_validate({"alsoAccepted": "q" * 16}))}
GIVEN = {PRIORITY_CLASS: "images-priority", **SECRETS, **{certificate_file(name): "PEM" for name in FILES}}


def pool(**config: Any) -> tuple[Settings, tuple[Manifest, ...]]:
    stack = settings_of(**PRODUCTION | config)
    return stack, pool_manifests(stack, derive_plan(stack))


ZONES = {f"us-east-1{letter}": f"subnet-{letter}" for letter in "abcdef"}
CONFIGS = st.fixed_dictionaries(
    {
        "podMemory": st.sampled_from(["256MB", "16GB", "64GB"]),
        "replicas": st.integers(1, 2),
        "masters": st.integers(3, 9),
        "zones": st.sampled_from([0, 3, 4]),
        "exporter": st.booleans(),
        "second_password": st.booleans(),
    }
)


def drawn(config: Mapping[str, Any]) -> dict[str, Any]:
    unit = config["podMemory"][-2:]
    total = f"{int(config['podMemory'][:-2]) * config['masters']}{unit}"
    zones = dict(list(ZONES.items())[: config["zones"]])
    place = {"eks": {"clusterName": "c", "subnets": zones}} if zones else {"kubeContext": "kind"}
    access = CLIENTS | ({"alsoAccepted": "battery-staple-horse"} if config["second_password"] else {})
    return {
        "podMemory": config["podMemory"],
        "totalMemory": total,
        "replicasPerMaster": config["replicas"],
        "workload": {"requestsPerSecond": 10, "objectBytes": 1000},
        "monitoring": {"exporter": config["exporter"]},
        "nodes": {"allowFewerZones": True},
        "access": access,
        **place,
    }


def test_references_are_found_wherever_they_stand() -> None:
    one, two, three = Ref("one"), Ref("two", "value"), Ref("three")
    body = {"name": one, "list": [1, {"deep": (two, "text")}], "text": "one", "again": [one], "three": three}
    assert list(refs(body)) == [one, two, one, three]
    assert list(refs(one)) == [one]


@settings(max_examples=40)
@given(CONFIGS)
def test_an_object_refers_only_to_what_stands_before_it(config: Mapping[str, Any]) -> None:
    _, manifests = pool(**drawn(config))
    earlier: set[str] = set()
    for manifest in manifests:
        assert manifest.key not in earlier, "a key is used twice"
        assert {ref.of for ref in refs(manifest.body) if ref not in GIVEN} <= earlier, manifest.key
        assert set(manifest.after) <= earlier | {READY}, manifest.key
        earlier.add(manifest.key)


@pytest.mark.parametrize(
    "config",
    [
        {"eks": {"clusterName": "c", "subnets": dict(list(ZONES.items())[:3]), "tags": {"team": "images"}}},
        {"kubeContext": "kind", "replicasPerMaster": 2, "monitoring": {"exporter": True}},
    ],
    ids=["eks", "elsewhere"],
)
def test_every_object_is_whole_and_valid_as_it_would_be_applied(config: dict[str, Any]) -> None:
    stack, manifests = pool(**config)
    shared = (priority_class(), *pool_guard(), *storage_classes(stack))
    objects = [
        *applicable(shared, "images", {}),
        *applicable(manifests, "images-pool", GIVEN),
        *applicable(client_manifests(stack, derive_plan(stack)), "images", {}),
    ]

    assert len(
        {(item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"]) for item in objects}
    ) == len(objects)
    kinds = {item["kind"]: item for item in objects}
    for item in kinds.values():
        kubernetes_validate.validate(item, f"1.{KUBERNETES_MINOR_MIN}", strict=True)
    assert not list(refs(objects))


def test_names_that_are_made_up_follow_the_content() -> None:
    names = set()
    for hit_rate in (0.7, 0.8):
        _, manifests = pool(kubeContext="kind", workload={"hitRate": hit_rate})
        (config,) = [
            item
            for item in applicable(manifests, "images", GIVEN)
            if item["kind"] == "ConfigMap" and "redis.conf" in item.get("data", {})
        ]
        names.add(config["metadata"]["name"])
    assert len(names) == 2


@pytest.mark.parametrize("domain", ["cluster.local", "k8s.example.com"])
@settings(max_examples=20)
@given(CONFIGS)
def test_the_host_names_of_pods_are_known_by_their_form_in_pools_of_any_name(
    domain: str, config: Mapping[str, Any]
) -> None:
    """An old pool's repair must know the pods of a new one, which has another name."""
    _, manifests = pool(**drawn(config), clusterDomain=domain)
    (wanted,) = (
        json.loads(item.body["data"][TOPOLOGY_KEY])
        for item in manifests
        if item.kind == "ConfigMap" and TOPOLOGY_KEY in item.body.get("data", {})
    )
    other = settings_of(podMemory="128GB", kubeContext="kind", **PRODUCTION, clusterDomain=domain)
    known = json.loads(topology(other, derive_plan(other)))["podHosts"]
    hosts = [node["host"] for node in wanted["nodes"]]
    assert all(re.fullmatch(known, host) for host in hosts), hosts[0]
    for host in hosts[:2]:
        name, service, rest = host.split(".", 2)
        for foreign in (
            f"evil-{host}",
            f"{host}.evil.com",
            f"{name}.other.{rest}",
            f"{name}x.{service}.{rest}",
            host[:-1],
        ):
            assert not re.fullmatch(known, foreign), foreign


@pytest.mark.parametrize(
    ("image", "is_told"), [("redis:8.6-alpine", False), ("redis:7.2-alpine", False), ("valkey/valkey:8.0-alpine", True)]
)
def test_pods_of_a_valkey_alone_are_told_their_zone(image: str, is_told: bool) -> None:
    _, manifests = pool(kubeContext="kind", images=BY_TAG | {"redis": image})
    told = [
        [variable["valueFrom"] for variable in container["env"] if variable["name"] == "AVAILABILITY_ZONE"]
        for manifest in manifests
        if manifest.kind == "StatefulSet"
        for container in manifest.body["spec"]["template"]["spec"]["containers"]
    ]
    source = {"fieldRef": {"fieldPath": "metadata.labels['topology.kubernetes.io/zone']"}}
    assert told == [[source] if is_told else []] * 2
