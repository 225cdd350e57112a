"""The life of one pod on its node: network, volumes, init containers, restarts, probes, termination."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sandbox.errors import SandboxError, known
from sandbox.host.container import Bundle, Mount, discard, identity_of, start
from sandbox.host.images import ImageStore
from sandbox.host.logs import LogBuffer
from sandbox.host.network import GATEWAY_IP, AddressPool, PodNetwork
from sandbox.host.volumes import VolumeStore
from sandbox.kubernetes.cluster import Cluster, ContainerStatus, Pod, Termination
from sandbox.kubernetes.kubelet import probes
from sandbox.kubernetes.kubelet.environment import ConfigError, command_line, environment_of
from sandbox.kubernetes.kubelet.pod_files import etc_files
from sandbox.kubernetes.kubelet.restarts import Backoff
from sandbox.kubernetes.manifests.container import LifecycleHandler, Probe

_RETRY_S = 1.0
_ADDRESS_TIMEOUT_S = 20.0
_MINIMUM_TERM_S = 2.0
"""What the kubelet grants a container between SIGTERM and SIGKILL when the hook used up the grace period."""


@dataclass(frozen=True)
class Node:
    """What every pod's worker shares."""

    cluster: Cluster
    images: ImageStore
    volumes: VolumeStore
    addresses: AddressPool
    scratch: Path
    on_network_change: Callable[[], None]


