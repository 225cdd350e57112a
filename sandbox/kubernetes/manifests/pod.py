"""Pod specs: volumes, placement, security and the containers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from sandbox.kubernetes import quantity
from sandbox.kubernetes.manifests.base import Manifest, NotEnforced
from sandbox.kubernetes.manifests.container import Container, FieldRef, InitContainer, ResourceFieldRef
from sandbox.kubernetes.manifests.metadata import Labels, LabelSelector, Requirement, TemplateMeta


class KeyToPath(Manifest):
    key: str
    path: str
    mode: int | None = Field(default=None, ge=0, le=0o777)


class ConfigMapVolume(Manifest):
    name: str
    items: tuple[KeyToPath, ...] = ()
    default_mode: int = Field(default=0o644, ge=0, le=0o777)
    optional: bool = False


class SecretVolume(Manifest):
    secret_name: str
    items: tuple[KeyToPath, ...] = ()
    default_mode: int = Field(default=0o644, ge=0, le=0o777)
    optional: bool = False


class EmptyDirVolume(Manifest):
    medium: Literal["", "Memory"] = ""
    size_limit: str | int | None = None

    @property
    def size_bytes(self) -> int | None:
        return None if self.size_limit is None else quantity.to_bytes(self.size_limit)


class ClaimVolume(Manifest):
    claim_name: str
    read_only: bool = False


class DownwardItem(Manifest):
    path: str
    field_ref: FieldRef | None = None
    resource_field_ref: ResourceFieldRef | None = None
    mode: int | None = Field(default=None, ge=0, le=0o777)


class DownwardVolume(Manifest):
    items: tuple[DownwardItem, ...] = ()
    default_mode: int = Field(default=0o644, ge=0, le=0o777)


class ProjectedConfigMap(Manifest):
    name: str
    items: tuple[KeyToPath, ...] = ()
    optional: bool = False


class ProjectedDownward(Manifest):
    items: tuple[DownwardItem, ...] = ()


class ProjectedSource(Manifest):
    config_map: ProjectedConfigMap | None = None
    secret: ProjectedConfigMap | None = None
    downward_api: ProjectedDownward | None = Field(default=None, alias="downwardAPI")


class ProjectedVolume(Manifest):
    sources: tuple[ProjectedSource, ...] = ()
    default_mode: int = Field(default=0o644, ge=0, le=0o777)


class Volume(Manifest):
    name: str
    config_map: ConfigMapVolume | None = None
    secret: SecretVolume | None = None
    empty_dir: EmptyDirVolume | None = None
    persistent_volume_claim: ClaimVolume | None = None
    projected: ProjectedVolume | None = None
    downward_api: DownwardVolume | None = Field(default=None, alias="downwardAPI")

    @model_validator(mode="after")
    def _one_source(self) -> Volume:
        if len(self.model_fields_set - {"name"}) != 1:
            raise ValueError("exactly one volume source is needed")
        return self


class Toleration(Manifest):
    key: str = ""
    operator: Literal["Exists", "Equal"] = "Equal"
    value: str = ""
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = ""
    toleration_seconds: Annotated[int | None, NotEnforced("taints do not evict here")] = None


class NodeSelectorTerm(Manifest):
    match_expressions: tuple[Requirement, ...] = ()


class NodeSelector(Manifest):
    node_selector_terms: tuple[NodeSelectorTerm, ...] = Field(min_length=1)


class PreferredNode(Manifest):
    weight: int = Field(ge=1, le=100)
    preference: NodeSelectorTerm


class NodeAffinity(Manifest):
    required: NodeSelector | None = Field(default=None, alias="requiredDuringSchedulingIgnoredDuringExecution")
    preferred: tuple[PreferredNode, ...] = Field(default=(), alias="preferredDuringSchedulingIgnoredDuringExecution")


class PodAffinityTerm(Manifest):
    topology_key: str
    label_selector: LabelSelector | None = None
    match_label_keys: tuple[str, ...] = ()
    mismatch_label_keys: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    namespace_selector: LabelSelector | None = None


class WeightedPodAffinityTerm(Manifest):
    weight: int = Field(ge=1, le=100)
    pod_affinity_term: PodAffinityTerm


class PodAffinity(Manifest):
    required: tuple[PodAffinityTerm, ...] = Field(default=(), alias="requiredDuringSchedulingIgnoredDuringExecution")
    preferred: tuple[WeightedPodAffinityTerm, ...] = Field(
        default=(), alias="preferredDuringSchedulingIgnoredDuringExecution"
    )


class Affinity(Manifest):
    node_affinity: NodeAffinity = NodeAffinity()
    pod_affinity: PodAffinity = PodAffinity()
    pod_anti_affinity: PodAffinity = PodAffinity()


class TopologySpread(Manifest):
    max_skew: int = Field(ge=1)
    topology_key: str
    when_unsatisfiable: Literal["DoNotSchedule", "ScheduleAnyway"]
    label_selector: LabelSelector | None = None
    match_label_keys: tuple[str, ...] = ()
    min_domains: int | None = Field(default=None, ge=1)
    node_affinity_policy: Literal["Honor", "Ignore"] = "Honor"
    node_taints_policy: Literal["Honor", "Ignore"] = "Ignore"


class PodSecurityContext(Manifest):
    run_as_user: int | None = Field(default=None, ge=0)
    run_as_group: int | None = Field(default=None, ge=0)
    run_as_non_root: bool = False
    fs_group: int | None = Field(default=None, ge=0)
    fs_group_change_policy: Literal["Always", "OnRootMismatch"] = "Always"
    supplemental_groups: tuple[int, ...] = ()
    seccomp_profile: Annotated[Any, NotEnforced("no seccomp profile is loaded")] = None


class DnsOption(Manifest):
    name: str
    value: str | None = None


class DnsConfig(Manifest):
    searches: tuple[str, ...] = ()
    options: tuple[DnsOption, ...] = ()


class HostAlias(Manifest):
    ip: str
    hostnames: tuple[str, ...] = ()


class PodSpec(Manifest):
    containers: tuple[Container, ...] = Field(min_length=1)
    init_containers: tuple[InitContainer, ...] = ()
    volumes: tuple[Volume, ...] = ()
    restart_policy: Literal["Always", "OnFailure", "Never"] = "Always"
    termination_grace_period_seconds: int = Field(default=30, ge=0)
    active_deadline_seconds: int | None = Field(default=None, ge=1)
    hostname: str | None = None
    subdomain: str | None = None
    dns_policy: Literal["ClusterFirst"] = "ClusterFirst"
    dns_config: DnsConfig = DnsConfig()
    host_aliases: tuple[HostAlias, ...] = ()
    node_selector: Labels = Field(default_factory=dict)
    affinity: Affinity = Affinity()
    tolerations: tuple[Toleration, ...] = ()
    topology_spread_constraints: tuple[TopologySpread, ...] = ()
    security_context: PodSecurityContext = PodSecurityContext()
    service_account_name: Annotated[str | None, NotEnforced("there is no API server to authenticate to")] = None
    automount_service_account_token: Annotated[
        bool | None, NotEnforced("there is no API server to authenticate to")
    ] = None
    priority_class_name: Annotated[str | None, NotEnforced("pods are never preempted here")] = None
    enable_service_links: Annotated[bool, NotEnforced("only ClusterIP Services make these variables")] = True
    image_pull_secrets: Annotated[Any, NotEnforced("images are assembled from this machine")] = None
    host_network: Literal[False] = False
    share_process_namespace: Literal[False] = False

    @model_validator(mode="after")
    def _names_agree(self) -> PodSpec:
        containers = [c.name for c in (*self.init_containers, *self.containers)]
        duplicates = {name for name in containers if containers.count(name) > 1}
        if duplicates:
            raise ValueError(f"container names are used twice: {', '.join(sorted(duplicates))}")
        paths: set[tuple[str, str]] = set()
        for container in (*self.init_containers, *self.containers):
            for mount in container.volume_mounts:
                if (container.name, mount.mount_path) in paths:
                    raise ValueError(f"container {container.name} mounts {mount.mount_path} twice")
                paths.add((container.name, mount.mount_path))
        return self

    @property
    def requested_memory_bytes(self) -> int:
        """What the scheduler counts: the containers together, or the largest init container."""
        running = sum(c.resources.requested_memory_bytes for c in self.containers)
        return max([running, *(c.resources.requested_memory_bytes for c in self.init_containers)])

    @property
    def requested_cpu_millicores(self) -> int:
        running = sum(c.resources.requested_cpu_millicores for c in self.containers)
        return max([running, *(c.resources.requested_cpu_millicores for c in self.init_containers)])


class PodTemplate(Manifest):
    metadata: TemplateMeta = TemplateMeta()
    spec: PodSpec
