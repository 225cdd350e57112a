"""A StatefulSet and its pods as the API server tells of them, reduced to what decides about a rollout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

REVISION_LABEL = "controller-revision-hash"


@dataclass(frozen=True)
class StatefulSet:
    """What is wanted of the set, and what its controller has counted."""

    name: str
    selector: Mapping[str, str]
    wanted: int
    generation: int
    """Grows with every edit."""
    observed_generation: int
    """Of the edit whose counts these are: while it is smaller, the counts are those of before the edit."""
    replicas: int
    updated: int
    available: int
    update_revision: str
    """What pods of the edited template carry in their label."""


@dataclass(frozen=True)
class Pod:
    """One pod of the set, and what it waits for or why it ended last, if anything."""

    name: str
    uid: str
    revision: str
    is_ready: bool
    is_ending: bool
    """Deleted, and not gone yet."""
    unschedulable: str = ""
    """Why no node takes it."""
    waiting_reason: str = ""
    """Of its first container that does not run: ErrImagePull, CrashLoopBackOff, …"""
    waiting_message: str = ""
    restarts: int = 0
    last_end: str = ""
    """How its container ended last, with its last words."""


def read_stateful_set(body: Mapping[str, Any]) -> StatefulSet:
    """From the API server's JSON; counts that are 0 are left out there."""
    spec, status = body["spec"], body.get("status", {})
    return StatefulSet(
        name=body["metadata"]["name"],
        selector=spec["selector"]["matchLabels"],
        wanted=spec.get("replicas", 1),
        generation=body["metadata"].get("generation", 0),
        observed_generation=status.get("observedGeneration", 0),
        replicas=status.get("replicas", 0),
        updated=status.get("updatedReplicas", 0),
        available=status.get("availableReplicas", 0),
        update_revision=status.get("updateRevision", ""),
    )


def read_pod(body: Mapping[str, Any]) -> Pod:
    """From the API server's JSON."""
    metadata, status = body["metadata"], body.get("status", {})
    conditions = {item["type"]: item for item in status.get("conditions", ())}
    scheduled = conditions.get("PodScheduled", {})
    containers = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
    states: list[Mapping[str, Any]] = [container.get("state", {}) for container in containers]
    waiting: Mapping[str, Any] = next((state["waiting"] for state in states if "waiting" in state), {})
    return Pod(
        name=metadata["name"],
        uid=metadata.get("uid", ""),
        revision=metadata.get("labels", {}).get(REVISION_LABEL, ""),
        is_ready=conditions.get("Ready", {}).get("status") == "True",
        is_ending="deletionTimestamp" in metadata,
        unschedulable=scheduled.get("message", "") if scheduled.get("status") == "False" else "",
        waiting_reason=waiting.get("reason", ""),
        waiting_message=waiting.get("message", ""),
        restarts=sum(item.get("restartCount", 0) for item in containers),
        last_end=_last_end(containers),
    )


def _last_end(containers: list[Mapping[str, Any]]) -> str:
    for container in containers:
        ended = container.get("state", {}).get("terminated") or container.get("lastState", {}).get("terminated")
        if ended is not None and ended.get("exitCode", 0) != 0:
            words = " ".join(str(ended.get("message", "")).split())
            end = f"{ended.get('reason', 'Error')}, exit status {ended['exitCode']}"
            return f"{end}: {words}" if words else end
    return ""
