"""Pods, their containers and their claims, as the control plane knows them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.errors import NotFoundError
from sandbox.host.container import RunningContainer
from sandbox.host.logs import LogBuffer
from sandbox.host.network import PodNetwork
from sandbox.host.volumes import used_bytes
from sandbox.kubernetes.manifests.container import Container
from sandbox.kubernetes.manifests.pod import PodSpec
from sandbox.kubernetes.manifests.storage import ClaimSpec

NODE_MONITOR_GRACE_S = 40.0
"""How long a real control plane takes to notice that a node is gone (kube-controller-manager's default)."""


@dataclass
class Claim:
    """A PersistentVolumeClaim and its volume. `zone` is set when its first pod is placed, and stays."""

    name: str
    namespace: str
    spec: ClaimSpec
    zone: str | None = None
    path: Path | None = None
    """Where the volume is mounted on this machine, once it is made."""

    @property
    def key(self) -> tuple[str, str]:
        return self.namespace, self.name

    @property
    def used_bytes(self) -> int:
        return 0 if self.path is None else used_bytes(self.path)


@dataclass(frozen=True)
class Guest:
    """A program of this machine that takes part in the network as a pod would: of a namespace, with labels."""

    namespace: str
    labels: Mapping[str, str]
    network: PodNetwork


@dataclass(frozen=True)
class Termination:
    exit_code: int
    reason: str
    started_at: float
    finished_at: float


@dataclass
class ContainerStatus:
    spec: Container
    state: str = "waiting"
    reason: str = "ContainerCreating"
    message: str = ""
    started_at: float = 0.0
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
    owner: tuple[str, str, str]
    """(kind, namespace, name) of the controller."""
    annotations: dict[str, str] = field(default_factory=dict)
    revision: str = ""
    ordinal: int = 0
    claims: dict[str, Claim] = field(default_factory=dict)
    """Volume name -> claim."""
    subdomain: str = ""
    """The headless Service under which the pod has a DNS name of its own; pods of a StatefulSet alone have one."""
    uid: str = field(default_factory=lambda: secrets.token_hex(8))
    created_at: float = field(default_factory=time.time)
    node: str | None = None
    network: PodNetwork | None = None
    phase: str = "Pending"
    message: str = ""
    statuses: dict[str, ContainerStatus] = field(default_factory=dict)
    ready: bool = False
    ready_since: float = 0.0
    deleting: bool = False
    lost_at: float | None = None
    """When its machine vanished; only `restore` brings it back."""

    def __post_init__(self) -> None:
        self.statuses = {spec.name: ContainerStatus(spec) for spec in self.spec.containers}

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
    def finished(self) -> bool:
        return self.phase in ("Succeeded", "Failed")

    @property
    def waiting(self) -> ContainerStatus | None:
        """The first container that is kept from starting, with the reason for it; None when none is."""
        return next(
            (s for s in self.statuses.values() if s.state == "waiting" and s.reason != "ContainerCreating"), None
        )

    def container(self, name: str | None) -> ContainerStatus:
        """The named container, or the pod's first. Raises NotFoundError naming those there are."""
        if name is None:
            return next(iter(self.statuses.values()))
        if name not in self.statuses:
            raise NotFoundError(f"{self.subject} has no container {name!r}; it has: {', '.join(self.statuses)}")
        return self.statuses[name]

    def is_available(self, min_ready_seconds: int) -> bool:
        return self.ready and not self.deleting and time.time() - self.ready_since >= min_ready_seconds

    def refresh_ready(self) -> bool:
        """Recomputes readiness; whether it changed."""
        lost = self.lost_at is not None and time.time() - self.lost_at >= NODE_MONITOR_GRACE_S
        ready = not lost and self.phase == "Running" and all(status.ready for status in self.statuses.values())
        changed = ready != self.ready
        if changed:
            self.ready = ready
            self.ready_since = time.time() if ready else 0.0
        return changed
