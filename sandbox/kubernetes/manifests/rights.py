"""Who may ask the API server for what."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sandbox.kubernetes.manifests.base import Manifest
from sandbox.kubernetes.manifests.kubernetes_object import KubernetesObject


class ServiceAccount(KubernetesObject):
    """A name that pods run under."""


class PolicyRule(Manifest):
    api_groups: tuple[str, ...] = Field(min_length=1)
    resources: tuple[str, ...] = Field(min_length=1)
    verbs: tuple[str, ...] = Field(min_length=1)
    resource_names: tuple[str, ...] = ()
    """Empty: whatever its name."""


class Role(KubernetesObject):
    rules: tuple[PolicyRule, ...] = ()

    def allows(self, verb: str, group: str, resource: str, name: str) -> bool:
        """A rule with names lets nobody list: a list has no name."""
        return any(
            verb in rule.verbs
            and group in rule.api_groups
            and resource in rule.resources
            and (not rule.resource_names or name in rule.resource_names)
            for rule in self.rules
        )


class RoleRef(Manifest):
    api_group: Literal["rbac.authorization.k8s.io"]
    kind: Literal["Role"]
    name: str


class Subject(Manifest):
    kind: Literal["ServiceAccount"]
    name: str
    namespace: str


class RoleBinding(KubernetesObject):
    role_ref: RoleRef
    subjects: tuple[Subject, ...] = ()

    def binds(self, namespace: str, account: str) -> bool:
        """Whether the role is this account's."""
        return any((subject.namespace, subject.name) == (namespace, account) for subject in self.subjects)
