"""One resource as Pulumi would register it: what a program comes to, and what the sandbox is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Resource:
    """One registered resource.

    `type` is a Pulumi token (`kubernetes:apps/v1:StatefulSet`); `inputs` is what the provider would get, in
    the provider's own (camelCase) names, with secrets in clear. `parent` and `depends_on` are URNs. A component
    is a resource without inputs: depending on it waits for all its descendants. `needs` are those whose outputs stand
    in the inputs; they are not passed on as JSON. `secrets` names the inputs
    whose values nobody may see; `options` holds what else steers the provider (protect, ignoreChanges, …).
    """

    urn: str
    type: str
    name: str
    parent: str | None = None
    depends_on: tuple[str, ...] = ()
    provider: str | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    secrets: frozenset[str] = frozenset()
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_kubernetes(self) -> bool:
        return self.type.startswith("kubernetes:")

    @property
    def kind(self) -> str:
        """`StatefulSet` of `kubernetes:apps/v1:StatefulSet`."""
        return self.type.rpartition(":")[2]

    @property
    def api_version(self) -> str:
        """`apps/v1` of `kubernetes:apps/v1:StatefulSet`; the core group is written `v1`, as in manifests."""
        return self.type.split(":")[1].removeprefix("core/")

    def to_json(self) -> dict[str, Any]:
        shown = {
            "urn": self.urn,
            "type": self.type,
            "name": self.name,
            "parent": self.parent,
            "dependsOn": list(self.depends_on),
            "provider": self.provider,
            "inputs": dict(self.inputs),
        }
        return shown | ({"options": dict(self.options)} if self.options else {})

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Resource:
        return cls(
            urn=data["urn"],
            type=data["type"],
            name=data["name"],
            parent=data.get("parent"),
            depends_on=tuple(data.get("dependsOn", ())),
            provider=data.get("provider"),
            inputs=data.get("inputs", {}),
            options=data.get("options", {}),
        )
