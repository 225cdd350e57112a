"""Wire: from described objects to registered ones. The only place where a `Ref` becomes an `Output`."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

from components.manifests.manifest import AwsManifest, Manifest, Ref, with_values
from components.plan.pool_name import shortened
from components.resources.sdk import AwsResource, KubernetesObject

_NAME_LENGTH_MAX = {
    "Job": 63 - len("-01234567"),
    "NodeGroup": 63 - len("-0123456"),
    "Role": 64 - len("-0123456"),
}
"""What Kubernetes, EKS and IAM take, less the end that Pulumi's providers add."""


def register_all(
    name: str,
    manifests: Sequence[Manifest],
    given: Mapping[Ref, pulumi.Input[Any]],
    ready: Mapping[str, Sequence[pulumi.Resource]],
    child: pulumi.ResourceOptions,
) -> dict[str, KubernetesObject]:
    """Registers objects from first to last: key -> object. Each is called by `name` and its key.

    `given` has the values of references to what is made elsewhere, `ready` the resources that a key of another kind
    in `after` stands for.
    """
    made: dict[str, KubernetesObject] = {}

    def lookup(ref: Ref) -> pulumi.Input[Any]:
        return given[ref] if ref in given else made[ref.of].name

    for manifest in manifests:
        made[manifest.key] = KubernetesObject(
            logical_name(f"{name}-{manifest.key}", manifest.kind),
            with_values(manifest.body, lookup),
            pulumi.ResourceOptions.merge(child, _options(manifest, made, ready)),
        )
    return made


def register_aws(
    name: str,
    manifests: Sequence[AwsManifest],
    given: Mapping[Ref, pulumi.Input[Any]],
    child: pulumi.ResourceOptions,
) -> dict[str, AwsResource]:
    """The same for resources of AWS."""
    made: dict[str, AwsResource] = {}

    def lookup(ref: Ref) -> pulumi.Input[Any]:
        if ref in given:
            return given[ref]
        return made[ref.of].id if ref.attribute == "id" else made[ref.of].computed(ref.attribute).apply(_as_text)

    for manifest in manifests:
        made[manifest.key] = AwsResource(
            manifest.token,
            logical_name(f"{name}-{manifest.key}", manifest.token.rpartition(":")[2]),
            with_values(manifest.inputs, lookup),
            pulumi.ResourceOptions.merge(
                child, pulumi.ResourceOptions(depends_on=[made[key] for key in manifest.after])
            ),
            computed=manifest.computed,
        )
    return made


def logical_name(name: str, kind: str) -> str:
    """A name that stays short enough with the end that Pulumi adds to it; `kind` is Job, NodeGroup, Role, ….

    A Job's name stands in a label of its pods. Most other objects of Kubernetes may have 253 characters.
    """
    longest = _NAME_LENGTH_MAX.get(kind)
    return name if longest is None else shortened(name, longest)


def _as_text(value: Any) -> Any:
    """Numbers come as floats over Pulumi's wire, and AWS wants the version 1, not 1.0."""
    return str(int(value)) if isinstance(value, float | int) else value


def _options(
    manifest: Manifest, made: Mapping[str, KubernetesObject], ready: Mapping[str, Sequence[pulumi.Resource]]
) -> pulumi.ResourceOptions:
    timeouts = None
    if manifest.await_seconds is not None:
        timeouts = pulumi.CustomTimeouts(create=f"{manifest.await_seconds}s", update=f"{manifest.await_seconds}s")
    before: list[pulumi.Resource] = []
    for key in manifest.after:
        before += ready[key] if key in ready else [made[key]]
    return pulumi.ResourceOptions(
        depends_on=before or None,
        custom_timeouts=timeouts,
        ignore_changes=list(manifest.ignore_changes) or None,
        delete_before_replace=manifest.delete_before_replace or None,
    )
