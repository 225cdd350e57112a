"""NetworkPolicies, and the Namespaces whose labels they name."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from sandbox.kubernetes.manifests.base import Manifest
from sandbox.kubernetes.manifests.kubernetes_object import KubernetesObject
from sandbox.kubernetes.manifests.metadata import Labels, LabelSelector

NAMESPACE_NAME_LABEL = "kubernetes.io/metadata.name"
"""The API server gives it to every namespace, and overwrites what others set there."""


class Namespace(KubernetesObject):
    """A namespace that was applied. Its own `metadata.namespace` says nothing."""

    @property
    def all_labels(self) -> dict[str, str]:
        return {**self.metadata.labels, NAMESPACE_NAME_LABEL: self.metadata.name}


class LabelExpression(Manifest):
    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _values_fit(self) -> LabelExpression:
        if (self.operator in ("In", "NotIn")) != bool(self.values):
            raise ValueError(f"values must be {'given' if not self.values else 'absent'} with {self.operator}")
        return self

    def matches(self, labels: Mapping[str, str]) -> bool:
        match self.operator:
            case "In":
                return labels.get(self.key) in self.values
            case "NotIn":
                return labels.get(self.key) not in self.values
            case "Exists":
                return self.key in labels
            case _:
                return self.key not in labels


class PolicySelector(LabelSelector):
    """A selector that may also have expressions; all of both must hold."""

    match_expressions: tuple[LabelExpression, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        return super().matches(labels) and all(expression.matches(labels) for expression in self.match_expressions)


class IpBlock(Manifest):
    cidr: str
    without: tuple[str, ...] = Field(default=(), alias="except")

    @field_validator("cidr")
    @classmethod
    def _is_network(cls, value: str) -> str:
        return _network(value)

    @field_validator("without")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(_network, value))

    @model_validator(mode="after")
    def _exceptions_lie_inside(self) -> IpBlock:
        outside = [part for part in self.without if not _lies_in(part, self.cidr)]
        if outside:
            raise ValueError(f"except {', '.join(outside)} is not in {self.cidr}")
        return self


def _network(value: str) -> str:
    """Raises ValueError for what is no network."""
    return str(ipaddress.ip_network(value, strict=False))


def _lies_in(part: str, whole: str) -> bool:
    inner, outer = ipaddress.ip_network(part), ipaddress.ip_network(whole)
    if isinstance(inner, ipaddress.IPv4Network) and isinstance(outer, ipaddress.IPv4Network):
        return inner.subnet_of(outer)
    if isinstance(inner, ipaddress.IPv6Network) and isinstance(outer, ipaddress.IPv6Network):
        return inner.subnet_of(outer)
    return False


class Peer(Manifest):
    pod_selector: PolicySelector | None = None
    namespace_selector: PolicySelector | None = None
    ip_block: IpBlock | None = None

    @model_validator(mode="after")
    def _pods_or_addresses(self) -> Peer:
        selects = self.pod_selector is not None or self.namespace_selector is not None
        if selects == (self.ip_block is not None):
            raise ValueError("a peer has either selectors or an ipBlock")
        return self


class PolicyPort(Manifest):
    protocol: Literal["TCP", "UDP"] = "TCP"
    port: int | None = Field(default=None, ge=1, le=65535)
    end_port: int | None = Field(default=None, ge=1, le=65535)

    @field_validator("port", mode="before")
    @classmethod
    def _is_number(cls, value: Any) -> Any:
        if isinstance(value, str):
            raise ValueError("the sandbox knows ports of a policy by number only")
        return value

    @model_validator(mode="after")
    def _is_range(self) -> PolicyPort:
        if self.end_port is not None and (self.port is None or self.end_port < self.port):
            raise ValueError(f"endPort {self.end_port} needs a port that is not above it")
        return self


class IngressRule(Manifest):
    peers: tuple[Peer, ...] = Field(default=(), alias="from")
    """Empty: anybody."""
    ports: tuple[PolicyPort, ...] = ()
    """Empty: every port of every protocol."""


class EgressRule(Manifest):
    peers: tuple[Peer, ...] = Field(default=(), alias="to")
    ports: tuple[PolicyPort, ...] = ()


class PolicySpec(Manifest):
    pod_selector: PolicySelector
    policy_types: tuple[Literal["Ingress", "Egress"], ...] = ()
    ingress: tuple[IngressRule, ...] = ()
    egress: tuple[EgressRule, ...] = ()

    @property
    def directions(self) -> frozenset[str]:
        """In which it denies what no policy allows."""
        return frozenset(self.policy_types or ("Ingress", *(("Egress",) if self.egress else ())))


class NetworkPolicy(KubernetesObject):
    spec: PolicySpec

    def selects(self, namespace: str, labels: Labels, direction: str) -> bool:
        """Whether it holds for such a pod in a direction (`Ingress` or `Egress`)."""
        spec = self.spec
        here = self.metadata.namespace == namespace and direction in spec.directions
        return here and spec.pod_selector.matches(labels)
