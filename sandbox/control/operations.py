"""What the control channel can ask of a running sandbox."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from typing import Any

from preview.resources import Resource
from sandbox.control.faults import Faults
from sandbox.control.protocol import Message, MessageSocket
from sandbox.control.status import status_report
from sandbox.errors import InvalidError, NotFoundError, known
from sandbox.host.network import GATEWAY_IP, PartitionState
from sandbox.kubernetes.cluster import Cluster, ContainerStatus, Pod
from sandbox.kubernetes.controllers.workloads import Workloads
from sandbox.kubernetes.engine.apply import Applier
from sandbox.kubernetes.kubelet.worker import Node
from sandbox.kubernetes.manifests.objects import CronJob

Inbox = asyncio.Queue[Message]


class Operations:
    def __init__(
        self, name: str, cluster: Cluster, node: Node, workloads: Workloads, partitions: PartitionState
    ) -> None:
        self.name = name
        self.cluster = cluster
        self.node = node
        self.workloads = workloads
        self.partitions = partitions
        self.faults = Faults(cluster, node, workloads, partitions)
        self.applier = Applier(cluster, workloads, node.images)

    async def hello(self, request: Message, fds: list[int], client: MessageSocket, inbox: Inbox) -> dict[str, Any]:
        """The supervisor's own namespaces: everything the sandbox runs is in them or below their processes."""
        namespaces = [os.readlink(f"/proc/self/ns/{kind}") for kind in ("pid", "net", "mnt")]
        return {"name": self.name, "namespaces": namespaces, **self.cluster.summary()}

    async def stop(self, request: Message, fds: list[int], client: MessageSocket, inbox: Inbox) -> None:
        await client.send({"result": {}})
        os._exit(0)

    async def apply(self, request: Message, fds: list[int], client: MessageSocket, inbox: Inbox) -> dict[str, int]:
        async def progress(text: str) -> None:
            await client.send({"progress": text})

        return await self.applier.apply([Resource.from_json(item) for item in request["resources"]], progress)

    async def status(self, request: Message, fds: list[int], client: MessageSocket, inbox: Inbox) -> dict[str, Any]:
        return await status_report(self.cluster, self.workloads, self.applier, self.partitions)

    async def exec(self, request: Message, fds: list[int], client: MessageSocket, inbox: Inbox) -> dict[str, int]:
        """Runs a command on the caller's own stdin, stdout and stderr; `{"signal": n}` is passed on to it."""
        pod = self.cluster.find_pod(request["pod"], request.get("namespace"))
        status = _running(pod, request.get("container"))
        if len(fds) != 3:
            raise InvalidError("exec needs stdin, stdout and stderr")
        runtime = known(status.runtime, "_running checked it")
        process = runtime.exec(request["command"], stdin=fds[0], stdout=fds[1], stderr=fds[2])
        while fds:
            # Only the command may hold the caller's pipes, or the caller never sees them close.
            os.close(fds.pop())
        forward = asyncio.create_task(_forward_signals(inbox, process.kill_tree))
        try:
            return {"exit": await process.wait()}
        finally:
            forward.cancel()
            process.kill_tree()

    async def logs(self, request: Message, fds: list[int], client: MessageSocket, inbox: Inbox) -> dict[str, Any]:
        pod = self.cluster.find_pod(request["pod"], request.get("namespace"))
        status = pod.container(request.get("container"))
        log = status.previous_log if request.get("previous") else status.log
        if log is None:
            which = "previous run" if request.get("previous") else "output yet"
            raise NotFoundError(f"container {status.spec.name} of {pod.subject} has no {which}")
        position = 0
        while True:
            text = log.since(position)
            position = log.end
            if text:
                await client.send({"progress": text.decode(errors="replace")})
            if not request.get("follow") or log.closed:
                return {}
            await log.grown(position)

    async def network(self, request: Message, fds: list[int], client: MessageSocket, inbox: Inbox) -> dict[str, Any]:
        """Hands out the sandbox's network namespace, for programs of the host that want to reach pods."""
        fd = os.open("/proc/self/ns/net", os.O_RDONLY)
        try:
            await client.send({"progress": "network namespace"}, (fd,))
        finally:
            os.close(fd)
        # The caller keeps the connection for as long as its program runs, and ends it when the sandbox goes.
        await asyncio.Event().wait()
        return {"nameserver": GATEWAY_IP}

    async def trigger(self, request: Message, fds: list[int], client: MessageSocket, inbox: Inbox) -> dict[str, str]:
        found = [
            cron
            for cron in self.cluster.all(CronJob)
            if cron.metadata.name == request["cronjob"] and request.get("namespace") in (None, cron.metadata.namespace)
        ]
        if len(found) != 1:
            known = ", ".join(f"{c.metadata.namespace}/{c.metadata.name}" for c in self.cluster.all(CronJob)) or "none"
            raise NotFoundError(f"not exactly one CronJob {request['cronjob']!r}; CronJobs: {known}")
        batch = self.workloads.batch
        job = batch.trigger(found[0])
        if request.get("wait"):
            await self.cluster.until(lambda: job.key in batch.jobs and bool(batch.jobs[job.key].condition), 600.0)
        status = batch.jobs.get(job.key)
        return {
            "job": job.metadata.name,
            "condition": status.condition if status else "",
            "log": status.last_log if status else "",
        }

    async def fault(self, request: Message, fds: list[int], client: MessageSocket, inbox: Inbox) -> str:
        return await self.faults.do(request["verb"], request["arguments"])

    async def events(self, request: Message, fds: list[int], client: MessageSocket, inbox: Inbox) -> list[list[Any]]:
        return [[event.at, event.subject, event.reason, event.message] for event in self.cluster.events]


def _running(pod: Pod, container: str | None) -> ContainerStatus:
    status = pod.container(container)
    if status.runtime is None or not status.runtime.running:
        raise NotFoundError(
            f"container {status.spec.name} of {pod.subject} is not running: {status.state} {status.reason}"
        )
    return status


async def _forward_signals(inbox: Inbox, kill: Callable[[], None]) -> None:
    while True:
        message = await inbox.get()
        if "signal" in message:
            kill()


Operation = Callable[[Operations, Message, list[int], MessageSocket, Inbox], Coroutine[Any, Any, Any]]

OPERATIONS: dict[str, Operation] = {
    "hello": Operations.hello,
    "stop": Operations.stop,
    "apply": Operations.apply,
    "status": Operations.status,
    "exec": Operations.exec,
    "logs": Operations.logs,
    "network": Operations.network,
    "trigger": Operations.trigger,
    "fault": Operations.fault,
    "events": Operations.events,
}
