"""Probes, as the kubelet runs them: what a result does to a container's readiness and life."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from sandbox.host.logs import LogBuffer, PipeReader
from sandbox.kubernetes.manifests.container import Probe
from sandbox.kubernetes.pods import ContainerStatus

_OUTPUT_SHOWN = 300


@dataclass(frozen=True)
class Outcome:
    ok: bool
    detail: str = ""


@dataclass
class Threshold:
    """Turns single outcomes into a verdict: `ok` falls only after enough failures in a row; one success raises it."""

    failure: int
    ok: bool
    failures: int = 0

    def add(self, ok: bool) -> bool:
        """The verdict after one more outcome."""
        self.failures = 0 if ok else self.failures + 1
        self.ok = ok or (self.ok and not self.failed)
        return self.ok

    @property
    def failed(self) -> bool:
        return self.failures >= self.failure


async def run_in(status: ContainerStatus, command: tuple[str, ...], timeout_s: float) -> Outcome:
    """Runs a command in the container; ok means exit status 0 within the time. One that overruns it is killed."""
    runtime = status.runtime
    if runtime is None or not runtime.running:
        return Outcome(False, "the container is not running")
    output = LogBuffer()
    reader = PipeReader(output)
    with reader as writer:
        process = runtime.exec(command, stdout=writer, stderr=writer)
    try:
        code = await process.wait(timeout_s)
    except TimeoutError:
        return Outcome(False, f"timed out after {timeout_s:g} s: {output.tail(3)[:_OUTPUT_SHOWN]}")
    finally:
        process.kill_tree()
        reader.close()
    return Outcome(code == 0, f"exit status {code}: {output.tail(3)[:_OUTPUT_SHOWN]}" if code else "")


class Prober:
    """Runs the probes of one container. `restart` is called with the words for a probe that failed too often."""

    def __init__(
        self,
        status: ContainerStatus,
        changed: Callable[[], None],
        report: Callable[[str, str], None],
        restart: Callable[[str], Awaitable[None]],
    ) -> None:
        self._status = status
        self._changed = changed
        self._report = report
        self._restart = restart

    async def run(self) -> None:
        """Until cancelled: the startup probe first, then readiness and liveness side by side."""
        spec = self._status.spec
        if spec.startup_probe is not None and not await self._lives(spec.startup_probe, "Startup", until_ok=True):
            return
        if spec.readiness_probe is None:
            self._status.ready = True
        self._changed()
        async with asyncio.TaskGroup() as group:
            if spec.readiness_probe is not None:
                group.create_task(self._readiness(spec.readiness_probe))
            if spec.liveness_probe is not None:
                group.create_task(self._lives(spec.liveness_probe, "Liveness", until_ok=False))

    async def _outcomes(self, probe: Probe, name: str) -> AsyncIterator[bool]:
        """One outcome per period, the first at once; a probe that is slow does not pile up."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            outcome = await run_in(self._status, probe.exec.command, probe.timeout_seconds)
            if not outcome.ok:
                self._report("Unhealthy", f"{name} probe failed: {outcome.detail}")
            yield outcome.ok
            due = max(due + probe.period_seconds, loop.time())
            await asyncio.sleep(due - loop.time())

    async def _readiness(self, probe: Probe) -> None:
        verdict = Threshold(probe.failure_threshold, ok=False)
        async for ok in self._outcomes(probe, "Readiness"):
            if verdict.add(ok) != self._status.ready:
                self._status.ready = verdict.ok
                self._changed()

    async def _lives(self, probe: Probe, name: str, *, until_ok: bool) -> bool:
        """False once the probe failed so often that the container is restarted; True after the first success, where
        one is enough."""
        verdict = Threshold(probe.failure_threshold, ok=True)
        async for ok in self._outcomes(probe, name):
            if ok and until_ok:
                return True
            verdict.add(ok)
            if verdict.failed:
                await self._restart(f"{name} probe failed {probe.failure_threshold} times")
                return False
        return False
