"""Pod specs: volumes, placement, security and the containers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from sandbox.kubernetes import quantity
from sandbox.kubernetes.manifests.base import Manifest, NotEnforced
from sandbox.kubernetes.manifests.container import Container
from sandbox.kubernetes.manifests.metadata import Labels, LabelSelector, TemplateMeta


class KeyToPath(Manifest):
    key: str
    path: str


class _Files(Manifest):
    items: tuple[KeyToPath, ...] = ()
    """Which keys become which files; all keys under their own names when empty."""
    default_mode: int = Field(default=0o644, ge=0, le=0o777)


class ConfigMapVolume(_Files):
    name: str


class SecretVolume(_Files):
    secret_name: str


class EmptyDirVolume(Manifest):
    medium: Literal["", "Memory"] = ""
    size_limit: str | int | None = None

    @property
    def size_bytes(self) -> int | None:
        return None if self.size_limit is None else quantity.to_bytes(self.size_limit)


class Volume(Manifest):
    name: str
    config_map: ConfigMapVolume | None = None
    secret: SecretVolume | None = None
    empty_dir: EmptyDirVolume | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Volume:
        if len(self.model_fields_set - {"name"}) != 1:
            raise ValueError("exactly one volume source is needed")
        return self


class Toleration(Manifest):
    key: str
    operator: Literal["Equal", "Exists"] = "Equal"
    value: str = ""
    effect: Literal["NoSchedule", "NoExecute"]
    toleration_seconds: Annotated[int | None, NotEnforced("a lost node keeps its pods until it is back")] = None


class PodAffinityTerm(Manifest):
    topology_key: str
    label_selector: LabelSelector | None = None
    match_label_keys: tuple[str, ...] = ()


class WeightedPodAffinityTerm(Manifest):
    weight: int = Field(ge=1, le=100)
    pod_affinity_term: PodAffinityTerm


class PodAntiAffinity(Manifest):
    required: tuple[PodAffinityTerm, ...] = Field(default=(), alias="requiredDuringSchedulingIgnoredDuringExecution")
    preferred: tuple[WeightedPodAffinityTerm, ...] = Field(
        default=(), alias="preferredDuringSchedulingIgnoredDuringExecution"
    )


class Affinity(Manifest):
    pod_anti_affinity: PodAntiAffinity = PodAntiAffinity()


class TopologySpread(Manifest):
    max_skew: int = Field(ge=1)
    topology_key: str
    when_unsatisfiable: Literal["ScheduleAnyway"]
    label_selector: LabelSelector | None = None


class PodSecurityContext(Manifest):
    run_as_user: int | None = Field(default=None, ge=0)
    run_as_group: int | None = Field(default=None, ge=0)
    run_as_non_root: bool = False
    fs_group: int | None = Field(default=None, ge=0)
    fs_group_change_policy: Literal["Always", "OnRootMismatch"] = "Always"
    seccomp_profile: Annotated[Any, NotEnforced("no seccomp profile is loaded")] = None


class PodSpec(Manifest):
    containers: tuple[Container, ...] = Field(min_length=1)
    volumes: tuple[Volume, ...] = ()
    restart_policy: Literal["Always", "OnFailure", "Never"] = "Always"
    termination_grace_period_seconds: int = Field(default=30, ge=0)
    node_selector: Labels = Field(default_factory=dict)
    affinity: Affinity = Affinity()
    tolerations: tuple[Toleration, ...] = ()
    topology_spread_constraints: tuple[TopologySpread, ...] = ()
    security_context: PodSecurityContext = PodSecurityContext()
    service_account_name: str = "default"
    automount_service_account_token: bool = False
    """Kubernetes' own default is true; here a pod that is to ask the API server says so."""
    priority_class_name: Annotated[str | None, NotEnforced("pods are never preempted here")] = None
    enable_service_links: Annotated[bool, NotEnforced("only ClusterIP Services make these variables")] = True

    @model_validator(mode="after")
    def _names_agree(self) -> PodSpec:
        for what, used in (
            ("container names", [c.name for c in self.containers]),
            ("mount paths", [f"{c.name} {mount.mount_path}" for c in self.containers for mount in c.volume_mounts]),
        ):
            twice = sorted({name for name in used if used.count(name) > 1})
            if twice:
                raise ValueError(f"{what} are used twice: {', '.join(twice)}")
        return self

    @property
    def requested_memory_bytes(self) -> int:
        return sum(c.resources.requested_memory_bytes for c in self.containers)

    @property
    def requested_cpu_millicores(self) -> int:
        return sum(c.resources.requested_cpu_millicores for c in self.containers)


class PodTemplate(Manifest):
    metadata: TemplateMeta = TemplateMeta()
    spec: PodSpec
