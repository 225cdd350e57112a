"""Whether a rollout is over, goes on, or is held up for good. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reconciler.rollout.state import Pod, StatefulSet

_IMAGE = {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "RegistryUnavailable"}
_CONFIGURATION = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
_IMAGE_PATIENCE_S = 60.0
"""A registry that is asked again after a hiccup has answered by then."""
_CONFIGURATION_PATIENCE_S = 60.0
_REFUSED_PATIENCE_S = 60.0
"""Kubernetes has asked again several times by then."""
_MISSING_PATIENCE_S = 120.0
_UNSCHEDULABLE_PATIENCE_S = 300.0
"""A node that an autoscaler adds for a new pod joins within minutes."""
_REPLACED_UNSCHEDULABLE_PATIENCE_S = 100.0
"""A pod that is replaced had a place, which is free now. When no node takes the new one, it asks for more or for
another node, and waiting brings none."""
_CRASHES_MAX = 3
"""A container that ended so often with an error does not begin to work at the next try."""
_ENDING_MARGIN_S = 120.0
_TEXT_BYTES_MAX = 600
"""Kubernetes keeps the last 2,048 bytes of a failed pod's log as its message, which is what Pulumi shows: a long reason
must not push the pod's name out of it."""


@dataclass(frozen=True)
class Limits:
    """What one pod may take, from the plan. Seconds."""

    pod_seconds: float
    """From its start until it is ready: its data copied, under load."""
    grace_seconds: float
    """From its deletion until it is gone."""


@dataclass(frozen=True)
class Verdict:
    """Done: `text` says what was reached. Stuck: the pod, its reason and what to do. Neither: what is waited for."""

    text: str
    is_done: bool = False
    is_stuck: bool = False


def trouble(found: StatefulSet, pod: Pod) -> str:
    """A word for what keeps the pod from being done; empty when it is. The same word means the same trouble still."""
    if pod.is_missing:
        return "refused" if pod.warning else "missing"
    if pod.is_ending:
        return "ending"
    if pod.revision != found.update_revision:
        return ""  # The controller comes to it.
    if pod.waiting_reason in _IMAGE:
        return "image"
    if pod.waiting_reason in _CONFIGURATION:
        return "configuration"
    if pod.unschedulable:
        return "unschedulable"
    return "" if pod.is_ready else "not ready"


def judge(found: StatefulSet, pods: Sequence[Pod], since_s: Mapping[str, float], limits: Limits) -> Verdict:
    """`since_s`: pod name -> seconds for which its present trouble has lasted."""
    if found.observed_generation < found.generation:
        return Verdict(f"{found.name}: its controller has not seen the edit yet")
    if found.replicas == found.updated == found.available == found.wanted:
        return Verdict(f"{found.name}: all {found.wanted} pods run the wanted revision", is_done=True)
    held_up = ""
    for pod in sorted(pods, key=lambda pod: pod.name):
        what = trouble(found, pod)
        if not what:
            continue
        reason = _held_up_for_good(found, pod, what, since_s.get(pod.name, 0.0), limits)
        if reason:
            missing = sum(pod.is_missing for pod in pods)
            return Verdict(_advice(found, pod, reason, found.wanted - found.updated - missing), is_stuck=True)
        held_up = held_up or f"; {pod.name}: {_description(pod, what)} since {since_s.get(pod.name, 0.0):.0f} s"
    return Verdict(f"{found.name}: {found.updated} of {found.wanted} pods run the wanted revision{held_up}")


def _held_up_for_good(found: StatefulSet, pod: Pod, what: str, seconds: float, limits: Limits) -> str:
    """Why it is of no use to wait on; empty while it is of use."""
    if pod.restarts >= _CRASHES_MAX and not pod.is_ready and pod.revision == found.update_revision:
        return f"its container ended {pod.restarts} times with an error ({_short(pod.last_end or pod.waiting_message)})"
    patience = {
        "image": 0.0 if pod.waiting_reason == "InvalidImageName" else _IMAGE_PATIENCE_S,
        "configuration": _CONFIGURATION_PATIENCE_S,
        "refused": _REFUSED_PATIENCE_S,
        "missing": _MISSING_PATIENCE_S,
        "unschedulable": _UNSCHEDULABLE_PATIENCE_S
        if found.current_revision == found.update_revision
        else _REPLACED_UNSCHEDULABLE_PATIENCE_S,
        "ending": limits.grace_seconds + _ENDING_MARGIN_S,
        "not ready": limits.pod_seconds,
    }[what]
    return _description(pod, what) if seconds >= patience else ""


def _description(pod: Pod, what: str) -> str:
    why_not_ready = _short(pod.last_end or pod.warning)
    return {
        "refused": f"Kubernetes refuses to make it ({_short(pod.warning)})",
        "missing": "Kubernetes has not made it",
        "image": f"its image cannot be pulled ({pod.waiting_reason}: {_short(pod.waiting_message)})",
        "configuration": f"its container cannot be made ({pod.waiting_reason}: {_short(pod.waiting_message)})",
        "unschedulable": f"no node takes it ({_short(pod.unschedulable)})",
        "ending": "it is being deleted and does not go",
        "not ready": f"it is not ready ({why_not_ready})" if why_not_ready else "it is not ready",
    }[what]


_REMEDY = {
    "refused": "Raise that limit, or correct what it refuses",
    "missing": "Look at the StatefulSet's events (kubectl describe statefulset)",
    "image": "Correct images.redis (or images.exporter), or let the nodes read that registry",
    "configuration": "If an object was changed by hand, `pulumi refresh` finds that out",
    "unschedulable": "Look at the nodes (kubectl get nodes) and at what the config asks of them",
    "ending": "Look at its node (kubectl get nodes): a node that is gone keeps its pods until it is deleted",
    "not ready": "Look at its log (kubectl logs)",
}
_REMEDY_OF_CRASHES = "Correct what its last words name (kubectl logs --previous has them all)"
_REMEDY_OF_MEMORY = "It needs more memory than podMemory gives it: take a larger podMemory"


def _advice(found: StatefulSet, pod: Pod, reason: str, untouched: int) -> str:
    return (
        f"{pod.name} holds up the rollout of {found.name}: {reason}. {untouched} of {found.wanted} pods were not "
        f"touched and serve. {_remedy(found, pod)}, then run `pulumi up` again: the rollout goes on from there."
    )


def _remedy(found: StatefulSet, pod: Pod) -> str:
    what = trouble(found, pod)
    if what == "not ready" and pod.restarts >= _CRASHES_MAX:
        return _REMEDY_OF_MEMORY if "OOMKilled" in pod.last_end else _REMEDY_OF_CRASHES
    return _REMEDY[what]


def _short(text: str) -> str:
    """On one line, and not longer than leaves room for the rest."""
    line = " ".join(text.split()).encode()
    return line.decode() if len(line) <= _TEXT_BYTES_MAX else line[:_TEXT_BYTES_MAX].decode(errors="ignore") + "…"
