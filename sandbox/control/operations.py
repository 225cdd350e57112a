"""What the control channel can ask of a running sandbox."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from preview.resources import Resource
from sandbox.control.faults import Faults
from sandbox.control.protocol import Message, MessageSocket
from sandbox.control.status import status_report
from sandbox.errors import InvalidError, NotFoundError
from sandbox.host.border import Border
from sandbox.host.logs import LogBuffer
from sandbox.host.partitions import Partitions
from sandbox.kubernetes.cluster import Cluster
from sandbox.kubernetes.controllers.workloads import Workloads
from sandbox.kubernetes.engine.apply import Applier
from sandbox.kubernetes.kubelet.guests import Guests
from sandbox.kubernetes.kubelet.worker import Kubelet
from sandbox.kubernetes.manifests.objects import ConfigMap, CronJob, Job
from sandbox.kubernetes.pods import Pod
from sandbox.monitoring.watch import Watch

_TRIGGER_TIMEOUT_S = 600.0


@dataclass
class Client:
    """Whoever asked: its socket, the descriptors it sent along, and what it says while the operation runs."""

    socket: MessageSocket
    inbox: asyncio.Queue[Message] = field(default_factory=asyncio.Queue)

    async def progress(self, text: str) -> None:
        await self.socket.send({"progress": text})


class Operations:
    """Every public method is an operation: its name, and its arguments after the client, are those of the request."""

    def __init__(
        self,
        name: str,
        cluster: Cluster,
        kubelet: Kubelet,
        workloads: Workloads,
        partitions: Partitions,
        border: Border,
        directory: Path,
    ) -> None:
        self._name = name
        self._cluster = cluster
        self._workloads = workloads
        self._partitions = partitions
        self._border = border
        self._faults = Faults(cluster, kubelet, workloads, partitions, border)
        self._applier = Applier(cluster, workloads)
        self._guests = Guests(kubelet)
        self._watch = Watch(cluster, workloads, self._resources, self._guests, directory / "prometheus")

    def _resources(self) -> list[Resource]:
        return [item.resource for item in self._applier.applied.values()]

    async def hello(self, client: Client) -> dict[str, Any]:
        """The supervisor's own namespaces: everything the sandbox runs is in them or below their processes."""
        namespaces = [os.readlink(f"/proc/self/ns/{kind}") for kind in ("pid", "net", "mnt")]
        network = self._cluster.network
        return {
            "name": self._name,
            "namespaces": namespaces,
            "pods": len(self._cluster.pods),
            "ipFamily": network.family.name,
            "clusterDomain": network.domain,
        }

    async def stop(self, client: Client) -> None:
        await client.socket.send({"result": {}})
        os._exit(0)

    async def apply(self, client: Client, resources: list[Message]) -> dict[str, int]:
        return await self._applier.apply([Resource.from_json(item) for item in resources], client.progress)

    async def renew(self, client: Client, certificate: str, namespace: str | None = None) -> str:
        """Issues a certificate anew, as cert-manager does when it is about to end."""
        secret = self._workloads.certificates.issue(self._workloads.certificates.find(certificate, namespace))
        self._workloads.refresh_volumes(*secret.key)
        self._cluster.touch()
        return f"issued anew into Secret {secret.metadata.namespace}/{secret.metadata.name}"

    async def status(self, client: Client) -> dict[str, Any]:
        report = await status_report(self._cluster, self._workloads, self._applier, self._partitions)
        return report | {
            "bytesBetweenZones": self._border.bytes_passed,
            "prometheus": self._watch.url,
            "hurry": self._watch.hurry,
        }

    async def watch(self, client: Client, namespace: str, hurry: float = 1.0) -> str:
        """Runs Prometheus in a namespace, and shows it where the caller listens on the machine's loopback; where."""
        fds = client.socket.fds
        if len(fds) != 1:
            raise InvalidError("watch needs a listening socket")
        return await self._watch.start(socket.socket(fileno=fds.pop()), namespace, hurry)

    async def dashboards(self, client: Client) -> list[str]:
        """The dashboards that Grafana's sidecar would find, as JSON."""
        found = (item for item in self._cluster.all(ConfigMap) if "grafana_dashboard" in item.metadata.labels)
        return [text for item in found for text in item.data.values()]

    async def unwatch(self, client: Client) -> None:
        self._watch.stop()

    async def exec(
        self, client: Client, pod: str, command: list[str], container: str | None = None, namespace: str | None = None
    ) -> dict[str, int]:
        """Runs a command on the caller's own stdin, stdout and stderr; `{"signal": n}` is passed on to it."""
        found = self._cluster.find_pod(pod, namespace)
        status = found.container(container)
        if status.runtime is None or not status.runtime.running:
            raise NotFoundError(
                f"container {status.spec.name} of {found.subject} is not running: {status.state} {status.reason}"
            )
        fds = client.socket.fds
        if len(fds) != 3:
            raise InvalidError("exec needs stdin, stdout and stderr")
        process = status.runtime.exec(command, stdin=fds[0], stdout=fds[1], stderr=fds[2])
        while fds:
            # Only the command may hold the caller's pipes, or the caller never sees them close.
            os.close(fds.pop())
        forward = asyncio.create_task(_forward_signals(client.inbox, process.kill_tree))
        try:
            return {"exit": await process.wait()}
        finally:
            forward.cancel()
            process.kill_tree()

    async def logs(
        self,
        client: Client,
        pod: str | None = None,
        selector: dict[str, str] | None = None,
        container: str | None = None,
        namespace: str | None = None,
        previous: bool = False,
        follow: bool = False,
        tail: int | None = None,
        since_s: float | None = None,
    ) -> int:
        """Of one pod, or of all with the labels; how many containers were read."""
        if pod is not None:
            found = [self._cluster.find_pod(pod, namespace)]
        else:
            wanted = (selector or {}).items()
            found = [
                item
                for item in self._cluster.pods.values()
                if wanted <= item.labels.items() and namespace in (None, item.namespace)
            ]
        logs = [log for item in found if (log := _log_of(item, container, previous, must=pod is not None)) is not None]
        async with asyncio.TaskGroup() as group:
            for log in logs:
                group.create_task(_send_log(client, log, log.start(tail=tail, since_s=since_s), follow=follow))
        return len(logs)

    async def delete(self, client: Client, kind: str, name: str, namespace: str, now: bool = False) -> None:
        """A pod or a Job, by its name in `status`."""
        if kind == "pods":
            self._workloads.delete_pod(self._cluster.find_pod(name, namespace), 0 if now else None)
        elif kind == "jobs" and (job := self._cluster.get(Job, namespace, name)) is not None:
            self._workloads.batch.delete_job(job)
        else:
            raise NotFoundError(f"there is no {kind} {namespace}/{name} that could be deleted")

    async def network(
        self, client: Client, namespace: str | None, labels: dict[str, str], pod: str | None = None
    ) -> None:
        """Hands out a network namespace to a program of this machine: that of a pod, the place of a pod of that
        namespace with these labels, or that of the nodes, for whom policies do not hold, where neither is named."""
        path = "/proc/self/ns/net"
        if pod is not None:
            found = self._cluster.find_pod(pod, namespace)
            if found.network is None:
                raise NotFoundError(f"{found.subject} has no network")
            path = found.network.netns_path
        elif namespace is not None:
            path = self._guests.at(namespace, labels).network.netns_path
        fd = os.open(path, os.O_RDONLY)
        try:
            await client.socket.send(
                {"progress": "network namespace", "resolvConf": self._cluster.network.resolv_conf()}, (fd,)
            )
        finally:
            os.close(fd)
        # The caller keeps the connection for as long as its program runs, and ends it when the sandbox goes.
        await asyncio.Event().wait()

    async def trigger(
        self, client: Client, cronjob: str, namespace: str | None = None, wait: bool = False
    ) -> dict[str, str]:
        crons = list(self._cluster.all(CronJob))
        found = [c for c in crons if c.metadata.name == cronjob and namespace in (None, c.metadata.namespace)]
        if len(found) != 1:
            known = ", ".join(f"{c.metadata.namespace}/{c.metadata.name}" for c in crons) or "none"
            raise NotFoundError(f"not exactly one CronJob {cronjob!r}; CronJobs: {known}")
        batch = self._workloads.batch
        job = batch.trigger(found[0])
        if wait:
            await self._cluster.until(lambda: batch.has_ended(job), _TRIGGER_TIMEOUT_S)
        status = batch.jobs.get(job.key)
        return {
            "job": job.metadata.name,
            "condition": status.condition if status else "",
            "log": status.last_log if status else "",
        }

    async def fault(self, client: Client, verb: str, given: dict[str, Any]) -> str:
        return await self._faults.do(verb, given)

    async def events(self, client: Client) -> list[list[Any]]:
        return [[event.at, event.subject, event.reason, event.message] for event in self._cluster.events]


def _log_of(pod: Pod, container: str | None, previous: bool, *, must: bool) -> LogBuffer | None:
    """Raises NotFoundError where there `must` be one and there is none."""
    status = pod.container(container)
    log = status.previous_log if previous else status.log
    if log is None and must:
        which = "previous run" if previous else "output yet"
        raise NotFoundError(f"container {status.spec.name} of {pod.subject} has no {which}")
    return log


async def _send_log(client: Client, log: LogBuffer, position: int, *, follow: bool) -> None:
    while True:
        text = log.since(position)
        position = log.end
        if text:
            await client.progress(text.decode(errors="replace"))
        if not follow or log.closed:
            return
        await log.grown(position)


async def _forward_signals(inbox: asyncio.Queue[Message], kill: Callable[[], None]) -> None:
    while True:
        if "signal" in await inbox.get():
            kill()


OPERATIONS: dict[str, Callable[..., Coroutine[Any, Any, Any]]] = {
    name: method for name, method in vars(Operations).items() if not name.startswith("_")
}
