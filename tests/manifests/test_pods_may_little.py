"""Every pod that a stack can have, whoever makes it: what it may do, which bytes it runs, and what it mounts."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import product
from typing import Any

import pytest

from components.manifests.manifest import Ref
from components.manifests.pool import client_manifests
from components.plan.plan import derive_plan
from tests.manifests.restricted import faults
from tests.manifests.test_pool import pool
from tests.plan.stacks import BY_TAG

ZONES = {f"us-east-1{letter}": f"subnet-{letter}" for letter in "abc"}
CASES = list(product(["plain", "both", "required"], ["none", "required"], [False, True], [False, True]))
MIRROR = "mirror.example.com/docker-hub"
DIGEST = f"sha256:{'0123456789abcdef' * 4}"


SMALL: Mapping[str, Any] = {
    "podMemory": "16GB",
    "totalMemory": "96GB",
    "workload": {"requestsPerSecond": 10, "objectBytes": 1000},
}


def objects(mode: str, certificates: str, watched: bool, on_eks: bool, **config: Any) -> list[dict[str, Any]]:
    tls = (
        {"mode": mode, "plainBecause": "a judge of pods looks at it"}
        if mode == "plain"
        else {"mode": mode, "issuer": "ca", "clientCertificates": certificates}
    )
    place = {"eks": {"clusterName": "c", "subnets": ZONES}} if on_eks else {"kubeContext": "kind"}
    _, manifests = pool(
        **SMALL,
        tls=tls,
        monitoring={"exporter": watched},
        validation={"enabled": True},
        **place,
        **config,
    )
    return [dict(manifest.body) for manifest in manifests]


def pods(value: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """(where it stands, spec) of every pod that is described anywhere in an object."""
    if isinstance(value, Mapping):
        spec = value.get("spec")
        if isinstance(spec, Mapping) and "containers" in spec:
            yield path, dict(spec)
        for key, item in value.items():
            yield from pods(item, f"{path}.{key}")
    elif isinstance(value, list):
        for item in value:
            yield from pods(item, path)


@cache
def rendered() -> dict[str, dict[str, Any]]:
    """Every pod of every case, by what it is."""
    found = {}
    for case in CASES:
        for body in objects(*case):
            for path, spec in pods(body):
                labels = body["metadata"].get("labels") or {}
                found[f"{case} {body['kind']} {body['metadata'].get('name')} {labels.get('phase')}{path}"] = spec
    return found


def containers(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [*spec["containers"], *spec.get("initContainers", ())]


def test_every_kind_of_pod_is_looked_at() -> None:
    names = " ".join(rendered())
    for kind in ("StatefulSet", "CronJob", "check", "release", "form", "repair", "rollout-redis-master", "validation"):
        assert kind in names
    assert {container["name"] for spec in rendered().values() for container in containers(spec)} == {
        *("redis", "exporter", "reconciler"),
    }


def test_every_pod_meets_the_standard_restricted_whatever_the_config() -> None:
    assert {name: found for name, spec in rendered().items() if (found := faults(spec))} == {}


def test_every_container_has_a_root_file_system_that_it_cannot_write() -> None:
    for name, spec in rendered().items():
        for container in containers(spec):
            assert container["securityContext"]["readOnlyRootFilesystem"] is True, name


def test_only_the_jobs_that_wait_for_a_rollout_have_a_token() -> None:
    for name, spec in rendered().items():
        assert spec["automountServiceAccountToken"] is ("rollout-" in name), name


def test_every_namespace_that_is_made_takes_no_other_pods() -> None:
    settings, manifests = pool(**SMALL, kubeContext="kind")
    made = [*manifests, *client_manifests(settings, derive_plan(settings))]
    namespaces = [manifest.body for manifest in made if manifest.body["kind"] == "Namespace"]
    assert len(namespaces) == 2
    for body in namespaces:
        assert body["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_every_pod_fetches_from_the_mirror_with_the_same_login_and_one_redis_runs_in_all() -> None:
    images = {
        **BY_TAG,
        "redis": f"redis:7.4-alpine@{DIGEST}",
        "registry": MIRROR,
        "pullSecrets": ["first-login", "second-login"],
    }
    specs = [spec for body in objects("plain", "none", True, True, images=images) for _, spec in pods(body)]
    assert len(specs) >= 8
    for spec in specs:
        assert spec["imagePullSecrets"] == [{"name": "first-login"}, {"name": "second-login"}]
    found = {(item["name"], item["image"]) for spec in specs for item in containers(spec)}
    assert found == {
        ("redis", f"{MIRROR}/library/redis:7.4-alpine@{DIGEST}"),
        ("reconciler", f"{MIRROR}/library/python:3.13-alpine"),
        ("exporter", f"{MIRROR}/oliver006/redis_exporter:v1.92.1"),
    }


def test_where_nothing_is_said_of_registries_pods_name_none() -> None:
    for name, spec in rendered().items():
        assert "imagePullSecrets" not in spec, name
        hosts = [item["image"].rpartition("/")[0] for item in containers(spec)]
        assert set(hosts) <= {"", "oliver006"}, name


def test_what_pods_mount_of_config_maps_nobody_can_change_in_place() -> None:
    for watched in (False, True):
        _, manifests = pool(**SMALL, kubeContext="kind", monitoring={"exporter": watched}, validation={"enabled": True})
        by_key = {manifest.key: manifest.body for manifest in manifests}
        mounted = {
            volume["configMap"]["name"]
            for manifest in manifests
            for _, spec in pods(manifest.body)
            for volume in spec.get("volumes", ())
            if "configMap" in volume
        }
        assert len(mounted) >= 4
        for ref in mounted:
            assert isinstance(ref, Ref), "a name that is made up follows the content"
            assert by_key[ref.of]["immutable"] is True, ref


INSTALLERS = re.compile(r"\b(pip3?|apk|apt|apt-get|npm|curl|wget|ensurepip|git)\b")


def test_no_pod_installs_or_fetches_anything_when_it_starts() -> None:
    for name, spec in rendered().items():
        for container in containers(spec):
            text = " ".join([*container.get("command", ()), *container.get("args", ())])
            assert not INSTALLERS.search(text), name
    scripts = {file: text for body in objects(*CASES[0]) for file, text in body.get("data", {}).items()}
    assert "start.sh" in scripts
    for file, text in scripts.items():
        code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
        assert not INSTALLERS.search(code), file


Mutation = Callable[[dict[str, Any]], Any]
MUTATIONS: Mapping[str, Mutation] = {
    "hostNetwork is true": lambda spec: spec.update(hostNetwork=True),
    "hostPID is true": lambda spec: spec.update(hostPID=True),
    "hostIPC is true": lambda spec: spec.update(hostIPC=True),
    "volume x: hostPath": lambda spec: spec["volumes"].append({"name": "x", "hostPath": {"path": "/"}}),
    "volume x: nfs": lambda spec: spec["volumes"].append({"name": "x", "nfs": {}}),
    "sysctl kernel.msgmax": lambda spec: spec["securityContext"].update(sysctls=[{"name": "kernel.msgmax"}]),
    "pod runs as user 0": lambda spec: spec["securityContext"].update(runAsUser=0),
    "pod may run as root": lambda spec: spec["securityContext"].update(runAsNonRoot=False),
    "pod is not confined by seccomp": lambda spec: spec["securityContext"].update(
        seccompProfile={"type": "Unconfined"}
    ),
    "redis: seccompProfile is none of the allowed": lambda spec: spec["securityContext"].pop("seccompProfile"),
    "redis: runAsNonRoot is not true": lambda spec: spec["securityContext"].pop("runAsNonRoot"),
    "pod is not confined by AppArmor": lambda spec: spec["securityContext"].update(
        appArmorProfile={"type": "Unconfined"}
    ),
    "pod chooses its SELinux label": lambda spec: spec["securityContext"].update(seLinuxOptions={"user": "system_u"}),
    "pod is a host process": lambda spec: spec["securityContext"].update(windowsOptions={"hostProcess": True}),
    "redis: privileged": lambda spec: own(spec).update(privileged=True),
    "redis: procMount": lambda spec: own(spec).update(procMount="Unmasked"),
    "redis: allowPrivilegeEscalation is not false": lambda spec: own(spec).pop("allowPrivilegeEscalation"),
    "redis: not all capabilities are dropped": lambda spec: own(spec).update(capabilities={"drop": ["NET_RAW"]}),
    "redis: capabilities are added": lambda spec: own(spec)["capabilities"].update(add=["SYS_ADMIN"]),
    "redis: container runs as user 0": lambda spec: own(spec).update(runAsUser=0),
    "redis: hostPort 6379": lambda spec: spec["containers"][0]["ports"][0].update(hostPort=6379),
    "redis: livenessProbe names a host": lambda spec: spec["containers"][0].update(
        livenessProbe={"tcpSocket": {"host": "169.254.169.254"}}
    ),
    "x: not all capabilities are dropped": lambda spec: spec.update(initContainers=[{"name": "x"}]),
}


def own(spec: dict[str, Any]) -> dict[str, Any]:
    context: dict[str, Any] = spec["containers"][0]["securityContext"]
    return context


@pytest.mark.parametrize("fault", sorted(MUTATIONS))
def test_the_judge_sees_each_thing_that_the_standard_forbids(fault: str) -> None:
    good = next(spec for name, spec in rendered().items() if "StatefulSet" in name)
    spec = copy.deepcopy({key: good[key] for key in ("containers", "volumes", "securityContext")})
    assert faults(spec) == []
    MUTATIONS[fault](spec)
    assert fault in faults(spec)
