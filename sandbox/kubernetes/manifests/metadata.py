"""metadata and label selectors, shared by every kind."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from sandbox.kubernetes.manifests.base import Manifest, NotEnforced

Labels = dict[str, str]
_DNS_LABEL = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")


def is_dns_label(name: str) -> bool:
    """RFC 1123 label, what the API server asks of names that end up in DNS."""
    return len(name) <= 63 and _DNS_LABEL.match(name) is not None


class ObjectMeta(Manifest):
    name: str
    namespace: str = "default"
    labels: Labels = Field(default_factory=dict)
    annotations: Labels = Field(default_factory=dict)


class TemplateMeta(Manifest):
    """metadata of a pod template or of a volume claim template."""

    name: str = ""
    labels: Labels = Field(default_factory=dict)
    annotations: Labels = Field(default_factory=dict)
    creation_timestamp: Annotated[Any, NotEnforced("written by the API server")] = None


class Requirement(Manifest):
    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _values_fit_operator(self) -> Requirement:
        if (self.operator in ("In", "NotIn")) != bool(self.values):
            raise ValueError(f"operator {self.operator} {'needs' if not self.values else 'takes no'} values")
        return self

    def matches(self, labels: Mapping[str, str]) -> bool:
        if self.operator == "In":
            return labels.get(self.key) in self.values
        if self.operator == "NotIn":
            return labels.get(self.key) not in self.values
        return (self.key in labels) == (self.operator == "Exists")


class LabelSelector(Manifest):
    match_labels: Labels = Field(default_factory=dict)
    match_expressions: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """An empty selector matches everything, as in Kubernetes."""
        return all(labels.get(key) == value for key, value in self.match_labels.items()) and all(
            requirement.matches(labels) for requirement in self.match_expressions
        )
