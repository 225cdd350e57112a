"""Volumes that outlive their pod: claims, and the classes that say where volumes may be made."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from sandbox.kubernetes import quantity
from sandbox.kubernetes.manifests.base import Manifest
from sandbox.kubernetes.manifests.metadata import TemplateMeta

EVERY_CLAIM = "every claim is a sized tmpfs"


class StorageRequest(Manifest):
    storage: str | int

    @field_validator("storage")
    @classmethod
    def _is_quantity(cls, value: str | int) -> str | int:
        if quantity.to_bytes(value) <= 0:
            raise ValueError("a size above 0 is needed")
        return value


class ClaimResources(Manifest):
    requests: StorageRequest


class ClaimSpec(Manifest):
    access_modes: tuple[Literal["ReadWriteOnce", "ReadWriteOncePod"], ...] = Field(min_length=1)
    resources: ClaimResources
    storage_class_name: str | None = None
    """Decides in which zones the volume may be made; nothing else of a class has an effect."""

    @property
    def size_bytes(self) -> int:
        return quantity.to_bytes(self.resources.requests.storage)


class ClaimTemplate(Manifest):
    metadata: TemplateMeta
    spec: ClaimSpec


class TopologyExpression(Manifest):
    key: str
    values: tuple[str, ...] = Field(min_length=1)


class TopologyTerm(Manifest):
    match_label_expressions: tuple[TopologyExpression, ...] = Field(min_length=1)


class ClaimRetention(Manifest):
    when_deleted: Literal["Retain", "Delete"] = "Retain"
    when_scaled: Literal["Retain", "Delete"] = "Retain"
