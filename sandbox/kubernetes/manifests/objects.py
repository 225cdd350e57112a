"""The object kinds: what the sandbox runs, and what it only takes note of."""

from __future__ import annotations

import base64
from typing import Annotated, Any, Literal

from croniter import croniter
from pydantic import Field, field_validator, model_validator

from preview.resources import Resource
from sandbox.errors import UnsupportedError
from sandbox.kubernetes.manifests.base import Manifest, NotEnforced, decode
from sandbox.kubernetes.manifests.certificate import Certificate
from sandbox.kubernetes.manifests.kubernetes_object import KubernetesObject as KubernetesObject
from sandbox.kubernetes.manifests.metadata import Labels, LabelSelector, TemplateMeta, is_dns_label
from sandbox.kubernetes.manifests.network_policy import Namespace, NetworkPolicy
from sandbox.kubernetes.manifests.pod import PodTemplate
from sandbox.kubernetes.manifests.rights import Role, RoleBinding, ServiceAccount
from sandbox.kubernetes.manifests.storage import EVERY_CLAIM, ClaimRetention, ClaimSpec, ClaimTemplate, TopologyTerm


class ConfigMap(KubernetesObject):
    data: dict[str, str] = Field(default_factory=dict)
    binary_data: dict[str, str] = Field(default_factory=dict)
    immutable: Annotated[bool, NotEnforced("another content is another object here anyway")] = False

    @model_validator(mode="after")
    def _fits_etcd(self) -> ConfigMap:
        size = sum(len(value) for value in self.contents.values())
        if size > 1024**2:
            raise ValueError(f"{size} bytes of data; a ConfigMap or Secret holds at most 1048576")
        return self

    @property
    def contents(self) -> dict[str, bytes]:
        plain = {key: value.encode() for key, value in self.data.items()}
        return plain | {key: base64.b64decode(value, validate=True) for key, value in self.binary_data.items()}


class Secret(KubernetesObject):
    type: str = "Opaque"
    string_data: dict[str, str] = Field(default_factory=dict)
    immutable: Annotated[bool, NotEnforced("another content is another object here anyway")] = False

    @model_validator(mode="after")
    def _has_what_its_type_needs(self) -> Secret:
        missing = {"tls.crt", "tls.key"} - self.string_data.keys() if self.type == "kubernetes.io/tls" else set()
        if missing:
            raise ValueError(f"a Secret of type kubernetes.io/tls needs {', '.join(sorted(missing))}")
        return self

    @property
    def contents(self) -> dict[str, bytes]:
        return {key: value.encode() for key, value in self.string_data.items()}


class ServicePort(Manifest):
    port: int = Field(ge=1, le=65535)
    name: str | None = None
    target_port: int | str | None = None


class ServiceSpec(Manifest):
    cluster_ip: Literal["None"] | None = Field(default=None, alias="clusterIP")
    type: Literal["ClusterIP", "ExternalName"] = "ClusterIP"
    external_name: str | None = None
    selector: Labels = Field(default_factory=dict)
    ports: tuple[ServicePort, ...] = ()
    publish_not_ready_addresses: bool = False

    @model_validator(mode="after")
    def _headless_or_external(self) -> ServiceSpec:
        if self.type == "ExternalName":
            if not self.external_name:
                raise ValueError("type ExternalName needs externalName")
        elif self.cluster_ip != "None":
            raise ValueError(
                "the sandbox has no virtual IPs: clusterIP must be None (headless), or type must be ExternalName"
            )
        elif self.external_name:
            raise ValueError("externalName needs type ExternalName")
        return self


class Service(KubernetesObject):
    spec: ServiceSpec

    @model_validator(mode="after")
    def _dns_name(self) -> Service:
        if not is_dns_label(self.metadata.name):
            raise ValueError(f"metadata.name {self.metadata.name!r} is not a DNS label")
        return self


class PersistentVolumeClaim(KubernetesObject):
    spec: ClaimSpec


class StorageClass(KubernetesObject):
    provisioner: Annotated[str, NotEnforced(EVERY_CLAIM)] = ""
    parameters: Annotated[Any, NotEnforced(EVERY_CLAIM)] = None
    allow_volume_expansion: Annotated[Any, NotEnforced(EVERY_CLAIM)] = None
    reclaim_policy: Annotated[Any, NotEnforced("a volume goes with its claim")] = None
    volume_binding_mode: Annotated[Any, NotEnforced("a volume is made when its first pod is placed")] = None
    allowed_topologies: tuple[TopologyTerm, ...] = ()

    def zones(self, zone_label: str) -> frozenset[str]:
        """Zones its volumes may be made in; none means every zone."""
        return frozenset(
            value
            for term in self.allowed_topologies
            for expression in term.match_label_expressions
            if expression.key == zone_label
            for value in expression.values
        )


class UpdateStrategy(Manifest):
    type: Literal["RollingUpdate"] = "RollingUpdate"


class StatefulSetSpec(Manifest):
    replicas: int = Field(default=1, ge=0)
    service_name: str = ""
    selector: LabelSelector
    template: PodTemplate
    volume_claim_templates: tuple[ClaimTemplate, ...] = ()
    pod_management_policy: Literal["OrderedReady", "Parallel"] = "OrderedReady"
    update_strategy: UpdateStrategy = UpdateStrategy()
    min_ready_seconds: int = Field(default=0, ge=0)
    persistent_volume_claim_retention_policy: ClaimRetention = ClaimRetention()

    @model_validator(mode="after")
    def _consistent(self) -> StatefulSetSpec:
        if not self.selector.matches(self.template.metadata.labels):
            raise ValueError("selector does not match template.metadata.labels")
        if self.template.spec.restart_policy != "Always":
            raise ValueError("template.spec.restartPolicy must be Always in a StatefulSet")
        claims = {claim.metadata.name for claim in self.volume_claim_templates}
        check_mounts(self.template, claims)
        return self


