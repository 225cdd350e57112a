"""The fault verbs: each breaks (or mends) one thing the way it breaks in a data centre, and says what it did."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from sandbox.errors import InvalidError, NotFoundError, UnsupportedError
from sandbox.host.border import Border
from sandbox.host.memory import ended_for_memory
from sandbox.host.network import PodNetwork
from sandbox.host.partitions import Partitions
from sandbox.host.process import descendants, process_tree
from sandbox.host.shaping import Links
from sandbox.host.volumes import used_bytes, write_until_full
from sandbox.kubernetes.cluster import Cluster
from sandbox.kubernetes.controllers.disruption import blocking_budget
from sandbox.kubernetes.controllers.workloads import Workloads
from sandbox.kubernetes.kubelet.worker import Kubelet
from sandbox.kubernetes.pods import Claim, Pod

_DRAIN_RETRY_S = 1.0
_FILLER = ".filled-by-fault"
_CHUNK_BYTES = 1 << 20


class Faults:
    def __init__(
        self, cluster: Cluster, kubelet: Kubelet, workloads: Workloads, partitions: Partitions, border: Border
    ) -> None:
        self._cluster = cluster
        self._kubelet = kubelet
        self._workloads = workloads
        self._partitions = partitions
        self._border = border
        self._links = Links(self._link_ended)

    async def do(self, verb: str, arguments: dict[str, Any]) -> str:
        """One line on what was done. Raises InvalidError for an unknown verb, NotFoundError for an unknown target."""
        action = VERBS.get(verb)
        if action is None:
            raise InvalidError(f"there is no fault {verb!r}; faults: {', '.join(sorted(VERBS))}")
        try:
            return await action(self, **arguments)
        except TypeError as error:
            # Only a wrong set of arguments raises this at the call itself.
            if error.__traceback__ is not None and error.__traceback__.tb_next is None:
                raise InvalidError(f"fault {verb}: {error}") from None
            raise

    def _pod(self, name: str) -> Pod:
        return self._cluster.find_pod(name)

    def _refresh_network(self) -> None:
        self._kubelet.on_network_change()
        self._cluster.touch()

    async def kill_process(self, pod: str, container: str | None = None, signal_name: str = "KILL") -> str:
        found = self._pod(pod)
        status = found.container(container)
        if status.runtime is None:
            raise NotFoundError(f"container {status.spec.name} of {found.subject} is not running")
        try:
            number = signal.Signals[f"SIG{signal_name.upper().removeprefix('SIG')}"]
        except KeyError:
            raise InvalidError(f"{signal_name!r} is no signal; use KILL, TERM, STOP, CONT, SEGV, …") from None
        status.runtime.signal(number)
        return f"sent {number.name} to process 1 of container {status.spec.name} in {found.name}"

    async def out_of_memory(self, pod: str, container: str | None = None, together: bool = False) -> str:
        """The kernel ends the process of the container that it scores highest, as with the kubelet's
        `singleProcessOOMKill`; `together`, all of them, as a kubelet on cgroup v2 wants it otherwise."""
        found = self._pod(pod)
        status = found.container(container)
        if status.runtime is None:
            raise NotFoundError(f"container {status.spec.name} of {found.subject} is not running")
        first = status.runtime.pid
        pids = [first, *descendants(first, process_tree())]
        victim = first if together else ended_for_memory(pids)
        if victim == first:
            status.kill_reason = "OOMKilled"
            status.runtime.signal(signal.SIGKILL)
        else:
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
        what = "all processes" if victim == first else f"one process of {len(pids)}"
        message = f"{what} of container {status.spec.name} killed for memory"
        self._cluster.event(found.subject, "OOMKilling", message)
        return f"{found.name}: {message}"

    async def kill_pod(self, pod: str, now: bool = False) -> str:
        found = self._pod(pod)
        self._workloads.delete_pod(found, 0 if now else None)
        how = "without grace" if now else f"with {found.spec.termination_grace_period_seconds} s of grace"
        return f"deleted pod {found.name} {how}; its {found.owner[0]} makes a new one with a new IP"

    async def lose_pod(self, pod: str) -> str:
        found = self._pod(pod)
        self._lose(found)
        return f"the machine under {found.name} vanished; it stays away until: fault restore {found.name}"

    def _lose(self, pod: Pod) -> None:
        worker = self._workloads.workers.get(pod.uid)
        if worker is None:
            raise NotFoundError(f"{pod.subject} was not placed yet")
        worker.lose()
        self._cluster.event(pod.subject, "Lost", "its machine vanished")
        self._cluster.touch()

    async def restore(self, pod: str) -> str:
        found = self._pod(pod)
        if found.lost_at is None:
            raise InvalidError(f"pod {found.name} is not lost")
        self._workloads.workers[found.uid].restore()
        return f"the machine under {found.name} is back; the pod is made again"

    async def lose_volume(self, pod: str) -> str:
        found = self._pod(pod)
        claims = list(found.claims.values())
        if not claims:
            raise InvalidError(f"pod {found.name} has no claims")
        self._workloads.delete_pod(found, 0)
        await self._until_gone([found])
        for claim in claims:
            self._empty(claim)
        self._cluster.touch()
        return f"killed {found.name} and emptied {', '.join(claim.name for claim in claims)}"

    def _empty(self, claim: Claim) -> None:
        """A new, blank volume for the claim; it may be made in any zone."""
        self._kubelet.volumes.delete_claim(claim)
        claim.zone = None

    async def _until_gone(self, pods: Sequence[Pod]) -> None:
        uids = {pod.uid for pod in pods}
        gone = await self._cluster.until(lambda: not uids & {pod.uid for pod in self._cluster.pods.values()}, 60.0)
        if not gone:
            raise InvalidError(f"pods did not end: {', '.join(pod.name for pod in pods)}")

    def _zone(self, zone: str) -> list[str]:
        names = [node.name for node in self._cluster.nodes.values() if node.zone == zone]
        if not names:
            zones = sorted({node.zone for node in self._cluster.nodes.values()})
            raise NotFoundError(f"there is no zone {zone!r}; zones: {', '.join(zones)}")
        return names

    async def lose_zone(self, zone: str) -> str:
        nodes = self._zone(zone)
        self._cluster.set_ready(nodes, ready=False)
        lost = [pod for pod in self._cluster.pods.values() if pod.node in nodes and not pod.finished]
        for pod in lost:
            self._lose(pod)
        names = ", ".join(pod.name for pod in lost) or "no pods"
        return f"zone {zone} vanished with {names}; back with: fault restore-zone {zone}"

    async def restore_zone(self, zone: str) -> str:
        nodes = self._zone(zone)
        self._cluster.set_ready(nodes, ready=True)
        lost = [pod for pod in self._cluster.pods.values() if pod.node in nodes and pod.lost_at is not None]
        for pod in lost:
            self._workloads.workers[pod.uid].restore()
        return f"zone {zone} is back; made again: {', '.join(pod.name for pod in lost) or 'no pods'}"

    async def restart_all(self, ips: str = "new", namespace: str | None = None) -> str:
        """Every StatefulSet pod at once. `ips`: `new` addresses, the `same`, or `rotated` among the pods."""
        if ips not in ("new", "same", "rotated"):
            raise InvalidError(f"ips is {ips!r}; allowed: new, same, rotated")
        pods = [
            pod
            for pod in self._cluster.pods.values()
            if pod.owner[0] == "StatefulSet" and namespace in (None, pod.namespace) and pod.lost_at is None
        ]
        addresses = [pod.ip for pod in pods]
        if ips == "rotated":
            addresses = addresses[1:] + addresses[:1]
        for pod, address in zip(pods, addresses, strict=True):
            if ips != "new" and address is not None:
                self._kubelet.addresses.reserve(f"{pod.namespace}/{pod.name}", address)
        for pod in pods:
            self._workloads.delete_pod(pod, 0)
        return f"killed {len(pods)} pods at once; they come back with {ips} IPs"

    async def partition(self, members: Sequence[str]) -> str:
        """Members (pods and zones) reach each other and the DNS, and nobody else, until `heal`."""
        side = set()
        zones = {node.zone for node in self._cluster.nodes.values()}
        for member in members:
            if member in zones:
                side.add(member)
            else:
                pod = self._pod(member)
                side.add(f"{pod.namespace}/{pod.name}")
        self._partitions.sides.append(frozenset(side))
        self._refresh_network()
        return f"cut off from all other pods: {', '.join(sorted(side))}; undo with: fault heal"

    async def heal(self) -> str:
        count = len(self._partitions.sides)
        self._partitions.sides.clear()
        self._refresh_network()
        return f"removed {count} partition(s); every pod reaches every pod"

    async def slow_link(
        self, pod: str, rate: str | None = None, delay_ms: float = 0.0, loss_percent: float = 0.0
    ) -> str:
        found = self._pod(pod)
        if found.network is None:
            raise NotFoundError(f"{found.subject} has no network")
        if self._border.is_up and (delay_ms or loss_percent):
            # A packet takes one emulated link: the other would neither delay nor count it.
            raise InvalidError("packets between zones are delayed already; undo that first with: fault zone-distance")
        return f"link of {found.name}: {await self._links.shape(found.network, rate, delay_ms, loss_percent)}"

    def _link_ended(self, network: PodNetwork, message: str) -> None:
        for pod in self._cluster.pods.values():
            if pod.network is network:
                self._cluster.event(pod.subject, "LinkRestored", message)

    async def zone_distance(self, delay_ms: float | None = None) -> str:
        if delay_ms is not None and self._links.has_detours:
            raise InvalidError("the link of a pod is delayed already; undo that first with: fault slow-link POD")
        return await self._border.set(delay_ms, self._cluster.networks_by_zone())

    async def cordon(self, node: str) -> str:
        self._cluster.find_node(node)
        self._cluster.set_cordoned([node], cordoned=True)
        return f"no new pods go to {node}"

    async def uncordon(self, node: str) -> str:
        self._cluster.find_node(node)
        self._cluster.set_cordoned([node], cordoned=False)
        return f"{node} takes pods again"

    async def drain(self, node: str, timeout_s: float = 300.0) -> str:
        """As `kubectl drain`: cordons, then evicts pod by pod as the disruption budgets allow, retrying."""
        await self.cordon(node)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        evicted: list[str] = []
        refused = ""
        while True:
            here = [pod for pod in self._cluster.pods.values() if pod.node == node and not pod.finished]
            if not here:
                return f"drained {node}: evicted {', '.join(evicted) or 'nothing'}; undo with: fault uncordon {node}"
            for pod in here:
                if pod.deleting:
                    continue
                budget = blocking_budget(self._cluster, pod)
                if budget is None:
                    evicted.append(pod.name)
                    self._cluster.event(pod.subject, "Evicted", f"drain of {node}")
                    self._workloads.delete_pod(pod)
                else:
                    refused = f"{pod.name} is held by PodDisruptionBudget {budget}"
            if loop.time() >= deadline:
                left = ", ".join(pod.name for pod in here)
                raise InvalidError(f"{node} is not drained after {timeout_s:.0f} s; left: {left}; {refused}")
            await self._cluster.changed(_DRAIN_RETRY_S)

    async def fill_disk(self, pod: str, volume: str | None = None) -> str:
        path = self._disk(self._pod(pod), volume)
        written = 0
        fd = os.open(f"{path}/{_FILLER}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            for size in (_CHUNK_BYTES, 4096, 1):
                written += write_until_full(fd, size)
        finally:
            os.close(fd)
        name = path.rpartition("/")[2]
        return f"wrote {written} bytes: claim {name} of {pod} is full; undo with: fault free-disk {pod}"

    async def free_disk(self, pod: str, volume: str | None = None) -> str:
        path = self._disk(self._pod(pod), volume)
        if not os.path.exists(f"{path}/{_FILLER}"):
            raise InvalidError(f"the volume of {pod} was not filled")
        os.unlink(f"{path}/{_FILLER}")
        return f"removed the filling from the volume of {pod}"

    def _disk(self, pod: Pod, volume: str | None) -> str:
        names = list(pod.claims)
        name = volume or (names[0] if names else "")
        if name not in pod.claims or pod.claims[name].path is None:
            raise NotFoundError(f"pod {pod.name} has no claim volume {name!r}; it has: {', '.join(names) or 'none'}")
        path = pod.claims[name].path
        limit = pod.claims[name].spec.size_bytes - used_bytes(path) if path is not None else 0
        if limit > 8 * 1024**3:
            raise UnsupportedError(f"volume {name} has {limit} bytes free; filling it would take this machine's memory")
        return str(path)


VERBS: dict[str, Callable[..., Coroutine[Any, Any, str]]] = {
    name.replace("_", "-"): method
    for name, method in vars(Faults).items()
    if not name.startswith("_") and name != Faults.do.__name__
}
