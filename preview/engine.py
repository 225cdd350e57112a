"""The recording engine: runs the Pulumi program on Pulumi's own mocks and keeps every registered resource.

Nothing is contacted. What a provider would compute (ids, autonames, a random password) is invented from the
resource's URN and inputs, so two evaluations of one config are equal, and an autonamed object that the real
provider would replace gets another name here too.
"""

import asyncio
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

from preview.provider import OfflineProvider, content_digest, named, plain, subnet_zones_in
from preview.resources import Resource

Program = Path | Callable[[], object]
"""A file or folder that `pulumi up` would run (`__main__.py`), or a function that registers resources."""


@dataclass
class Recording:
    """What one run of the program registered."""

    resources: list[Resource] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    secret_outputs: frozenset[str] = frozenset()
    warnings: list[str] = field(default_factory=list)


def record(
    program: Program,
    project: str,
    stack: str,
    config: Mapping[str, str] | None = None,
    node_groups: Mapping[str, int] | None = None,
    subnet_zones: Mapping[str, str] | None = None,
) -> Recording:
    """Runs `program` with `config` (full keys, values as the CLI passes them; none if absent).

    What AWS is to have already: `node_groups` is name -> desired size; `subnet_zones` is subnet -> zone, and a subnet
    that is not in it lies in the zone under which the config lists it.

    Raises what the program raises; `pulumi.RunError` is its way to refuse without a traceback.
    """
    config = dict(config or {})
    recording = Recording()
    loop, worker_loop = asyncio.new_event_loop(), asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.set_exception_handler(_once)
    # The mocks answer in the loop's worker threads, each of which would make an event loop and leave it open.
    loop.set_default_executor(ThreadPoolExecutor(1, initializer=asyncio.set_event_loop, initargs=(worker_loop,)))
    try:
        # Nothing is written anywhere here. What stands in a stack file as plain text is refused where that is read.
        pulumi.runtime.set_all_config(config, [key for key in config if key.startswith(f"{project}:")])
        monitor = _RecordingMonitor(
            OfflineProvider(subnet_zones_in(config) | dict(subnet_zones or {}), node_groups or {}), recording
        )
        settings.reset_options()
        mocks.set_mocks(
            monitor.mocks, project=project, stack=stack, preview=False, logger=_logger(recording), monitor=monitor
        )
        settings.SETTINGS.callbacks = cast(Any, _NoCallbacks())
        loop.run_until_complete(_run(program, recording))
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        worker_loop.close()
        loop.close()
        asyncio.set_event_loop(None)
    recording.resources = _without_duplicates(recording.resources)
    return recording


async def _run(program: Program, recording: Recording) -> None:
    try:
        if isinstance(program, Path):
            runpy.run_path(str(program), run_name="__main__")
        else:
            program()
    finally:
        await wait_for_rpcs()
    stack = settings.get_root_resource()
    if stack is None:
        raise RuntimeError("the program lost its stack")
    outputs = pulumi.Output.all(**cast(Stack, stack).outputs)
    recording.outputs = dict(cast(Mapping[str, Any], await outputs.future(with_unknowns=False) or {}))
    given = {name: pulumi.Output.from_input(value) for name, value in cast(Stack, stack).outputs.items()}
    recording.secret_outputs = frozenset([name for name, output in given.items() if await output.is_secret()])


def _once(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What ends a run is raised, once. It would be printed for every resource besides that waited for what failed."""
    if not str(context["message"]).endswith("exception was never retrieved"):
        loop.default_exception_handler(context)


class _NoCallbacks:
    """In place of the server through which a real engine calls the program's hooks back: nobody calls here, and a
    gRPC server that was started once keeps the process from forking safely ever after."""

    def register_resource_hook(self, hook: pulumi.ResourceHook) -> None:
        """Its name stands in the options of each resource that has it."""


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

    def __init__(self, provider: OfflineProvider, recording: Recording) -> None:
        super().__init__(provider)
        self._provider = provider
        self._recording = recording
        self._read: set[str] = set()

    def ReadResource(self, request: Any) -> Any:
        """What the program only reads is none of its resources, and nothing here waits for it."""
        self._read.add(self.make_urn(request.parent, request.type, request.name))
        return super().ReadResource(request)

    def RegisterResource(self, request: Any) -> Any:
        if request.type != "pulumi:pulumi:Stack":
            inputs = plain(rpc.deserialize_properties(request.object))
            urn = self.make_urn(request.parent, request.type, request.name)
            digest = content_digest(request.type, urn, inputs)
            self._provider.digests[(request.type, request.name)] = digest
            self._recording.resources.append(
                Resource(
                    urn=urn,
                    type=request.type,
                    name=request.name,
                    parent=request.parent,
                    depends_on=tuple(sorted(set(request.dependencies) - self._read)),
                    provider=request.provider.rsplit("::", 1)[0],
                    inputs=named(request.type, request.name, digest, inputs),
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
    if request.hooks.before_delete:
        options["beforeDelete"] = list(request.hooks.before_delete)
    timeouts = {
        name: getattr(request.customTimeouts, name)
        for name in ("create", "update", "delete")
        if getattr(request.customTimeouts, name)
    }
    return options | ({"customTimeouts": timeouts} if timeouts else {})


def _secret_keys(inputs: Mapping[str, Any]) -> list[str]:
    return [key for key, value in inputs.items() if rpc.is_rpc_secret(value)]
