"""The state everything else reads and changes: objects, pods, claims, nodes; all in memory."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from sandbox.errors import ConfigError, InvalidError, NotFoundError
from sandbox.host.addresses import USUAL_NETWORK, ClusterNetwork
from sandbox.host.network import PodNetwork
from sandbox.kubernetes.manifests.objects import ConfigMap, KubernetesObject, Secret
from sandbox.kubernetes.nodes import Node
from sandbox.kubernetes.pods import Claim, Guest, Pod

K = TypeVar("K", bound=KubernetesObject)


@dataclass(frozen=True)
class Event:
    at: float
    subject: str
    reason: str
    message: str


class Cluster:
    """Objects by (kind, namespace, name), pods, claims and nodes; `touch` wakes whoever waits for a change."""

    def __init__(self, nodes: list[Node], network: ClusterNetwork = USUAL_NETWORK) -> None:
        self.network = network
        self.nodes: dict[str, Node] = {node.name: node for node in nodes}
        self.objects: dict[tuple[str, str, str], KubernetesObject] = {}
        self.pods: dict[tuple[str, str], Pod] = {}
        self.claims: dict[tuple[str, str], Claim] = {}
        self.guests: list[Guest] = []
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

    def contents(self, kind: str, namespace: str, name: str) -> Mapping[str, bytes]:
        """Key -> value of a ConfigMap or Secret. Raises ConfigError, in the kubelet's words, when there is none."""
        item = self.objects.get((kind, namespace, name))
        if not isinstance(item, ConfigMap | Secret):
            raise ConfigError(f"{kind.lower()} {name!r} not found")
        return item.contents

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

    def networks(self) -> list[tuple[PodNetwork, frozenset[str]]]:
        """The networks there are, each with the names by which a partition may call its pod: its own, or its zone."""
        return [
            (pod.network, frozenset({f"{pod.namespace}/{pod.name}", self.zone_of(pod) or ""}))
            for pod in self.pods.values()
            if pod.network is not None
        ]

    def networks_by_zone(self) -> list[tuple[PodNetwork, str]]:
        """The networks of pods that stand in a zone."""
        placed = ((pod.network, self.zone_of(pod)) for pod in self.pods.values())
        return [(network, zone) for network, zone in placed if network is not None and zone is not None]
