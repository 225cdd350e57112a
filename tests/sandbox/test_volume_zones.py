"""A volume's StorageClass decides which zones its pod may run in, before and after the volume is made."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preview.resources import Resource
from sandbox.control.client import Sandbox
from sandbox.kubernetes.nodes import Node, Taint, nodes_from_json, nodes_to_json
from tests.sandbox.manifests import SLEEP, claim_template, container, pod_spec, stateful_set

ZONES = ("zone-a", "zone-b", "zone-c")


def storage_class(name: str, *zones: str) -> Resource:
    topologies = [{"matchLabelExpressions": [{"key": "topology.kubernetes.io/zone", "values": list(zones)}]}]
    inputs: dict[str, Any] = {"metadata": {"name": name}, "provisioner": "ebs.csi.aws.com"}
    inputs |= {"volumeBindingMode": "WaitForFirstConsumer"} | ({"allowedTopologies": topologies} if zones else {})
    return Resource(f"urn:{name}", "kubernetes:storage.k8s.io/v1:StorageClass", name, inputs=inputs)


def claiming(name: str, class_name: str) -> Resource:
    spec = pod_spec(container(SLEEP, volumeMounts=[{"name": "d", "mountPath": "/d"}]))
    template = claim_template("d", "1Mi")
    template["spec"]["storageClassName"] = class_name
    return stateful_set(name, spec, volumeClaimTemplates=[template])


@pytest.mark.sandbox
def test_a_pod_runs_where_its_storage_class_allows_a_volume(sandbox: Sandbox) -> None:
    classes = [storage_class(f"only-{zone}", zone) for zone in ZONES] + [storage_class("anywhere")]
    sandbox.apply([*classes, *(claiming(f"in-{zone}", f"only-{zone}") for zone in ZONES), claiming("free", "anywhere")])
    pods = sandbox.pods()
    assert [pods[f"in-{zone}-0"]["zone"] for zone in ZONES] == list(ZONES)
    assert pods["free-0"]["ready"]


nodes = st.builds(
    Node,
    name=st.text("abc-1", min_size=1),
    zone=st.sampled_from(ZONES),
    allocatable_memory_bytes=st.integers(1, 1 << 40),
    allocatable_cpu_millicores=st.integers(1, 64_000),
    labels=st.dictionaries(st.text("ab/"), st.text("xy")),
    taints=st.lists(st.builds(Taint, key=st.text("k"), value=st.text("v")), max_size=2).map(tuple),
)


@given(st.lists(nodes, max_size=5))
def test_machines_reach_the_sandbox_as_they_were_given(machines: list[Node]) -> None:
    assert nodes_from_json(nodes_to_json(machines)) == machines
