"""Where a program of this machine stands in the sandbox's network, and so which network policies hold for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from preview.evaluate import Evaluation


@dataclass(frozen=True)
class Place:
    """Where in the sandbox's network a program of this machine stands: as a pod of a namespace, with labels, or in the
    place of a pod that runs. Without either it stands on a node, for which policies do not hold."""

    namespace: str | None = "default"
    labels: Mapping[str, str] = field(default_factory=dict)
    pod: str | None = None


IN_DEFAULT = Place()
ON_A_NODE = Place(None)


def beside(pod: str, namespace: str | None = None) -> Place:
    """In the place of a pod that runs; the namespace need not be named where no other pod has that name."""
    return Place(namespace, pod=pod)


def client_place(evaluation: Evaluation) -> Place:
    """One that the stack's policies let in, as the config names its clients."""
    access = evaluation.settings.access
    if access.allow_from_namespaces:
        return Place(access.allow_from_namespaces[0])
    for selection in access.allow_from_pods:
        namespace, _, labels = selection.partition("/")
        return Place(namespace, dict(label.split("=", 1) for label in labels.split(",")))
    return IN_DEFAULT


def run_options(place: Place) -> str:
    """With which `python -m sandbox run` stands there."""
    labels = ",".join(f"{name}={value}" for name, value in place.labels.items())
    return ("" if place == IN_DEFAULT else f" -n {place.namespace}") + (f" -l {labels}" if labels else "")
