"""The state everything else reads and changes: objects, pods, claims, nodes; all in memory."""

from __future__ import annotations

import asyncio
import secrets
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from sandbox.errors import InvalidError, NotFoundError
from sandbox.host.container import RunningContainer
from sandbox.host.logs import LogBuffer
from sandbox.host.network import PodNetwork
from sandbox.host.volumes import Claim
from sandbox.kubernetes.controllers.scheduler import ZONE_LABEL, Node, PlacedPod
from sandbox.kubernetes.kubelet.environment import Contents, Lookup, PodFacts
from sandbox.kubernetes.manifests.container import Container
from sandbox.kubernetes.manifests.objects import ConfigMap, KubernetesObject, Secret, StorageClass
from sandbox.kubernetes.manifests.pod import PodSpec

NODE_MONITOR_GRACE_S = 40.0
"""How long a real control plane takes to notice that a node is gone (kube-controller-manager's default)."""

K = TypeVar("K", bound=KubernetesObject)


@dataclass(frozen=True)
class Termination:
    exit_code: int
    reason: str
    started_at: float
    finished_at: float


@dataclass
class ContainerStatus:
    spec: Container
    is_init: bool
    state: str = "waiting"
    reason: str = "ContainerCreating"
    message: str = ""
    started_at: float = 0.0
    started: bool = False
    """The startup probe, if any, has passed."""
    ready: bool = False
    restarts: int = 0
    last: Termination | None = None
    kill_reason: str | None = None
    runtime: RunningContainer | None = None
    log: LogBuffer | None = None
    previous_log: LogBuffer | None = None


@dataclass
class Pod:
    name: str
    namespace: str
    spec: PodSpec
    labels: dict[str, str]
    annotations: dict[str, str]
    owner: tuple[str, str, str]
    """(kind, namespace, name) of the controller."""
    revision: str = ""
    ordinal: int = 0
    claims: dict[str, Claim] = field(default_factory=dict)
    """Volume name -> claim."""
    uid: str = field(default_factory=lambda: secrets.token_hex(8))
    created_at: float = field(default_factory=time.time)
    node: str | None = None
    network: PodNetwork | None = None
    phase: str = "Pending"
    reason: str = ""
    message: str = ""
    statuses: dict[str, ContainerStatus] = field(default_factory=dict)
    ready: bool = False
    ready_since: float = 0.0
    deleting: bool = False
    grace_s: float = 0.0
    lost_at: float | None = None
    """When its machine vanished; only `restore` brings it back."""

    def __post_init__(self) -> None:
        for spec, is_init in [(c, True) for c in self.spec.init_containers] + [
            (c, False) for c in self.spec.containers
        ]:
            self.statuses[spec.name] = ContainerStatus(spec, is_init)

    @property
    def key(self) -> tuple[str, str]:
        return self.namespace, self.name

    @property
    def subject(self) -> str:
        return f"Pod {self.namespace}/{self.name}"

    @property
    def ip(self) -> str | None:
        return self.network.ip if self.network else None

    @property
    def hostname(self) -> str:
        return self.spec.hostname or self.name

    @property
    def finished(self) -> bool:
        return self.phase in ("Succeeded", "Failed")

    @property
    def main_statuses(self) -> list[ContainerStatus]:
        return [status for status in self.statuses.values() if not status.is_init]

    def container(self, name: str | None) -> ContainerStatus:
        """The named container, or the pod's first. Raises NotFoundError naming those there are."""
        if name is None:
            return self.main_statuses[0]
        if name not in self.statuses:
            raise NotFoundError(f"{self.subject} has no container {name!r}; it has: {', '.join(self.statuses)}")
        return self.statuses[name]

    def is_available(self, min_ready_seconds: int) -> bool:
        return self.ready and not self.deleting and time.time() - self.ready_since >= min_ready_seconds

    def refresh_ready(self) -> bool:
        """Recomputes readiness; whether it changed."""
        lost = self.lost_at is not None and time.time() - self.lost_at >= NODE_MONITOR_GRACE_S
        ready = not lost and self.phase == "Running" and all(status.ready for status in self.main_statuses)
        changed = ready != self.ready
        if changed:
            self.ready = ready
            self.ready_since = time.time() if ready else 0.0
        return changed


@dataclass(frozen=True)
class Event:
    at: float
    subject: str
    reason: str
    message: str


