"""The clusters themselves: the rendered stacks, and the sizing document's plain deployment, each in a sandbox."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import yaml

from preview.evaluate import Evaluation, evaluate
from preview.resources import Resource
from sandbox.control.client import Sandbox
from sandbox.control.place import client_place
from sandbox.control.up import app_password, certificate_files
from sandbox.kubernetes.nodes import Node, Taint
from tests.faults.deployment import SHARDS, Deployment
from tests.tested_server import image_of, tested_server

_PLAIN = Path(__file__).parent / "plain" / "objects.yaml"


@cache
def local_stack(*overrides: tuple[str, str]) -> Evaluation:
    return evaluate("local", _server() | dict(overrides))


def _server() -> dict[str, str]:
    server = tested_server()
    return {} if server is None else {"images.redis": image_of(server)}


def another_tag() -> tuple[str, str]:
    """The edit that replaces every pod and nothing else: the same server by another of its image's tags."""
    image = local_stack().settings.images.redis
    other = image.replace("-alpine", "-bookworm")
    if other == image:
        raise ValueError(f"{image} is no tag of Alpine: say here what other tag has the same server")
    return "images.redis", other


_SMALL_PODS_ON_EKS = {
    "podMemory": "256MB",
    "totalMemory": "768MB",
    "workload.requestsPerSecond": "10",
    "nodes.production": "false",
}


@cache
def zoned_stack(*overrides: tuple[str, str]) -> Evaluation:
    """The stack `prod` with pods as small as those of `local`: zones, node groups, volumes and taints as on EKS."""
    return evaluate("prod", _SMALL_PODS_ON_EKS | _server() | dict(overrides))


def machines(evaluation: Evaluation) -> list[Node]:
    """The machines of the rendered node groups, with the zones of their subnets, their labels and taints."""
    eks, plan = evaluation.settings.eks, evaluation.plan.nodes
    if eks is None or plan is None:
        raise ValueError(f"stack {evaluation.stack} has no node groups")
    zone_of = {subnet: zone for zone, subnet in eks.subnets.items()}
    found = []
    for resource in evaluation.resources:
        if resource.kind != "NodeGroup":
            continue
        zone = zone_of[resource.inputs["subnetIds"][0]]
        taints = tuple(
            Taint(taint["key"], taint["value"], _EFFECTS[taint["effect"]]) for taint in resource.inputs["taints"]
        )
        found += [
            Node(
                f"node-{zone}-{number}",
                zone,
                plan.allocatable_memory_mib * 1024**2,
                plan.allocatable_cpu_millicores,
                labels=resource.inputs["labels"],
                taints=taints,
            )
            for number in range(resource.inputs["scalingConfig"]["desiredSize"])
        ]
    return found


_EFFECTS = {"NO_SCHEDULE": "NoSchedule", "NO_EXECUTE": "NoExecute", "PREFER_NO_SCHEDULE": "PreferNoSchedule"}
"""The EKS API's spelling -> that of Kubernetes."""


@contextmanager
def zoned(name: str, *overrides: tuple[str, str]) -> Iterator[Deployment]:
    """The rendered stack with a zone for each pod, on the machines of its node groups and one more in each zone."""
    others = [Node(f"other-{n}", f"us-east-1{letter}", 8 * 1024**3, 4000) for n, letter in enumerate("abc")]
    with (
        Sandbox(f"{name}-{os.getpid()}", nodes=[*machines(zoned_stack(*overrides)), *others]) as sandbox,
        tempfile.TemporaryDirectory(prefix="zoned-") as folder,
    ):
        evaluation = zoned_stack(*overrides)
        deployment = _deployed(sandbox, evaluation)
        if not evaluation.settings.tls.mode.has_plain:
            deployment.ca_file = certificate_files(sandbox, Path(folder))["REDIS_CA_FILE"]
        yield deployment


@contextmanager
def ours(name: str, *overrides: tuple[str, str]) -> Iterator[Deployment]:
    """The stack `local` as rendered, in a sandbox that ends with the block, or with this process."""
    with Sandbox(f"{name}-{os.getpid()}") as sandbox:
        yield _deployed(sandbox, local_stack(*overrides))


def _deployed(sandbox: Sandbox, evaluation: Evaluation) -> Deployment:
    sandbox.apply(evaluation.resources)
    return attached(sandbox, evaluation)


def attached(sandbox: Sandbox, evaluation: Evaluation) -> Deployment:
    """A stack that was applied, once it is whole."""
    namespace = str(evaluation.outputs["plan"]["pool"])
    deployment = Deployment(
        "the rendered stack",
        sandbox,
        str(evaluation.outputs["endpoint"]),
        list(evaluation.outputs["discoveryAddresses"]),
        app_password(evaluation),
        namespace,
        evaluation.resources,
        2 * evaluation.plan.sizing.masters,
        client_place(evaluation),
    )
    deployment.wait_whole()
    return deployment


def plain_resources() -> tuple[Resource, ...]:
    """The document's objects, as the sandbox takes them."""
    resources = []
    for item in yaml.safe_load_all(_PLAIN.read_text()):
        kind, version, name = item["kind"], item["apiVersion"], item["metadata"]["name"]
        token = f"kubernetes:{version if '/' in version else 'core/' + version}:{kind}"
        resources.append(
            Resource(f"urn:pulumi:plain::plain::{token}::{name}-{kind}", token, name, provider="k8s", inputs=item)
        )
    return tuple(resources)


@contextmanager
def plain(name: str) -> Iterator[Deployment]:
    """The sizing document's deployment, formed by its own command, in a sandbox of its own."""
    with Sandbox(f"{name}-{os.getpid()}") as sandbox:
        resources = plain_resources()
        sandbox.apply(resources)
        services = [f"redis-{role}.default.svc.cluster.local:6379" for role in ("master", "replica")]
        deployment = Deployment(
            "the document's plain deployment", sandbox, services[0], services, "", resources=resources
        )
        form_plain(deployment)
        yield deployment


def form_plain(deployment: Deployment) -> None:
    """`redis-cli --cluster create` with the masters' addresses first, as the document forms its cluster."""
    pods = deployment.pods()
    deployment.until(lambda: len(deployment.views()) == 2 * SHARDS, 30)
    addresses = [
        f"{pods[f'redis-{role}-{shard}']['ip']}:6379" for role in ("master", "replica") for shard in range(SHARDS)
    ]
    command = ["redis-cli", "--cluster", "create", *addresses, "--cluster-replicas", "1", "--cluster-yes"]
    deployment.sandbox.exec("redis-master-0", command, timeout_s=60).check()
    deployment.wait_whole()
