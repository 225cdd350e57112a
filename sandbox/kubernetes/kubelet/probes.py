"""Probes, as the kubelet runs them: what a result does to a container's readiness and life."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from sandbox.errors import known
from sandbox.host.logs import LogBuffer, PipeReader
from sandbox.kubernetes.cluster import ContainerStatus, Pod
from sandbox.kubernetes.manifests.container import Probe, TcpSocketAction

_OUTPUT_SHOWN = 300


@dataclass(frozen=True)
class Outcome:
    ok: bool
    detail: str = ""


@dataclass
class Threshold:
    """Turns single outcomes into a verdict: `ok` flips only after enough equal outcomes in a row."""

    success: int
    failure: int
    ok: bool
    _last: bool | None = None
    _run: int = 0

    def add(self, ok: bool) -> bool:
        """The verdict after one more outcome."""
        self._run = self._run + 1 if ok == self._last else 1
        self._last = ok
        if self._run >= (self.success if ok else self.failure):
            self.ok = ok
        return self.ok

    @property
    def failed(self) -> bool:
        return self._last is False and self._run >= self.failure


async def attempt(probe: Probe, pod: Pod, status: ContainerStatus) -> Outcome:
    """One try, bounded by the probe's timeout; a command that overruns it is killed and counts as failed."""
    if probe.tcp_socket is not None:
        return await _connect(probe.tcp_socket, probe.timeout_seconds, pod, status)
    action = known(probe.exec, "Probe has exactly one action")
    return await run_in(status, action.command, probe.timeout_seconds)


async def run_in(status: ContainerStatus, command: tuple[str, ...], timeout_s: float | None) -> Outcome:
    """Runs a command in the container; ok means exit status 0 within `timeout_s`, if given."""
    runtime = status.runtime
    if runtime is None or not runtime.running:
        return Outcome(False, "the container is not running")
    output = LogBuffer()
    reader = PipeReader(output)
    try:
        process = runtime.exec(command, stdout=reader.fd, stderr=reader.fd)
    finally:
        reader.started()
    try:
        code = await process.wait(timeout_s)
    except TimeoutError:
        return Outcome(False, f"timed out after {timeout_s:g} s: {output.tail(3)[:_OUTPUT_SHOWN]}")
    finally:
        process.kill_tree()
        reader.close()
    return Outcome(code == 0, f"exit status {code}: {output.tail(3)[:_OUTPUT_SHOWN]}" if code else "")


async def _connect(action: TcpSocketAction, timeout_s: float, pod: Pod, status: ContainerStatus) -> Outcome:
    host, port = action.host or pod.ip or "", status.spec.port_number(action.port)
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError) as error:
        return Outcome(False, f"connect to {host}:{port}: {error or 'timed out'}")
    writer.close()
    return Outcome(True)


async def watch(
    pod: Pod,
    status: ContainerStatus,
    changed: Callable[[], None],
    report: Callable[[str, str], None],
    restart: Callable[[str, Probe], Awaitable[None]],
) -> None:
    """Runs the container's probes until cancelled: startup first, then readiness and liveness side by side."""
    spec = status.spec
    if spec.startup_probe is not None:
        verdict = Threshold(1, spec.startup_probe.failure_threshold, ok=False)
        async for outcome in _outcomes(spec.startup_probe, pod, status):
            if verdict.add(outcome.ok):
                break
            report("Unhealthy", f"Startup probe failed: {outcome.detail}")
            if verdict.failed:
                await restart("Startup probe", spec.startup_probe)
                return
    status.started = True
    if spec.readiness_probe is None:
        status.ready = True
    changed()
    tasks = []
    if spec.readiness_probe is not None:
        tasks.append(asyncio.create_task(_readiness(spec.readiness_probe, pod, status, changed, report)))
    if spec.liveness_probe is not None:
        tasks.append(asyncio.create_task(_liveness(spec.liveness_probe, pod, status, report, restart)))
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


async def _outcomes(probe: Probe, pod: Pod, status: ContainerStatus) -> AsyncIterator[Outcome]:
    """One outcome per period, the first as soon as the initial delay allows; a slow probe does not pile up."""
    delay = status.started_at + probe.initial_delay_seconds - time.time()
    if delay > 0:
        await asyncio.sleep(delay)
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        yield await attempt(probe, pod, status)
        due = max(due + probe.period_seconds, loop.time())
        await asyncio.sleep(due - loop.time())


async def _readiness(
    probe: Probe,
    pod: Pod,
    status: ContainerStatus,
    changed: Callable[[], None],
    report: Callable[[str, str], None],
) -> None:
    verdict = Threshold(probe.success_threshold, probe.failure_threshold, ok=False)
    async for outcome in _outcomes(probe, pod, status):
        if not outcome.ok:
            report("Unhealthy", f"Readiness probe failed: {outcome.detail}")
        if verdict.add(outcome.ok) != status.ready:
            status.ready = verdict.ok
            changed()


async def _liveness(
    probe: Probe,
    pod: Pod,
    status: ContainerStatus,
    report: Callable[[str, str], None],
    restart: Callable[[str, Probe], Awaitable[None]],
) -> None:
    verdict = Threshold(1, probe.failure_threshold, ok=True)
    async for outcome in _outcomes(probe, pod, status):
        if not outcome.ok:
            report("Unhealthy", f"Liveness probe failed: {outcome.detail}")
        verdict.add(outcome.ok)
        if verdict.failed:
            await restart("Liveness probe", probe)
            return
