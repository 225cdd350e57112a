"""Containers: what they run, with which environment, probes and rights."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from sandbox.kubernetes import quantity
from sandbox.kubernetes.manifests.base import Manifest, NotEnforced

_NO_CPU_LIMIT = "the sandbox does not throttle CPU"


class ResourceList(Manifest):
    memory: str | int | float | None = None
    cpu: str | int | float | None = None

    @field_validator("memory", "cpu")
    @classmethod
    def _is_quantity(cls, value: str | int | float | None) -> str | int | float | None:
        if value is not None:
            quantity.parse(value)
        return value

    @property
    def memory_bytes(self) -> int | None:
        return None if self.memory is None else quantity.to_bytes(self.memory)

    @property
    def cpu_millicores(self) -> int | None:
        return None if self.cpu is None else quantity.to_millicores(self.cpu)


class Limits(ResourceList):
    cpu: Annotated[str | int | float | None, NotEnforced(_NO_CPU_LIMIT)] = None


class ResourceRequirements(Manifest):
    requests: ResourceList = ResourceList()
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _requests_within_limits(self) -> ResourceRequirements:
        for name in ("memory", "cpu"):
            request, limit = getattr(self.requests, name), getattr(self.limits, name)
            if request is not None and limit is not None and quantity.parse(request) > quantity.parse(limit):
                raise ValueError(f"{name} request {request} exceeds its limit {limit}")
        return self

    @property
    def requested_memory_bytes(self) -> int:
        """The limit stands in for an absent request, as the API server defaults it."""
        return self.requests.memory_bytes or self.limits.memory_bytes or 0

    @property
    def requested_cpu_millicores(self) -> int:
        return self.requests.cpu_millicores or self.limits.cpu_millicores or 0


class FieldRef(Manifest):
    field_path: Literal[
        "metadata.name",
        "metadata.namespace",
        "metadata.labels['topology.kubernetes.io/zone']",
        "spec.nodeName",
        "status.podIP",
    ]


class KeyRef(Manifest):
    name: str
    key: str


class EnvVarSource(Manifest):
    field_ref: FieldRef | None = None
    secret_key_ref: KeyRef | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> EnvVarSource:
        if len(self.model_fields_set) != 1:
            raise ValueError("exactly one of fieldRef and secretKeyRef is needed")
        return self


class EnvVar(Manifest):
    name: str
    value: str | None = None
    value_from: EnvVarSource | None = None

    @model_validator(mode="after")
    def _one_source(self) -> EnvVar:
        if self.value and self.value_from:
            raise ValueError("value and valueFrom exclude each other")
        return self


class ExecAction(Manifest):
    command: tuple[str, ...] = Field(min_length=1)


class Probe(Manifest):
    """One success is enough for every probe: the API server asks that of liveness and startup probes."""

    exec: ExecAction
    period_seconds: int = Field(default=10, ge=1)
    timeout_seconds: int = Field(default=1, ge=1)
    failure_threshold: int = Field(default=3, ge=1)


class Hook(Manifest):
    exec: ExecAction


class Lifecycle(Manifest):
    pre_stop: Hook | None = None


class Capabilities(Manifest):
    drop: tuple[str, ...] = ()


class SecurityContext(Manifest):
    read_only_root_filesystem: bool = False
    capabilities: Capabilities = Capabilities()
    allow_privilege_escalation: Annotated[bool, NotEnforced("no_new_privs is always set")] = True


class VolumeMount(Manifest):
    name: str
    mount_path: str
    read_only: bool = False

    @field_validator("mount_path")
    @classmethod
    def _absolute(cls, value: str) -> str:
        if not value.startswith("/") or ".." in value.split("/"):
            raise ValueError("an absolute path without .. is needed")
        return value.rstrip("/") or "/"


class ContainerPort(Manifest):
    container_port: int = Field(ge=1, le=65535)
    name: str | None = Field(default=None, max_length=15)


class Container(Manifest):
    name: str
    image: str
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: tuple[EnvVar, ...] = ()
    ports: tuple[ContainerPort, ...] = ()
    resources: ResourceRequirements = ResourceRequirements()
    volume_mounts: tuple[VolumeMount, ...] = ()
    liveness_probe: Probe | None = None
    readiness_probe: Probe | None = None
    startup_probe: Probe | None = None
    lifecycle: Lifecycle = Lifecycle()
    security_context: SecurityContext = SecurityContext()
    termination_message_policy: str | None = None