class StatefulSet(KubernetesObject):
    spec: StatefulSetSpec

    @property
    def pod_template(self) -> PodTemplate:
        return self.spec.template


class PodCondition(Manifest):
    type: Literal["DisruptionTarget"]
    status: Literal["True"]


class PodFailureRule(Manifest):
    action: Literal["Ignore"]
    on_pod_conditions: tuple[PodCondition, ...]


class PodFailurePolicy(Manifest):
    rules: tuple[PodFailureRule, ...]


class JobSpec(Manifest):
    template: PodTemplate
    backoff_limit: int = Field(default=6, ge=0)
    active_deadline_seconds: int | None = Field(default=None, ge=1)
    pod_failure_policy: Annotated[PodFailurePolicy | None, NotEnforced("a deleted pod never counts as failed")] = None

    @model_validator(mode="after")
    def _consistent(self) -> JobSpec:
        if self.template.spec.restart_policy == "Always":
            raise ValueError("template.spec.restartPolicy must be OnFailure or Never in a Job")
        check_mounts(self.template, set())
        return self


class Job(KubernetesObject):
    spec: JobSpec

    @property
    def pod_template(self) -> PodTemplate:
        return self.spec.template


class JobTemplate(Manifest):
    metadata: TemplateMeta = TemplateMeta()
    spec: JobSpec


class CronJobSpec(Manifest):
    schedule: str
    job_template: JobTemplate
    concurrency_policy: Literal["Allow", "Forbid", "Replace"] = "Allow"
    starting_deadline_seconds: int | None = Field(default=None, ge=0)
    successful_jobs_history_limit: int = Field(default=3, ge=0)
    failed_jobs_history_limit: int = Field(default=1, ge=0)

    @field_validator("schedule")
    @classmethod
    def _is_cron(cls, value: str) -> str:
        if len(value.split()) != 5 or not croniter.is_valid(value):
            raise ValueError("five cron fields are needed: minute hour day-of-month month day-of-week")
        return value


class CronJob(KubernetesObject):
    spec: CronJobSpec

    @property
    def pod_template(self) -> PodTemplate:
        return self.spec.job_template.spec.template


class DisruptionSpec(Manifest):
    selector: LabelSelector
    max_unavailable: int = Field(ge=0)
    unhealthy_pod_eviction_policy: Literal["IfHealthyBudget", "AlwaysAllow"] = "IfHealthyBudget"


class PodDisruptionBudget(KubernetesObject):
    spec: DisruptionSpec


def check_mounts(template: PodTemplate, claims: set[str]) -> None:
    """Raises ValueError for a mount of a volume that neither the pod nor a claim template defines."""
    known = {volume.name for volume in template.spec.volumes} | claims
    for container in template.spec.containers:
        for mount in container.volume_mounts:
            if mount.name not in known:
                raise ValueError(
                    f"container {container.name} mounts volume {mount.name!r}; defined are: {', '.join(sorted(known))}"
                )


RUN: dict[str, type[KubernetesObject]] = {
    "v1/Namespace": Namespace,
    "v1/ConfigMap": ConfigMap,
    "v1/Secret": Secret,
    "v1/Service": Service,
    "v1/PersistentVolumeClaim": PersistentVolumeClaim,
    "apps/v1/StatefulSet": StatefulSet,
    "batch/v1/Job": Job,
    "batch/v1/CronJob": CronJob,
    "policy/v1/PodDisruptionBudget": PodDisruptionBudget,
    "storage.k8s.io/v1/StorageClass": StorageClass,
    "networking.k8s.io/v1/NetworkPolicy": NetworkPolicy,
    "cert-manager.io/v1/Certificate": Certificate,
    "v1/ServiceAccount": ServiceAccount,
    "rbac.authorization.k8s.io/v1/Role": Role,
    "rbac.authorization.k8s.io/v1/RoleBinding": RoleBinding,
}
"""Kinds the sandbox runs, by apiVersion/kind."""

NOTED: dict[str, str] = {
    "scheduling.k8s.io/v1/PriorityClass": "pods are never preempted here",
    "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy": "whoever runs `up` may do anything",
    "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicyBinding": "whoever runs `up` may do anything",
    "monitoring.coreos.com/v1/PodMonitor": "no operator runs here; the sandbox's Prometheus reads it itself",
    "monitoring.coreos.com/v1/PrometheusRule": "no operator runs here; the sandbox's Prometheus reads it itself",
}
"""Kinds that only describe; accepted, listed by `status`, without effect."""


def decode_object(resource: Resource) -> KubernetesObject | None:
    """The decoded object of a Kubernetes resource; None for a kind that is only noted.

    Raises UnsupportedError for any other kind or field, InvalidError for what the API server would refuse.
    """
    kind = f"{resource.api_version}/{resource.kind}"
    if kind in NOTED:
        return None
    inputs = dict(resource.inputs)
    metadata = inputs.get("metadata") or {}
    subject = f"{resource.kind} {metadata.get('namespace', 'default')}/{metadata.get('name', resource.name)}"
    if kind not in RUN:
        known = ", ".join(sorted(name.rpartition("/")[2] for name in {**RUN, **NOTED}))
        raise UnsupportedError(f"{subject}: the sandbox does not run {kind}; it knows {known}")
    inputs.setdefault("apiVersion", resource.api_version)
    inputs.setdefault("kind", resource.kind)
    return decode(RUN[kind], inputs, subject)
