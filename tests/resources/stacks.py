"""Evaluated stacks for tests: one evaluation of a config serves every test that looks at it."""

from functools import cache
from typing import Any

from preview.evaluate import Evaluation, evaluate
from preview.resources import Resource


@cache
def stack(name: str = "prod", **overrides: str) -> Evaluation:
    """The evaluated stack; a dot in a key is written as two underscores (`workload__hitRate`)."""
    return evaluate(name, {key.replace("__", "."): value for key, value in overrides.items()})


def of_type(evaluation: Evaluation, suffix: str) -> dict[str, Resource]:
    """Resources whose type ends in `suffix` (`:StatefulSet`), by logical name."""
    return {resource.name: resource for resource in evaluation.resources if resource.type.endswith(suffix)}


def only(evaluation: Evaluation, suffix: str, name: str) -> Resource:
    """The one resource of a type whose logical name ends in `name`."""
    found = [resource for resource in of_type(evaluation, suffix).values() if resource.name.endswith(name)]
    assert len(found) == 1, f"{suffix} {name}: {[resource.name for resource in found]}"
    return found[0]


def manifest(resource: Resource) -> dict[str, Any]:
    """A Kubernetes resource as `kubectl apply` would take it."""
    return {"apiVersion": resource.api_version, "kind": resource.kind, **resource.inputs}


OPTIONS = ("64GB", "128GB")
