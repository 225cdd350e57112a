"""The StatefulSet controller's decisions, as pure functions (kube-controller-manager, stateful_set_control.go)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sandbox.errors import InvalidError
from sandbox.kubernetes.manifests.objects import StatefulSet, StatefulSetSpec

_MUTABLE = frozenset(
    {"replicas", "template", "update_strategy", "persistent_volume_claim_retention_policy", "min_ready_seconds"}
)


@dataclass(frozen=True)
class Replica:
    """One existing pod of the set, as the controller sees it."""

    ordinal: int
    revision: str
    available: bool
    """Ready for at least minReadySeconds, and not terminating."""
    terminating: bool = False
    failed: bool = False


@dataclass(frozen=True)
class Create:
    ordinal: int


@dataclass(frozen=True)
class Delete:
    ordinal: int


Action = Create | Delete


def revision_of(spec: StatefulSetSpec) -> str:
    """Hash of the pod template; equal templates are the same revision."""
    text = json.dumps(spec.template.model_dump(mode="json", by_alias=True, exclude_defaults=True), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def decide(spec: StatefulSetSpec, revision: str, replicas: Sequence[Replica]) -> list[Action]:
    """What to do now; nothing means either done or waiting for a pod. `revision` is that of the spec.

    OrderedReady goes pod by pod; Parallel creates and deletes at once. A rolling update of either kind replaces one
    pod at a time, from the highest ordinal down, and waits for each to be available.
    """
    existing: Mapping[int, Replica] = {replica.ordinal: replica for replica in replicas}
    parallel = spec.pod_management_policy == "Parallel"
    actions: list[Action] = []

    for ordinal in range(spec.replicas):
        replica = existing.get(ordinal)
        if replica is None:
            actions.append(Create(ordinal))
        elif replica.failed and not replica.terminating:
            actions.append(Delete(ordinal))
        elif parallel or replica.available:
            continue
        if not parallel:
            # Also a terminating or unready pod holds up those after it.
            return actions

    for replica in sorted((r for r in replicas if r.ordinal >= spec.replicas), key=lambda r: -r.ordinal):
        if not replica.terminating:
            actions.append(Delete(replica.ordinal))
        if not parallel:
            return actions
    if actions:
        return actions

    for ordinal in reversed(range(spec.replicas)):
        replica = existing[ordinal]
        # A pod of an old revision goes whether it is available or not: so an edit cures what an edit broke.
        if replica.revision != revision and not replica.terminating:
            return [Delete(ordinal)]
        if not replica.available:
            return []
    return []


def is_settled(spec: StatefulSetSpec, revision: str, replicas: Sequence[Replica]) -> bool:
    """What Pulumi waits for: exactly the wanted pods, all available and of the spec's revision."""
    return {replica.ordinal for replica in replicas} == set(range(spec.replicas)) and all(
        replica.available and replica.revision == revision for replica in replicas
    )


def check_update(old: StatefulSet, new: StatefulSet) -> None:
    """Raises InvalidError, in the API server's words, for a change of an immutable field."""
    changed = [name for name in StatefulSetSpec.model_fields if getattr(old.spec, name) != getattr(new.spec, name)]
    forbidden = sorted(StatefulSetSpec.model_fields[name].alias or name for name in set(changed) - _MUTABLE)
    if forbidden:
        raise InvalidError(
            f"StatefulSet {new.metadata.namespace}/{new.metadata.name} is invalid: spec: Forbidden: updates to "
            "statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
            "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden "
            f"(changed: {', '.join(forbidden)})"
        )