class Cluster:
    """Objects by (kind, namespace, name), pods, claims and nodes; `touch` wakes whoever waits for a change."""

    def __init__(self, nodes: list[Node]) -> None:
        self.nodes: dict[str, Node] = {node.name: node for node in nodes}
        self.objects: dict[tuple[str, str, str], KubernetesObject] = {}
        self.pods: dict[tuple[str, str], Pod] = {}
        self.claims: dict[tuple[str, str], Claim] = {}
        self.namespaces: set[str] = {"default", "kube-system"}
        self.events: deque[Event] = deque(maxlen=1000)
        self.fault = ""
        """What went wrong in the sandbox itself, if anything: everything that waits must say so and stop."""
        self._changed = asyncio.Event()

    def broken(self, where: str) -> None:
        """Records the exception being handled as a fault of the sandbox itself."""
        self.fault = f"fault in the sandbox itself, in {where}:\n{traceback.format_exc()}"
        self.event(where, "SandboxFault", self.fault)
        self.touch()

    def touch(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def changed(self, timeout_s: float) -> None:
        """Returns at the next change, or after `timeout_s`."""
        try:
            # Not wait_for: before Python 3.12 it loses a cancellation that comes together with the change.
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            return

    async def until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Whether `condition` came true in time."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            await self.changed(min(left, 1.0))
        return True

    def event(self, subject: str, reason: str, message: str) -> None:
        self.events.append(Event(time.time(), subject, reason, message))

    def all(self, kind: type[K]) -> Iterator[K]:
        for item in list(self.objects.values()):
            if isinstance(item, kind):
                yield item

    def get(self, kind: type[K], namespace: str, name: str) -> K | None:
        item = self.objects.get((kind.__name__, namespace, name))
        return item if isinstance(item, kind) else None

    def lookup(self, namespace: str) -> Lookup:
        """Contents of ConfigMaps and Secrets of one namespace."""

        def contents(kind: str, name: str) -> Contents | None:
            item = self.objects.get((kind, namespace, name))
            return item.contents if isinstance(item, ConfigMap | Secret) else None

        return contents

    def owned(self, owner: tuple[str, str, str]) -> list[Pod]:
        return [pod for pod in self.pods.values() if pod.owner == owner]

    def pods_in(self, namespace: str) -> list[Pod]:
        return [pod for pod in self.pods.values() if pod.namespace == namespace]

    def find_pod(self, name: str, namespace: str | None = None) -> Pod:
        """A pod by name; the namespace may be left out, or written `namespace/name`, when that is unambiguous."""
        if "/" in name:
            namespace, _, name = name.partition("/")
        found = [pod for pod in self.pods.values() if pod.name == name and namespace in (None, pod.namespace)]
        if len(found) == 1:
            return found[0]
        if found:
            raise InvalidError(
                f"pod {name} exists in namespaces {', '.join(sorted(p.namespace for p in found))}; use -n"
            )
        known = ", ".join(sorted(pod.name for pod in self.pods.values())) or "none"
        raise NotFoundError(
            f"there is no pod {name!r}{f' in namespace {namespace}' if namespace else ''}; pods: {known}"
        )

    def find_node(self, name: str) -> Node:
        if name not in self.nodes:
            raise NotFoundError(f"there is no node {name!r}; nodes: {', '.join(self.nodes)}")
        return self.nodes[name]

    def set_ready(self, nodes: list[str], *, ready: bool) -> None:
        for name in nodes:
            self.nodes[name] = replace(self.nodes[name], ready=ready)
        self.touch()

    def set_cordoned(self, nodes: list[str], *, cordoned: bool) -> None:
        for name in nodes:
            self.nodes[name] = replace(self.nodes[name], cordoned=cordoned)
        self.touch()

    def zone_of(self, pod: Pod) -> str | None:
        return None if pod.node is None or pod.node not in self.nodes else self.nodes[pod.node].zone

    def host_ip(self, node: str) -> str:
        """A stable address-like text per node; nothing listens there."""
        index = list(self.nodes).index(node) if node in self.nodes else 0
        return f"192.0.2.{index + 1}"

    def facts(self, pod: Pod) -> PodFacts:
        return PodFacts(
            name=pod.name,
            namespace=pod.namespace,
            uid=pod.uid,
            labels=pod.labels,
            annotations=pod.annotations,
            node=pod.node or "",
            host_ip=self.host_ip(pod.node or ""),
            pod_ip=pod.ip or "",
            service_account=pod.spec.service_account_name or "default",
        )

    def placed_view(self, pod: Pod) -> PlacedPod:
        wanted = [zones for claim in pod.claims.values() if (zones := self.zones_of(claim))]
        # Zones that suit one volume and not another leave the pod pending, as on a real cluster.
        zones = frozenset.intersection(*wanted) or frozenset({"no zone suits all volumes"}) if wanted else frozenset()
        return PlacedPod(pod.name, pod.namespace, pod.labels, pod.spec, pod.node, zones)

    def zones_of(self, claim: Claim) -> frozenset[str]:
        """Zones the claim's volume is in, or may be made in; empty if it is not made yet and any zone will do."""
        if claim.zone is not None:
            return frozenset({claim.zone})
        classes = {item.metadata.name: item for item in self.all(StorageClass)}
        found = classes.get(claim.spec.storage_class_name or "")
        return frozenset() if found is None else found.zones(ZONE_LABEL)

    def summary(self) -> Mapping[str, int]:
        return {"pods": len(self.pods), "objects": len(self.objects), "claims": len(self.claims)}
