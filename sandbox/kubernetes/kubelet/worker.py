"""The life of one pod on its node: network, volumes, containers, restarts, termination."""

from __future__ import annotations

import asyncio
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sandbox.errors import ConfigError, ImagePullError, SandboxError
from sandbox.host.container import Bundle, discard, start
from sandbox.host.images import ImageStore
from sandbox.host.logs import LogBuffer
from sandbox.host.network import AddressPool, PodNetwork
from sandbox.kubernetes.accounts import Accounts
from sandbox.kubernetes.cluster import Cluster
from sandbox.kubernetes.kubelet.bundle import bundle_of, etc_files, publish_account
from sandbox.kubernetes.kubelet.probes import Prober, run_in
from sandbox.kubernetes.kubelet.restarts import Backoff
from sandbox.kubernetes.kubelet.volumes import VolumeStore
from sandbox.kubernetes.pods import ContainerStatus, Pod, Termination

_RETRY_S = 1.0
_ADDRESS_TIMEOUT_S = 20.0
_MINIMUM_TERM_S = 2.0
"""What the kubelet grants a container between SIGTERM and SIGKILL when the hook used up the grace period."""


@dataclass(frozen=True)
class Kubelet:
    """What the workers of all pods share: this machine plays every node."""

    cluster: Cluster
    images: ImageStore
    volumes: VolumeStore
    addresses: AddressPool
    accounts: Accounts
    directory: Path
    """Holds what is a pod's own: the files of its /etc and the writable layers of its containers."""
    on_network_change: Callable[[], None]


