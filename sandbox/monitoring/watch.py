"""Runs Prometheus beside the pods, keeps its rules to what is rendered, and shows it on this machine's loopback."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
import socket
from collections.abc import Callable, Iterable
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

import yaml

from preview.resources import Resource
from sandbox.errors import SandboxError
from sandbox.host import http
from sandbox.host.addresses import with_port
from sandbox.host.logs import LogBuffer, PipeReader
from sandbox.host.network import PodNetwork
from sandbox.host.process import SYSTEM_PATH, Process, spawn
from sandbox.kubernetes.cluster import Cluster
from sandbox.kubernetes.controllers.workloads import Workloads
from sandbox.kubernetes.kubelet.guests import Guests
from sandbox.monitoring import pushgateway
from sandbox.monitoring.hurry import in_a_hurry
from sandbox.monitoring.kube_metrics import CertManagerMetrics, KubeletMetrics, KubeStateMetrics, exposition
from sandbox.monitoring.scraping import annotated, configuration, interval_s, monitored, rule_groups

PROMETHEUS_PORT = 9090
_SHOWN_PORT = 8080
_PLAIN_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_FOLLOW_S = 1.0
_READY_TIMEOUT_S = 30.0
_CHUNK_BYTES = 1 << 16


class Watch:
    """One Prometheus, or none. It ends with the sandbox, and what it has stored with it."""

    def __init__(
        self,
        cluster: Cluster,
        workloads: Workloads,
        applied: Callable[[], Iterable[Resource]],
        guests: Guests,
        directory: Path,
    ) -> None:
        self._cluster = cluster
        self._guests = guests
        self._applied = applied
        self._directory = directory
        self._sources: dict[str, Callable[[], bytes]] = {
            "/metrics": lambda: exposition(KubeStateMetrics(cluster, workloads)),
            "/cert-manager/metrics": lambda: exposition(CertManagerMetrics(cluster)),
            "/kubelet/metrics": lambda: exposition(KubeletMetrics(cluster)),
            "/targets/pods": lambda: json.dumps(annotated(cluster)).encode(),
            "/targets/pod-monitors": lambda: json.dumps(monitored(cluster, applied())).encode(),
        }
        self._closing: list[Callable[[], None]] = []
        self._process: Process | None = None
        self._log = LogBuffer()
        self._written: list[dict[str, Any]] | None = None
        self._asked = ("", 1.0)
        """For which namespace and factor it runs."""
        self.hurry = 1.0
        self.url: str | None = None
        """Where people look, on this machine."""

    async def start(self, listener: socket.socket, namespace: str, hurry: float) -> str:
        """The address of Prometheus's own pages. `listener` is of the machine's own loopback, where they are shown.
        Prometheus itself stands in the network as a pod of the namespace would.

        One that runs with the same namespace and factor goes on. Raises SandboxError when Prometheus does not start.
        """
        asked = (namespace, hurry)
        if self.url is not None and self._asked == asked and self._process is not None and self._process.running:
            listener.close()
            return self.url
        self.stop()
        programs = {name: shutil.which(name, path=SYSTEM_PATH) for name in ("prometheus", pushgateway.PROGRAM)}
        if None in programs.values():
            listener.close()
            missing = " and ".join(name for name, path in programs.items() if path is None)
            raise SandboxError(f"{missing}: not installed on this machine; `make up MONITORING=1` installs it")
        self.hurry, self._asked = hurry, asked
        network = self._guests.at(namespace, {"app.kubernetes.io/name": "prometheus"}).network
        gateway = self._guests.at(pushgateway.NAMESPACE, pushgateway.LABELS).network
        try:
            await self._run(str(programs["prometheus"]), network, str(programs[pushgateway.PROGRAM]), gateway)
            await self._show(listener, network.ip)
        except BaseException:
            self.stop()
            raise
        return str(self.url)

    async def _run(self, program: str, network: PodNetwork, gateway_program: str, gateway: PodNetwork) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)
        self._directory.mkdir(parents=True)
        shown = self._cluster.network.family.gateway_ip
        server = await http.serve(shown, _SHOWN_PORT, self._answer)
        self._closing.append(server.close)
        self._write_rules()
        config = configuration(
            with_port(shown, _SHOWN_PORT),
            with_port(gateway.ip, pushgateway.PORT),
            str(self._directory / "*.rules.yml"),
            self.hurry,
        )
        file = self._directory / "prometheus.yml"
        file.write_text(yaml.safe_dump(config, sort_keys=False))
        self._log = LogBuffer()
        with PipeReader(self._log) as output:
            entering = ["nsenter", f"--net={gateway.netns_path}", "--"]
            # Debian's would keep what it is told in /var/lib, for whatever sandbox comes next.
            options = [f"--web.listen-address={with_port(gateway.ip, pushgateway.PORT)}", "--persistence.file="]
            self._closing.append(spawn([*entering, gateway_program, *options], stdout=output, stderr=output).kill)
            self._process = spawn(
                [
                    "nsenter",
                    f"--net={network.netns_path}",
                    "--",
                    program,
                    f"--config.file={file}",
                    f"--storage.tsdb.path={self._directory / 'data'}",
                    "--storage.tsdb.retention.time=1d",
                    f"--web.listen-address={with_port(network.ip, PROMETHEUS_PORT)}",
                ],
                stdout=output,
                stderr=output,
            )
        self._closing.append(self._process.kill)
        await self._until_ready(self._process, network.ip)
        following = asyncio.create_task(self._follow(self._process))
        self._closing.append(lambda: _cancel(following))

    async def _show(self, listener: socket.socket, shown: str) -> None:
        listener.setblocking(False)
        server = await asyncio.start_server(partial(_forward, shown), sock=listener)
        self._closing.append(server.close)
        host, port = listener.getsockname()
        self.url = f"http://{host}:{port}"

    def stop(self) -> None:
        """None running is no error."""
        self.url, self._written = None, None
        while self._closing:
            self._closing.pop()()

    def _answer(self, request: http.Request) -> http.Answer:
        source = self._sources.get(request.target.partition("?")[0])
        if source is None:
            return http.Answer(HTTPStatus.NOT_FOUND, b"")
        kind = "application/json" if request.target.startswith("/targets/") else _PLAIN_TEXT
        return http.Answer(HTTPStatus.OK, source(), kind)

    def _write_rules(self) -> bool:
        """Whether they are others than before."""
        groups = in_a_hurry(rule_groups(self._cluster, self._applied()), self.hurry, interval_s(self.hurry))
        if groups == self._written:
            return False
        self._written = groups
        text = yaml.safe_dump({"groups": groups}, sort_keys=False, width=10_000, allow_unicode=True)
        (self._directory / "rendered.rules.yml").write_text(text)
        return True

    async def _follow(self, process: Process) -> None:
        while process.running:
            if self._write_rules():
                process.kill(signal.SIGHUP)
            await asyncio.sleep(_FOLLOW_S)
        self._cluster.event("Prometheus", "Ended", self._log.tail(5))

    async def _until_ready(self, process: Process, host: str) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _READY_TIMEOUT_S
        while process.running and loop.time() < deadline:
            if await _answers(host, "/-/ready"):
                return
            await asyncio.sleep(0.1)
        raise SandboxError(f"Prometheus did not start: {self._log.tail(5) or 'it said nothing'}")


def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()


async def _answers(host: str, path: str) -> bool:
    with contextlib.suppress(OSError):
        reader, writer = await asyncio.open_connection(host, PROMETHEUS_PORT)
        try:
            writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            return b" 200 " in await reader.readline()
        finally:
            writer.close()
    return False


async def _forward(host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Passes a connection of the machine's loopback on to Prometheus in the sandbox's network."""
    try:
        far_reader, far_writer = await asyncio.open_connection(host, PROMETHEUS_PORT)
    except OSError:
        writer.close()
        return
    await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(_CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
    with contextlib.suppress(ConnectionError, RuntimeError):
        writer.close()
