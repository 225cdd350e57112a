"""The recording engine: runs the Pulumi program on Pulumi's own mocks and keeps every registered resource.

Nothing is contacted. What a provider would compute (ids, autonames, a random password) is invented from the
resource's URN and inputs, so two evaluations of one config are equal, and an autonamed object that the real
provider would replace gets another name here too.
"""

import asyncio
import hashlib
import json
import logging
import runpy
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pulumi
from pulumi.runtime import mocks, rpc, settings
from pulumi.runtime.stack import Stack, wait_for_rpcs

from preview.resources import Resource

Computed = Callable[[str, str, dict[str, Any]], dict[str, Any]]
"""(name, digest, inputs) -> what the provider adds to the inputs."""


@dataclass
class Recording:
    """What one run of the program registered."""

    resources: list[Resource] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def record(
    program: Path,
    project: str,
    stack: str,
    config: Mapping[str, str],
    node_groups: Mapping[str, int] | None = None,
) -> Recording:
    """Runs `program` (a `__main__.py`) with `config` (full keys, values as the CLI passes them). `node_groups` is what
    AWS is to have already: name -> desired size.

    Raises what the program raises; `pulumi.RunError` is its way to refuse without a traceback.
    """
    recording = Recording()
    loop, worker_loop = asyncio.new_event_loop(), asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    # The mocks answer in the loop's worker threads, each of which would make an event loop and leave it open.
    loop.set_default_executor(ThreadPoolExecutor(1, initializer=asyncio.set_event_loop, initargs=(worker_loop,)))
    try:
        pulumi.runtime.set_all_config(dict(config))
        monitor = _RecordingMonitor(_Provider(config, node_groups or {}), recording)
        settings.reset_options()
        mocks.set_mocks(
            monitor.mocks, project=project, stack=stack, preview=False, logger=_logger(recording), monitor=monitor
        )
        loop.run_until_complete(_run(program, recording))
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        worker_loop.close()
        loop.close()
        asyncio.set_event_loop(None)
    recording.resources = _without_duplicates(recording.resources)
    return recording


async def _run(program: Path, recording: Recording) -> None:
    try:
        runpy.run_path(str(program), run_name="__main__")
    finally:
        await wait_for_rpcs()
    stack = settings.get_root_resource()
    if stack is None:
        raise RuntimeError("the program lost its stack")
    outputs = pulumi.Output.all(**cast(Stack, stack).outputs)
    recording.outputs = dict(cast(Mapping[str, Any], await outputs.future(with_unknowns=False) or {}))


def _logger(recording: Recording) -> logging.Logger:
    class Collect(logging.Handler):
        def emit(self, entry: logging.LogRecord) -> None:
            recording.warnings.append(entry.getMessage())

    logger = logging.Logger("program", level=logging.WARNING)
    logger.addHandler(Collect())
    return logger


def _without_duplicates(resources: list[Resource]) -> list[Resource]:
    seen: set[str] = set()
    for resource in resources:
        if resource.urn in seen:
            raise ValueError(f"two resources have the URN {resource.urn}; `pulumi up` would refuse them")
        seen.add(resource.urn)
    return sorted(resources, key=lambda resource: resource.urn)


class _RecordingMonitor(mocks.MockMonitor):
    """Sees the whole request, of which the mocks are shown only a part: parent, dependencies, options."""

    def __init__(self, provider: "_Provider", recording: Recording) -> None:
        super().__init__(provider)
        self._provider = provider
        self._recording = recording

    def RegisterResource(self, request: Any) -> Any:
        if request.type != "pulumi:pulumi:Stack":
            inputs = _plain(rpc.deserialize_properties(request.object))
            urn = self.make_urn(request.parent, request.type, request.name)
            digest = _digest(request.type, urn, inputs)
            self._provider.digests[(request.type, request.name)] = digest
            self._recording.resources.append(
                Resource(
                    urn=urn,
                    type=request.type,
                    name=request.name,
                    parent=request.parent,
                    depends_on=tuple(sorted(set(request.dependencies))),
                    provider=request.provider.rsplit("::", 1)[0],
                    inputs=_named(request.type, request.name, digest, inputs),
                    needs=tuple(sorted({urn for deps in request.propertyDependencies.values() for urn in deps.urns})),
                    secrets=frozenset(_secret_keys(rpc.deserialize_properties(request.object))),
                    options=_options(request),
                )
            )
        return super().RegisterResource(request)


def _options(request: Any) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for option in ("protect", "deleteBeforeReplace", "retainOnDelete"):
        if getattr(request, option):
            options[option] = True
    for option in ("ignoreChanges", "replaceOnChanges", "aliases"):
        if getattr(request, option):
            options[option] = [str(item) for item in getattr(request, option)]
    timeouts = {
        name: getattr(request.customTimeouts, name)
        for name in ("create", "update", "delete")
        if getattr(request.customTimeouts, name)
    }
    return options | ({"customTimeouts": timeouts} if timeouts else {})


def _secret_keys(inputs: Mapping[str, Any]) -> list[str]:
    return [key for key, value in inputs.items() if rpc.is_rpc_secret(value)]