class PodWorker:
    """Runs one placed pod from start to removal."""

    def __init__(self, pod: Pod, kubelet: Kubelet) -> None:
        self._pod = pod
        self._kubelet = kubelet
        self._cluster = kubelet.cluster
        self._directory = kubelet.directory / pod.uid
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._deadline = float("inf")
        self._volumes: dict[str, Path] = {}
        self._task = asyncio.create_task(self._run(), name=f"pod {pod.namespace}/{pod.name}")

    def delete(self, grace_s: float | None) -> None:
        """Asks for termination within `grace_s` (the pod's own period when None); a later call may only shorten it."""
        grace = self._pod.spec.termination_grace_period_seconds if grace_s is None else grace_s
        self._deadline = min(self._deadline, time.monotonic() + grace)
        self._pod.deleting = True
        if grace == 0:
            self._hurry.set()
        self._stop.set()
        self._cluster.touch()

    def lose(self) -> None:
        """Its machine is gone: no packet leaves any more, then everything in it dies without a goodbye."""
        self._pod.lost_at = time.time()
        if self._pod.network is not None:
            self._pod.network.unplug()
        self._kill()

    def _kill(self) -> None:
        for status in self._pod.statuses.values():
            if status.runtime is not None:
                status.runtime.signal(signal.SIGKILL)

    def restore(self) -> None:
        """Its machine is back: what is left of the pod is removed, so that its controller makes it anew."""
        self._pod.lost_at = None
        self.delete(0)

    def refresh_volumes(self) -> None:
        """Brings the files of ConfigMaps and Secrets up to date; the kubelet does so within about a minute. Where one
        is gone the pod keeps its files: that is no fault of whoever changed another."""
        if not self._volumes:
            return
        try:
            self._kubelet.volumes.prepare(self._pod, self._cluster)
        except ConfigError as error:
            self._cluster.event(self._pod.subject, "FailedMount", str(error))

    async def _run(self) -> None:
        life = asyncio.create_task(self._live())
        stop = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({life, stop}, return_when=asyncio.FIRST_COMPLETED)
            if life.done() and (error := life.exception()) is not None:
                self._pod.phase, self._pod.message = "Failed", f"{type(error).__name__}: {error}"
                self._cluster.event(self._pod.subject, "SandboxError", self._pod.message)
                self._changed()
            await stop
            # A lost machine cannot confirm the end of its pods: they stay until it is back.
            await self._cluster.until(lambda: self._pod.lost_at is None, float("inf"))
            grace = max(0.0, self._deadline - time.monotonic())
            await asyncio.gather(*(self._stop_container(status, grace) for status in self._pod.statuses.values()))
            life.cancel()
            await asyncio.gather(life, return_exceptions=True)
        except Exception:
            # A task of its own, whose end nobody awaits: the fault is recorded, and whoever waits for the pod is told.
            self._cluster.broken(self._pod.subject)
        finally:
            life.cancel()
            stop.cancel()
            try:
                self._clean_up()
            except Exception:
                # As above; and the fault before, if there was one, must not be hidden by this one's way out.
                self._cluster.broken(self._pod.subject)

    def _changed(self) -> None:
        self._pod.refresh_ready()
        self._cluster.touch()

    def _report(self, status: ContainerStatus) -> Callable[[str, str], None]:
        return lambda reason, message: self._cluster.event(
            self._pod.subject, reason, f"container {status.spec.name}: {message}"
        )

    async def _live(self) -> None:
        pod = self._pod
        owner = f"{pod.namespace}/{pod.name}"
        await self._cluster.until(lambda: not self._kubelet.addresses.is_waiting(owner), _ADDRESS_TIMEOUT_S)
        pod.network = PodNetwork.numbered(self._kubelet.addresses.take(owner))
        pod.network.create()
        self._kubelet.on_network_change()
        await self._prepare_volumes()
        publish_account(self._pod, self._kubelet.accounts, self._directory)
        etc = self._directory / "etc"
        etc.mkdir(parents=True)
        for name, text in etc_files(pod, self._cluster.network).items():
            (etc / name).write_text(text)
        results = await asyncio.gather(*(self._supervise(status) for status in pod.statuses.values()))
        if not pod.deleting and pod.lost_at is None:
            pod.phase = "Succeeded" if all(results) else "Failed"
            self._release_network()
            self._changed()

    async def _prepare_volumes(self) -> None:
        while True:
            try:
                self._volumes = self._kubelet.volumes.prepare(self._pod, self._cluster)
                return
            except ConfigError as error:
                self._pod.message = f"MountVolume.SetUp failed: {error}"
                self._cluster.event(self._pod.subject, "FailedMount", str(error))
                await self._cluster.changed(_RETRY_S)

    async def _supervise(self, status: ContainerStatus) -> bool:
        """Runs a container, again and again as its restart policy says; whether its last run succeeded."""
        backoff = Backoff()
        policy = self._pod.spec.restart_policy
        while True:
            code = await self._run_once(status)
            if self._pod.lost_at is not None or self._pod.deleting:
                return code == 0
            if policy == "Never" or (code == 0 and policy != "Always"):
                return code == 0
            delay = backoff.next_delay_s(time.time())
            if delay:
                message = f"back-off {delay:.0f}s restarting failed container {status.spec.name}"
                self._wait(status, "CrashLoopBackOff", message)
                self._cluster.event(self._pod.subject, "BackOff", message)
                await asyncio.sleep(delay)
            status.restarts += 1

    def _wait(self, status: ContainerStatus, reason: str, message: str) -> None:
        status.state, status.reason, status.message = "waiting", reason, message
        self._changed()

    async def _run_once(self, status: ContainerStatus) -> int:
        bundle = await self._bundle(status)
        status.previous_log, status.log = status.log, LogBuffer()
        status.kill_reason = None
        status.started_at = time.time()
        try:
            status.runtime = await start(bundle, status.log)
        except SandboxError as error:
            status.log.append(f"{error}\n".encode())
            return self._ended(status, 128, "StartError")
        status.state, status.reason, status.message = "running", "", ""
        self._pod.phase = "Running"
        if self._pod.lost_at is not None:
            status.runtime.signal(signal.SIGKILL)
        self._cluster.touch()

        async def restart(why: str) -> None:
            self._report(status)("Killing", f"{why}, it will be restarted")
            await self._stop_container(status, self._pod.spec.termination_grace_period_seconds)

        watcher = asyncio.create_task(Prober(status, self._changed, self._report(status), restart).run())
        try:
            code = await status.runtime.wait()
        finally:
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)
        if not watcher.cancelled() and watcher.exception() is not None:
            self._cluster.event(self._pod.subject, "SandboxError", f"probe worker: {watcher.exception()}")
        return self._ended(status, code, status.kill_reason or ("Completed" if code == 0 else "Error"))

    def _ended(self, status: ContainerStatus, code: int, reason: str) -> int:
        status.state, status.reason = "terminated", reason
        status.last = Termination(code, reason, status.started_at, time.time())
        status.runtime = None
        # The control plane goes on believing what a vanished machine last said.
        if self._pod.lost_at is None:
            status.ready = False
        self._cluster.event(self._pod.subject, reason, f"container {status.spec.name} ended with status {code}")
        self._changed()
        return code

    async def _bundle(self, status: ContainerStatus) -> Bundle:
        """Waits, as the kubelet does, for what a container refers to and its image."""
        backoff = Backoff(first_free=False)
        report = self._report(status)
        while True:
            try:
                return bundle_of(
                    status.spec, self._pod, self._cluster, self._kubelet.images, self._volumes, self._directory
                )
            except ConfigError as error:
                self._wait(status, "CreateContainerConfigError", str(error))
                report("Failed", str(error))
                await self._cluster.changed(_RETRY_S)
            except ImagePullError as error:
                self._wait(status, "ErrImagePull", str(error))
                report("Failed", f"Failed to pull image {status.spec.image!r}: {error}")
                await asyncio.sleep(_RETRY_S)
                self._wait(status, "ImagePullBackOff", f"Back-off pulling image {status.spec.image!r}: {error}")
                report("BackOff", status.message)
                await asyncio.sleep(backoff.next_delay_s(time.time()))

    async def _stop_container(self, status: ContainerStatus, grace_s: float) -> None:
        """preStop, SIGTERM and SIGKILL within one grace period, as the kubelet does it."""
        runtime = status.runtime
        if runtime is None or not runtime.running:
            return
        ended = asyncio.create_task(runtime.wait())
        hurry = asyncio.create_task(self._hurry.wait())
        try:
            deadline = time.monotonic() + grace_s
            hook = status.spec.lifecycle.pre_stop
            if hook is not None and grace_s > 0:
                running = asyncio.create_task(run_in(status, hook.exec.command, grace_s))
                await asyncio.wait({running, ended, hurry}, return_when=asyncio.FIRST_COMPLETED)
                if running.done():
                    outcome = running.result()
                    if not outcome.ok:
                        self._report(status)("FailedPreStopHook", outcome.detail)
                else:
                    running.cancel()
                    await asyncio.gather(running, return_exceptions=True)
            if grace_s > 0 and not self._hurry.is_set():
                runtime.signal(signal.SIGTERM)
                left = max(deadline - time.monotonic(), _MINIMUM_TERM_S)
                await asyncio.wait({ended, hurry}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if runtime.running:
                runtime.signal(signal.SIGKILL)
            await ended
        finally:
            ended.cancel()
            hurry.cancel()

    def _release_network(self) -> None:
        if self._pod.network is not None:
            self._pod.network.delete()
            self._kubelet.addresses.release(self._pod.network.ip)
            self._pod.network = None
            self._kubelet.on_network_change()

    def _clean_up(self) -> None:
        # First of all the name is free again: what follows must not keep a successor from starting.
        self._cluster.pods.pop(self._pod.key, None)
        self._cluster.touch()
        self._kill()
        for status in self._pod.statuses.values():
            discard(self._directory / "containers" / status.spec.name)
        self._release_network()
        self._kubelet.volumes.remove_pod(self._pod)
        if self._directory.exists():
            shutil.rmtree(self._directory)
        self._cluster.touch()
