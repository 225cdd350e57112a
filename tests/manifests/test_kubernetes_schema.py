"""What is rendered is valid Kubernetes, by the API's own strict schemas, in every version supported here."""

import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import kubernetes_validate
import pytest

from tests.resources.stacks import OPTIONS, manifest, stack

MINORS = sorted(
    {
        ".".join(path.name.removeprefix("v").split(".")[:2])
        for path in (files("kubernetes_validate") / "kubernetes-json-schema").iterdir()
        if path.name.startswith("v1.") and int(path.name.split(".")[1]) >= 31
    }
)
STACKS: list[tuple[str, dict[str, str]]] = [
    *[("prod", {"podMemory": option}) for option in OPTIONS],
    ("prod", {"monitoring__exporter": "true", "replicasPerMaster": "2", "storage__iops": "6000"}),
    ("prod", {"access__allowFromNamespaces": '["web"]', "storage__size": "10GB"}),
    ("local", {}),
]


def kubernetes_objects(name: str, overrides: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Every object of a stack, but only one of those that differ in nothing but name and labels (claims)."""
    seen: set[str] = set()
    for resource in stack(name, **overrides).resources:
        if resource.is_kubernetes:
            rendered = manifest(resource)
            shape = json.dumps({key: value for key, value in rendered.items() if key != "metadata"}, sort_keys=True)
            if shape not in seen:
                seen.add(shape)
                yield rendered


def test_the_validator_carries_the_versions_that_are_supported_here() -> None:
    assert MINORS[0] == "1.31"
    assert len(MINORS) >= 5


@pytest.mark.parametrize("minor", MINORS)
@pytest.mark.parametrize(("name", "overrides"), STACKS, ids=lambda value: json.dumps(value))
def test_every_rendered_object_passes_the_strict_schema(name: str, overrides: dict[str, str], minor: str) -> None:
    seen = 0
    for rendered in kubernetes_objects(name, overrides):
        kubernetes_validate.validate(rendered, minor, strict=True)
        seen += 1

    assert seen > 15


def test_a_misspelt_field_would_not_pass() -> None:
    service = next(item for item in kubernetes_objects("local", {}) if item["kind"] == "Service")
    service["spec"] = service["spec"] | {"prots": []}

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(service, "1.31", strict=True)
