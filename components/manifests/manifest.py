"""What is described: whole objects, as `kubectl apply` would take them, in the order in which they may be made.

Nothing here is registered. `components/resources` goes through the objects from first to last, registers each and puts
real values where a `Ref` stands.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from components.plan.pool_name import digest


@dataclass(frozen=True, slots=True)
class Ref:
    """Stands in an object for a value that nobody knows before another one is made: a name that Pulumi makes up, the
    id of a launch template, a password.

    Names are made up wherever nobody needs to know them: an object whose content may not change in place is then
    replaced by one with another name before the old one goes, and whatever refers to it follows.
    """

    of: str
    """Key of the object, or of something the caller provides."""
    attribute: str = "name"


@dataclass(frozen=True, slots=True)
class Manifest:
    """One Kubernetes object. Its key is unique among its siblings, and ends its logical name in Pulumi."""

    key: str
    body: Mapping[str, Any]
    """apiVersion, kind, metadata and the rest; a `Ref` may stand for any value."""
    after: tuple[str, ...] = ()
    """Keys of what must be there, and ready, before it; beside what it refers to."""
    await_seconds: int | None = None
    """How long Pulumi waits for it to be ready; None: as long as the provider does by itself."""
    ignore_changes: tuple[str, ...] = ()
    """Fields whose difference means nothing."""
    delete_before_replace: bool = False
    """For an object whose name is given and whose content cannot change: two of one name cannot exist at a time."""

    @property
    def kind(self) -> str:
        """Such as StatefulSet."""
        return str(self.body["kind"])


@dataclass(frozen=True, slots=True)
class AwsManifest:
    """One resource of AWS: the inputs of its create call in the names of Pulumi's provider."""

    key: str
    token: str
    """`eks/nodeGroup:NodeGroup`."""
    inputs: Mapping[str, Any]
    after: tuple[str, ...] = ()
    computed: tuple[str, ...] = ()
    """Outputs that other resources refer to."""


def with_values(value: Any, lookup: Callable[[Ref], Any]) -> Any:
    """`value` with what `lookup` gives in place of every `Ref`."""
    if isinstance(value, Ref):
        return lookup(value)
    if isinstance(value, Mapping):
        return {key: with_values(item, lookup) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [with_values(item, lookup) for item in value]
    return value


def refs(value: Any) -> Iterator[Ref]:
    """Every `Ref` in `value`."""
    if isinstance(value, Ref):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from refs(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from refs(item)


def applicable(manifests: tuple[Manifest, ...], prefix: str, given: Mapping[Ref, str]) -> list[dict[str, Any]]:
    """The objects as `kubectl apply` takes them, with a name from their content where Pulumi would make one up.

    `given` has the values that no object of these has.
    """
    named: dict[Ref, str] = dict(given)
    made: list[dict[str, Any]] = []
    for manifest in manifests:
        body = with_values(manifest.body, named.__getitem__)
        metadata = body["metadata"]
        name = metadata.get("name") or f"{prefix}-{manifest.key}-{digest(str(body))}"
        made.append(body | {"metadata": {"name": name, **metadata}})
        named[Ref(manifest.key)] = name
    return made


def kubernetes_object(
    api_version: str,
    kind: str,
    *,
    name: str | None = None,
    namespace: str | Ref | None = None,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    **rest: Any,
) -> dict[str, Any]:
    """A whole object; without a name Pulumi makes one up. Every object carries the label of this project."""
    metadata: dict[str, Any] = {
        "labels": {**PART_OF, **(labels or {})},
        "annotations": {**_TAKE_BACK, **(annotations or {})},
    }
    if name is not None:
        metadata["name"] = name
    if namespace is not None:
        metadata["namespace"] = namespace
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **rest}


def made_after(manifest: Manifest, *keys: str) -> Manifest:
    """The same object, to be made after these as well."""
    return replace(manifest, after=(*manifest.after, *keys))


PART_OF = {"app.kubernetes.io/part-of": "redis-image-cache"}
"""Label of every object; network policies know the pools' namespaces by it."""
_TAKE_BACK = {"pulumi.com/patchForce": "true"}
"""A field that a hand has changed, as with `kubectl scale`, belongs to that hand until somebody takes it back. Without
this annotation an update fails with a conflict, and goes on failing. The provider has a setting of that meaning, which
not every version of it knows (docs/reference/engine.md)."""
