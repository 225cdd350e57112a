"""Containers: what they run, with which environment, probes and rights."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from sandbox.kubernetes import quantity
from sandbox.kubernetes.manifests.base import Manifest, NotEnforced

_NO_CPU_LIMIT = "the sandbox does not throttle CPU"
_NO_DISK_ACCOUNT = "ephemeral storage is not accounted"


class ResourceList(Manifest):
    memory: str | int | float | None = None
    cpu: str | int | float | None = None
    ephemeral_storage: Annotated[
        str | int | float | None, Field(alias="ephemeral-storage"), NotEnforced(_NO_DISK_ACCOUNT)
    ] = None

    @field_validator("memory", "cpu", "ephemeral_storage")
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
    field_path: str
    api_version: Literal["v1"] = "v1"


class ResourceFieldRef(Manifest):
    resource: Literal["limits.memory", "requests.memory", "limits.cpu", "requests.cpu"]
    container_name: str | None = None
    divisor: str | int = "0"

    def value_of(self, resources: ResourceRequirements) -> str | None:
        """The quantity divided by the divisor and rounded up; None when unset (the node's size stands in then)."""
        side, name = self.resource.split(".")
        given = getattr(resources.limits if side == "limits" else resources.requests, name)
        if given is None:
            return None
        divisor = quantity.parse(self.divisor) or Decimal(1)
        return str(-int(-quantity.parse(given) // divisor))


class KeyRef(Manifest):
    name: str
    key: str
    optional: bool = False


class EnvVarSource(Manifest):
    field_ref: FieldRef | None = None
    resource_field_ref: ResourceFieldRef | None = None
    config_map_key_ref: KeyRef | None = None
    secret_key_ref: KeyRef | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> EnvVarSource:
        if len(self.model_fields_set) != 1:
            raise ValueError("exactly one of fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef is needed")
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


class EnvSourceRef(Manifest):
    name: str
    optional: bool = False


class EnvFrom(Manifest):
    prefix: str = ""
    config_map_ref: EnvSourceRef | None = None
    secret_ref: EnvSourceRef | None = None


class ExecAction(Manifest):
    command: tuple[str, ...] = Field(min_length=1)


class TcpSocketAction(Manifest):
    port: int | str
    host: str | None = None


class SleepAction(Manifest):
    seconds: int = Field(ge=0)


class Probe(Manifest):
    exec: ExecAction | None = None
    tcp_socket: TcpSocketAction | None = None
    initial_delay_seconds: int = Field(default=0, ge=0)
    period_seconds: int = Field(default=10, ge=1)
    timeout_seconds: int = Field(default=1, ge=1)
    success_threshold: int = Field(default=1, ge=1)
    failure_threshold: int = Field(default=3, ge=1)
    termination_grace_period_seconds: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _one_action(self) -> Probe:
        if (self.exec is None) == (self.tcp_socket is None):
            raise ValueError("exactly one of exec and tcpSocket is needed")
        return self


class RestartProbe(Probe):
    """Liveness and startup probes: one success is enough, by the API server's rule."""

    success_threshold: Literal[1] = 1


class ReadinessProbe(Probe):
    termination_grace_period_seconds: None = None


class LifecycleHandler(Manifest):
    exec: ExecAction | None = None
    sleep: SleepAction | None = None

    @model_validator(mode="after")
    def _one_action(self) -> LifecycleHandler:
        if (self.exec is None) == (self.sleep is None):
            raise ValueError("exactly one of exec and sleep is needed")
        return self


class Lifecycle(Manifest):
    post_start: LifecycleHandler | None = None
    pre_stop: LifecycleHandler | None = None


class Capabilities(Manifest):
    add: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()


_NO_PROFILE = "no seccomp, AppArmor or SELinux profile is loaded"


class SecurityContext(Manifest):
    run_as_user: int | None = Field(default=None, ge=0)
    run_as_group: int | None = Field(default=None, ge=0)
    run_as_non_root: bool = False
    read_only_root_filesystem: bool = False
    capabilities: Capabilities = Capabilities()
    privileged: Literal[False] = False
    allow_privilege_escalation: Annotated[bool, NotEnforced("no_new_privs is always set")] = True
    seccomp_profile: Annotated[Any, NotEnforced(_NO_PROFILE)] = None
    app_armor_profile: Annotated[Any, NotEnforced(_NO_PROFILE)] = None


class VolumeMount(Manifest):
    name: str
    mount_path: str
    read_only: bool = False
    sub_path: str | None = None

    @field_validator("mount_path")
    @classmethod
    def _absolute(cls, value: str) -> str:
        if not value.startswith("/") or ".." in value.split("/"):
            raise ValueError("an absolute path without .. is needed")
        return value.rstrip("/") or "/"


class ContainerPort(Manifest):
    container_port: int = Field(ge=1, le=65535)
    name: str | None = Field(default=None, max_length=15)
    protocol: Literal["TCP", "UDP"] = "TCP"


class Container(Manifest):
    name: str
    image: str
    image_pull_policy: Annotated[
        Literal["Always", "IfNotPresent", "Never"], NotEnforced("images are assembled from this machine")
    ] = "IfNotPresent"
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str | None = None
    env: tuple[EnvVar, ...] = ()
    env_from: tuple[EnvFrom, ...] = ()
    ports: tuple[ContainerPort, ...] = ()
    resources: ResourceRequirements = ResourceRequirements()
    volume_mounts: tuple[VolumeMount, ...] = ()
    liveness_probe: RestartProbe | None = None
    readiness_probe: ReadinessProbe | None = None
    startup_probe: RestartProbe | None = None
    lifecycle: Lifecycle = Lifecycle()
    security_context: SecurityContext = SecurityContext()
    termination_message_path: Annotated[str | None, NotEnforced("logs carry the message")] = None
    termination_message_policy: Annotated[str | None, NotEnforced("logs carry the message")] = None

    @model_validator(mode="after")
    def _named_ports_exist(self) -> Container:
        names = {port.name for port in self.ports}
        for probe in (self.liveness_probe, self.readiness_probe, self.startup_probe):
            if (
                probe
                and probe.tcp_socket
                and isinstance(probe.tcp_socket.port, str)
                and probe.tcp_socket.port not in names
            ):
                raise ValueError(f"probe port {probe.tcp_socket.port!r} is not the name of a port of this container")
        return self

    def port_number(self, port: int | str) -> int:
        return next(p.container_port for p in self.ports if p.name == port) if isinstance(port, str) else port


class InitContainer(Container):
    """Init containers run to their end: no probes, no hooks."""

    liveness_probe: None = None
    readiness_probe: None = None
    startup_probe: None = None