class PodWorker:
    """Runs one placed pod from start to removal."""

    _numbers = itertools.count(1)

    def __init__(self, pod: Pod, node: Node) -> None:
        self._pod = pod
        self._node = node
        self._cluster = node.cluster
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._deadline = float("inf")
        self._paths: dict[str, Path] = {}
        self._task = asyncio.create_task(self._run(), name=f"pod {pod.namespace}/{pod.name}")

    def delete(self, grace_s: float | None) -> None:
        """Asks for termination within `grace_s` (the pod's own period when None); a later call may only shorten it."""
        grace = self._pod.spec.termination_grace_period_seconds if grace_s is None else grace_s
        self._deadline = min(self._deadline, time.monotonic() + grace)
        self._pod.deleting = True
        self._pod.grace_s = grace
        if grace == 0:
            self._hurry.set()
        self._stop.set()
        self._cluster.touch()

    def lose(self) -> None:
        """Its machine is gone: no packet leaves any more, then everything in it dies without a goodbye."""
        self._pod.lost_at = time.time()
        if self._pod.network is not None:
            self._pod.network.unplug()
        for status in self._pod.statuses.values():
            if status.runtime is not None:
                status.runtime.signal(signal.SIGKILL)

    def refresh_volumes(self) -> None:
        """Brings the files of ConfigMaps and Secrets up to date; the kubelet does so within about a minute. Where one
        is gone the pod keeps its files: that is no fault of whoever changed another."""
        if not self._paths:
            return
        try:
            self._publish_volumes()
        except ConfigError as error:
            self._cluster.event(self._pod.subject, "FailedMount", str(error))

    def restore(self) -> None:
        """Its machine is back: what is left of the pod is removed, so that its controller makes it anew."""
        self._pod.lost_at = None
        self.delete(0)

    async def _run(self) -> None:
        life = asyncio.create_task(self._live())
        stop = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({life, stop}, return_when=asyncio.FIRST_COMPLETED)
            if life.done() and (error := life.exception()) is not None:
                self._fail_pod("SandboxError", f"{type(error).__name__}: {error}")
            await stop
            # A lost machine cannot confirm the end of its pods: they stay until it is back.
            await self._cluster.until(lambda: self._pod.lost_at is None, float("inf"))
            await self._terminate()
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

    def _fail_pod(self, reason: str, message: str) -> None:
        self._pod.phase, self._pod.reason, self._pod.message = "Failed", reason, message
        self._cluster.event(self._pod.subject, reason, message)
        self._changed()

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
        await self._cluster.until(lambda: not self._node.addresses.is_waiting(owner), _ADDRESS_TIMEOUT_S)
        pod.network = PodNetwork(next(PodWorker._numbers), self._node.addresses.take(owner))
        pod.network.create()
        self._node.on_network_change()
        await self._prepare_volumes()
        self._write_etc()
        for status in [s for s in pod.statuses.values() if s.is_init]:
            if not await self._supervise(status):
                self._fail_pod("Init:Error", f"init container {status.spec.name} failed")
                return
        results = await asyncio.gather(*(self._supervise(status) for status in pod.main_statuses))
        if not pod.deleting and pod.lost_at is None:
            pod.phase = "Succeeded" if all(results) else "Failed"
            self._release_network()
            self._changed()

    async def _prepare_volumes(self) -> None:
        pod = self._pod
        while True:
            try:
                self._publish_volumes()
                return
            except ConfigError as error:
                pod.message = f"MountVolume.SetUp failed: {error}"
                self._cluster.event(pod.subject, "FailedMount", str(error))
                await self._cluster.changed(_RETRY_S)

    def _publish_volumes(self) -> None:
        pod = self._pod
        self._paths = self._node.volumes.prepare(
            pod.uid, pod.spec, self._cluster.facts(pod), self._cluster.lookup(pod.namespace), pod.claims
        )

    def _write_etc(self) -> None:
        directory = self._node.scratch / self._pod.uid / "etc"
        directory.mkdir(parents=True)
        for name, text in etc_files(self._pod, GATEWAY_IP).items():
            (directory / name).write_text(text)

    async def _supervise(self, status: ContainerStatus) -> bool:
        """Runs a container, again and again as its restart policy says; whether its last run succeeded."""
        backoff = Backoff()
        policy = self._pod.spec.restart_policy
        while True:
            code = await self._run_once(status)
            if self._pod.lost_at is not None or self._pod.deleting:
                return code == 0
            if code == 0 and (status.is_init or policy != "Always"):
                return True
            if policy == "Never":
                return False
            delay = backoff.next_delay_s(time.time())
            if delay:
                status.state, status.reason = "waiting", "CrashLoopBackOff"
                status.message = f"back-off {delay:.0f}s restarting failed container {status.spec.name}"
                self._cluster.event(self._pod.subject, "BackOff", status.message)
                self._changed()
                await asyncio.sleep(delay)
            status.restarts += 1

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
        if not status.is_init:
            self._pod.phase = "Running"
        if self._pod.lost_at is not None:
            status.runtime.signal(signal.SIGKILL)
        self._cluster.touch()
        watcher = asyncio.create_task(self._watch(status))
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
            status.ready = status.started = False
        self._cluster.event(self._pod.subject, reason, f"container {status.spec.name} ended with status {code}")
        self._changed()
        return code

    async def _bundle(self, status: ContainerStatus) -> Bundle:
        pod, spec = self._pod, status.spec
        while True:
            try:
                image = self._node.images.get(spec.image)
                env = environment_of(spec, pod.spec, self._cluster.facts(pod), self._cluster.lookup(pod.namespace))
                identity = identity_of(spec, pod.spec, image)
                break
            except ConfigError as error:
                status.state, status.reason, status.message = "waiting", "CreateContainerConfigError", str(error)
                self._cluster.event(pod.subject, "Failed", f"container {spec.name}: {error}")
                self._changed()
                await self._cluster.changed(_RETRY_S)
        network = known(pod.network, "the network is made before any container")
        etc = self._node.scratch / pod.uid / "etc"
        mounts = [Mount(etc / name, f"/etc/{name}", read_only=False) for name in ("hosts", "resolv.conf", "hostname")]
        carried = {v.name for v in pod.spec.volumes if v.config_map or v.secret or v.projected or v.downward_api}
        for mount in spec.volume_mounts:
            source = self._paths[mount.name] / mount.sub_path if mount.sub_path else self._paths[mount.name]
            if mount.sub_path and not source.exists():
                source.mkdir(parents=True)
            mounts.append(Mount(source, mount.mount_path, mount.read_only or mount.name in carried))
        return Bundle(
            image=image,
            argv=command_line(spec, image, env),
            env={"HOME": identity.home, **env},
            working_dir=spec.working_dir or image.working_dir,
            identity=identity,
            hostname=pod.hostname,
            netns_path=network.netns_path,
            mounts=mounts,
            read_only_root=spec.security_context.read_only_root_filesystem,
            scratch=self._node.scratch / pod.uid / "containers" / spec.name,
        )

    async def _watch(self, status: ContainerStatus) -> None:
        if status.spec.lifecycle.post_start is not None:
            outcome = await self._hook(status, status.spec.lifecycle.post_start, float("inf"))
            if not outcome.ok:
                self._report(status)("FailedPostStartHook", outcome.detail)
                await self._stop_container(status, self._pod.spec.termination_grace_period_seconds)
                return

        async def restart(what: str, probe: Probe) -> None:
            self._report(status)("Killing", f"{what} failed {probe.failure_threshold} times, it will be restarted")
            grace = probe.termination_grace_period_seconds
            await self._stop_container(
                status, self._pod.spec.termination_grace_period_seconds if grace is None else grace
            )

        if status.is_init:
            status.started = True
            return
        await probes.watch(self._pod, status, self._changed, self._report(status), restart)

    async def _hook(self, status: ContainerStatus, handler: LifecycleHandler, limit_s: float) -> probes.Outcome:
        if handler.sleep is not None:
            await asyncio.sleep(min(handler.sleep.seconds, limit_s))
            return probes.Outcome(True)
        action = known(handler.exec, "LifecycleHandler has exactly one action")
        return await probes.run_in(status, action.command, None if limit_s == float("inf") else limit_s)

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
                running = asyncio.create_task(self._hook(status, hook, grace_s))
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

    async def _terminate(self) -> None:
        grace = max(0.0, self._deadline - time.monotonic())
        await asyncio.gather(*(self._stop_container(status, grace) for status in self._pod.statuses.values()))

    def _release_network(self) -> None:
        if self._pod.network is not None:
            self._pod.network.delete()
            self._node.addresses.release(self._pod.network.ip)
            self._pod.network = None
            self._node.on_network_change()

    def _clean_up(self) -> None:
        # First of all the name is free again: what follows must not keep a successor from starting.
        self._cluster.pods.pop(self._pod.key, None)
        self._cluster.touch()
        for status in self._pod.statuses.values():
            if status.runtime is not None:
                status.runtime.signal(signal.SIGKILL)
            discard(self._node.scratch / self._pod.uid / "containers" / status.spec.name)
        self._release_network()
        self._node.volumes.remove_pod(self._pod.uid)
        if (self._node.scratch / self._pod.uid).exists():
            shutil.rmtree(self._node.scratch / self._pod.uid)
        self._cluster.touch()
