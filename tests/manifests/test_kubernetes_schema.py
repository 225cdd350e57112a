"""What is rendered is valid Kubernetes, by the API's own strict schemas, in every version supported here."""

import json
from functools import cache
from importlib.resources import files
from typing import Any

import kubernetes_validate
import kubernetes_validate.utils
import pytest

from components.resources.stack import KUBERNETES_MINOR_MIN
from tests.resources.stacks import OPTIONS, manifest, stack

MINORS = sorted(
    {
        ".".join(path.name.removeprefix("v").split(".")[:2])
        for path in (files("kubernetes_validate") / "kubernetes-json-schema").iterdir()
        if path.name.startswith("v1.") and int(path.name.split(".")[1]) >= KUBERNETES_MINOR_MIN
    }
)
STACKS: list[tuple[str, dict[str, str]]] = [
    *[("prod", {"podMemory": option}) for option in OPTIONS],
    ("prod", {"monitoring__exporter": "true", "replicasPerMaster": "2", "storage__iops": "6000"}),
    ("prod", {"access__allowFromNamespaces": '["web"]', "storage__size": "10GB"}),
    ("local", {}),
]


@pytest.fixture(autouse=True)
def schemas_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The validator reads a version's definitions, some megabytes of JSON, again for each object."""
    monkeypatch.setattr(kubernetes_validate.utils, "schema_contents", _schema_contents)


_schema_contents = cache(kubernetes_validate.utils.schema_contents)


@cache
def kubernetes_objects() -> tuple[dict[str, Any], ...]:
    """Every object of the stacks, but only one of those that differ in nothing but name and labels (claims)."""
    by_shape: dict[str, dict[str, Any]] = {}
    for name, overrides in STACKS:
        for resource in stack(name, **overrides).resources:
            if resource.is_kubernetes:
                rendered = manifest(resource)
                shape = {key: value for key, value in rendered.items() if key != "metadata"}
                by_shape.setdefault(json.dumps(shape, sort_keys=True), rendered)
    return tuple(by_shape.values())


def test_the_validator_carries_the_versions_that_are_supported_here() -> None:
    assert MINORS[0] == f"1.{KUBERNETES_MINOR_MIN}"
    assert len(MINORS) >= 5


@pytest.mark.parametrize("minor", MINORS)
def test_every_rendered_object_passes_the_strict_schema(minor: str) -> None:
    objects = kubernetes_objects()
    for rendered in objects:
        try:
            kubernetes_validate.validate(rendered, minor, strict=True)
        except kubernetes_validate.ValidationError as fault:
            fault.add_note(f"in {rendered['kind']} {rendered['metadata']['name']}")
            raise

    assert len(objects) > 15 * 2


@pytest.mark.parametrize("minor", MINORS)
def test_a_misspelt_field_would_not_pass(minor: str) -> None:
    service = next(item for item in kubernetes_objects() if item["kind"] == "Service")
    misspelt = service | {"spec": service["spec"] | {"prots": []}}

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(misspelt, minor, strict=True)