def _plain(value: Any) -> Any:
    """The wire's value as the program wrote it: secrets unwrapped, whole floats as the integers they were."""
    if rpc.is_rpc_secret(value):
        return _plain(rpc.unwrap_rpc_secret(value))
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _digest(type_: str, urn: str, inputs: Mapping[str, Any]) -> str:
    """Changes when the provider would make another object: with the URN, and for objects whose content is fixed
    (ConfigMap, Secret and a Job's template, of which autonamed ones are replaced) with that content."""
    content: Any = None
    if type_ in ("kubernetes:core/v1:ConfigMap", "kubernetes:core/v1:Secret"):
        content = {key: inputs.get(key) for key in ("data", "binaryData", "stringData")}
    elif type_ == "kubernetes:batch/v1:Job":
        content = inputs["spec"]["template"]
    text = json.dumps([urn, content], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _named(type_: str, name: str, digest: str, inputs: dict[str, Any]) -> dict[str, Any]:
    """Kubernetes inputs with the name that autonaming would give where the program gave none."""
    if not type_.startswith("kubernetes:"):
        return inputs
    metadata = inputs.get("metadata") or {}
    return inputs | {"metadata": {"name": f"{name}-{digest[:8]}"} | metadata}


class _Provider(mocks.Mocks):
    """Invents what AWS, Kubernetes and the random provider would answer."""

    def __init__(self, config: Mapping[str, str], node_groups: Mapping[str, int]) -> None:
        self._config = config
        self._node_groups = node_groups
        self.digests: dict[tuple[str, str], str] = {}

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        inputs = _plain(args.inputs)
        digest = self.digests[(args.typ, args.name)]
        compute = _COMPUTED.get(args.typ)
        state = _named(args.typ, args.name, digest, inputs) | (compute(args.name, digest, inputs) if compute else {})
        metadata = state.get("metadata") or {}
        if args.typ.startswith("kubernetes:"):
            return "/".join(filter(None, (metadata.get("namespace"), metadata["name"]))), state
        return str(state.get("id", f"{args.name}-{digest[:7]}")), state

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        match args.token:
            case "aws:eks/getNodeGroups:getNodeGroups":
                return {"names": sorted(self._node_groups)}, []
            case "aws:eks/getNodeGroup:getNodeGroup":
                return {"scalingConfigs": [{"desiredSize": self._node_groups[args.args["nodeGroupName"]]}]}, []
        answer = _CALLS.get(args.token)
        if answer is None:
            raise ValueError(f"the program asks a provider for {args.token}, which cannot be answered offline")
        return answer(args.args, self._config), []


_ACCOUNT = "111122223333"  # the account number AWS's own documentation uses


def _role(name: str, digest: str, inputs: dict[str, Any]) -> dict[str, Any]:
    role = inputs.get("name", f"{name}-{digest[:7]}")
    return {"id": role, "name": role, "arn": f"arn:aws:iam::{_ACCOUNT}:role/{role}"}


def _launch_template(name: str, digest: str, inputs: dict[str, Any]) -> dict[str, Any]:
    return {"id": f"lt-{digest[:17]}", "latestVersion": 1, "name": inputs.get("name", f"{name}-{digest[:7]}")}


def _node_group(name: str, digest: str, inputs: dict[str, Any]) -> dict[str, Any]:
    group = inputs.get("nodeGroupName", f"{name}-{digest[:7]}")
    return {"id": f"{inputs['clusterName']}:{group}", "nodeGroupName": group, "status": "ACTIVE"}


def _random_password(name: str, digest: str, inputs: dict[str, Any]) -> dict[str, Any]:
    return {"id": "none", "result": hashlib.sha256(f"{name}/{digest}".encode()).hexdigest()[: int(inputs["length"])]}


_COMPUTED: dict[str, Computed] = {
    "aws:iam/role:Role": _role,
    "aws:ec2/launchTemplate:LaunchTemplate": _launch_template,
    "aws:eks/nodeGroup:NodeGroup": _node_group,
    "random:index/randomPassword:RandomPassword": _random_password,
}


def _get_cluster(args: dict[str, Any], config: Mapping[str, str]) -> dict[str, Any]:
    return {
        "name": args["name"],
        "arn": f"arn:aws:eks:{config.get('aws:region', 'us-east-1')}:{_ACCOUNT}:cluster/{args['name']}",
        "endpoint": "https://eks.invalid",
        "version": "1.33",
        "certificateAuthorities": [{"data": "b2ZmbGluZQ=="}],
    }


def _get_subnet(args: dict[str, Any], config: Mapping[str, str]) -> dict[str, Any]:
    """Offline a subnet is believed to lie where the config says."""
    zones = [
        zone
        for value in config.values()
        if value.startswith("{")
        for zone, subnet in (json.loads(value).get("subnets") or {}).items()
        if subnet == args["id"]
    ]
    return {"id": args["id"], "availabilityZone": zones[0] if zones else "unknown"}


_CALLS: dict[str, Callable[[dict[str, Any], Mapping[str, str]], dict[str, Any]]] = {
    "aws:eks/getCluster:getCluster": _get_cluster,
    "aws:ec2/getSubnet:getSubnet": _get_subnet,
    "aws:index/getPartition:getPartition": lambda args, config: {"partition": "aws"},
}
