"""What the sandbox does not run is an error that names it."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preview.resources import Resource
from sandbox.errors import InvalidError, SandboxError, UnsupportedError
from sandbox.kubernetes.manifests.base import not_enforced
from sandbox.kubernetes.manifests.objects import RUN, decode_object
from tests.sandbox.manifests import claim_template, container, headless, job, pod_spec, resource, stateful_set

FULL = stateful_set(
    "web",
    pod_spec(
        container(
            "true",
            env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
            ports=[{"containerPort": 6379, "name": "redis"}],
            resources={"requests": {"memory": "1Mi", "cpu": "10m"}, "limits": {"memory": "2Mi", "cpu": 1}},
            readinessProbe={"exec": {"command": ["true"]}, "periodSeconds": 1},
            livenessProbe={"exec": {"command": ["true"]}},
            lifecycle={"preStop": {"exec": {"command": ["true"]}}},
            securityContext={"capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True},
            volumeMounts=[{"name": "data", "mountPath": "/data"}, {"name": "conf", "mountPath": "/conf"}],
        ),
        volumes=[{"name": "conf", "configMap": {"name": "conf", "items": [{"key": "a", "path": "b"}]}}],
        securityContext={"fsGroup": 1, "seccompProfile": {"type": "RuntimeDefault"}},
        tolerations=[{"key": "redis", "value": "true", "effect": "NoSchedule"}],
        affinity={
            "podAntiAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": [
                    {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "web"}}}
                ]
            }
        },
        topologySpreadConstraints=[
            {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway"}
        ],
    ),
    volumeClaimTemplates=[claim_template("data", "1Mi")],
)
OBJECTS = [
    FULL,
    headless("web", ports=[{"port": 6379, "name": "redis"}]),
    job("work", pod_spec(container("true")), backoffLimit=1),
    resource("ConfigMap", "conf", data={"a": "b"}, binaryData={"c": "AAE="}),
    resource("Secret", "keys", stringData={"a": "b"}),
    resource("PodDisruptionBudget", "web", {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "web"}}}),
]
FREE_MAPS = {
    "labels",
    "annotations",
    "matchLabels",
    "data",
    "stringData",
    "binaryData",
    "nodeSelector",
    "seccompProfile",
}


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of all maps with fixed fields."""
    found: list[tuple[Any, ...]] = []
    if isinstance(value, dict):
        selects = len(path) > 0 and path[-1] == "selector" and "matchLabels" not in value
        if not (path and path[-1] in FREE_MAPS) and not selects:
            found.append(path)
            for key, item in value.items():
                found += places(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found += places(item, (*path, index))
    return found


def with_field(item: Resource, path: tuple[Any, ...], name: str) -> Resource:
    inputs = copy.deepcopy(dict(item.inputs))
    target: Any = inputs
    for part in path:
        target = target[part]
    target[name] = "x"
    return Resource(**{**item.__dict__, "inputs": inputs})


@pytest.mark.parametrize("item", OBJECTS, ids=lambda item: item.kind)
def test_the_supported_fields_decode(item: Resource) -> None:
    assert decode_object(item) is not None


@given(st.data())
def test_an_unknown_field_anywhere_is_refused_by_its_path(data: st.DataObject) -> None:
    item = data.draw(st.sampled_from(OBJECTS))
    path = data.draw(st.sampled_from(places(dict(item.inputs))))
    name = data.draw(st.sampled_from(["hostIPC", "prot", "tty", "x"]))
    shown = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in (*path, name)).lstrip(".")
    with pytest.raises(UnsupportedError) as caught:
        decode_object(with_field(item, path, name))
    text = str(caught.value)
    assert text.startswith(f"{item.kind} default/{item.inputs['metadata']['name']}: ")
    assert f"{shown} is not supported by the sandbox; supported there: " in text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"hostNetwork": True},
            "spec.template.spec.hostNetwork is not supported by the sandbox; supported there: ",
        ),
        ({"initContainers": []}, "initContainers is not supported"),
        ({"restartPolicy": "Sometimes"}, "restartPolicy is 'Sometimes'; the sandbox supports 'Always', 'OnFailure' or"),
        ({"restartPolicy": "Never"}, "restartPolicy must be Always in a StatefulSet"),
        ({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}, "volumes[0].hostPath is not supported"),
    ],
)
def test_pod_fields_that_cannot_be_run_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SandboxError) as caught:
        decode_object(stateful_set("web", pod_spec(container("true"), **changes)))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"resources": {"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}}, "exceeds its limit"),
        ({"resources": {"requests": {"memory": "2GB"}}}, "is not a quantity"),
        ({"volumeMounts": [{"name": "gone", "mountPath": "/x"}]}, "mounts volume 'gone'"),
        ({"readinessProbe": {"tcpSocket": {"port": 1}}}, "readinessProbe.tcpSocket is not supported"),
        ({"livenessProbe": {"exec": {"command": []}}}, "at least 1 item"),
        (
            {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.x"}}}]},
            "the sandbox supports",
        ),
        ({"env": [{"name": "A", "value": 1}]}, "valid string"),
    ],
)
def test_containers_the_api_server_would_refuse_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SandboxError) as caught:
        decode_object(stateful_set("web", pod_spec(container("true", **changes))))
    assert message in str(caught.value)


def test_virtual_ips_are_refused_with_what_is_supported() -> None:
    with pytest.raises(InvalidError, match=r"clusterIP must be None \(headless\), or type must be ExternalName"):
        decode_object(resource("Service", "web", {"selector": {"app": "web"}}))


def test_an_unknown_kind_is_refused_with_the_kinds_there_are() -> None:
    deployment = Resource("urn", "kubernetes:apps/v1:Deployment", "web", inputs={"metadata": {"name": "web"}})
    with pytest.raises(UnsupportedError, match=r"does not run apps/v1/Deployment; it knows .*StatefulSet"):
        decode_object(deployment)


def test_descriptive_kinds_are_taken_note_of() -> None:
    priority = Resource(
        "urn",
        "kubernetes:scheduling.k8s.io/v1:PriorityClass",
        "high",
        inputs={"metadata": {"name": "high"}, "value": 1},
    )
    assert decode_object(priority) is None


def test_fields_without_effect_are_listed_with_the_reason() -> None:
    item = decode_object(FULL)
    assert dict(not_enforced(item)) == {
        "spec.template.spec.containers[0].resources.limits.cpu": "the sandbox does not throttle CPU",
        "spec.template.spec.securityContext.seccompProfile": "no seccomp profile is loaded",
    }


def test_a_null_field_is_an_absent_one() -> None:
    assert decode_object(headless("web", externalName=None)) is not None


def test_every_kind_that_runs_decodes_strictly() -> None:
    assert all(model.model_config["extra"] == "forbid" and model.model_config["frozen"] for model in RUN.values())
