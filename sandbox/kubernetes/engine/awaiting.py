"""When Pulumi counts an object as ready, and what it says when that does not come."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Awaitable, Callable, Mapping

from preview.resources import Resource
from sandbox.errors import ApplyError, InvalidError
from sandbox.kubernetes.cluster import Cluster
from sandbox.kubernetes.controllers.workloads import Workloads
from sandbox.kubernetes.manifests.certificate import Certificate
from sandbox.kubernetes.manifests.objects import Job, KubernetesObject, StatefulSet

Progress = Callable[[str], Awaitable[None]]

_TIMEOUT_S: Mapping[str, float] = {"StatefulSet": 300.0, "Job": 600.0}
"""The provider's default waits (pulumi-kubernetes 4); the annotation pulumi.com/timeoutSeconds replaces them."""
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|m|s|ms)")
_UNIT_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}

_LINES_SHOWN = 20


def await_timeout_s(resource: Resource) -> float:
    """customTimeouts.create over the annotation pulumi.com/timeoutSeconds over the provider's default."""
    custom = str((resource.options.get("customTimeouts") or {}).get("create", ""))
    if custom:
        parts = _DURATION.findall(custom)
        if not parts or "".join(number + unit for number, unit in parts) != custom:
            raise InvalidError(f"customTimeouts.create is {custom!r}; give a duration such as 90s, 10m or 1h30m")
        return sum(float(number) * _UNIT_S[unit] for number, unit in parts)
    annotations = (resource.inputs.get("metadata") or {}).get("annotations") or {}
    return float(annotations.get("pulumi.com/timeoutSeconds", _TIMEOUT_S.get(resource.kind, 0.0)))


WAIT_FOR = "pulumi.com/waitFor"
_STATUS_PATH = re.compile(r"jsonpath=\{\.status\.(replicas|readyReplicas|availableReplicas|updatedReplicas)\}=(\d+)")


async def ready(
    cluster: Cluster, workloads: Workloads, resource: Resource, item: KubernetesObject, say: Progress, *, updated: bool
) -> None:
    """Returns when the provider goes on to the next step; `updated` says that the object was there before.

    Raises ApplyError, saying what is missing.
    """
    timeout_s = await_timeout_s(resource)
    if isinstance(item, StatefulSet):
        conditions = wait_conditions(item)
        if updated and not conditions and _looks_ready(cluster, item):
            return
        await _statefulset(cluster, workloads, item, conditions, timeout_s, say)
    elif isinstance(item, Job):
        await _job(cluster, workloads, item, timeout_s, say)


def wait_conditions(item: KubernetesObject) -> dict[str, int]:
    """Status field -> wanted count, of the annotation pulumi.com/waitFor: one condition, or a JSON list of them.

    Raises InvalidError for what the sandbox cannot wait for.
    """
    text = item.metadata.annotations.get(WAIT_FOR)
    if text is None or (isinstance(item, Certificate) and text == "condition=Ready"):
        # The sandbox signs at once.
        return {}
    try:
        parts = json.loads(text) if text[:1] == "[" else [text]
    except ValueError:
        parts = []
    found = [_STATUS_PATH.fullmatch(str(part)) for part in parts]
    if not found or not all(found) or not isinstance(item, StatefulSet):
        raise InvalidError(
            f"annotation {WAIT_FOR} is {text!r}; the sandbox waits for counts of a StatefulSet's status alone, such as "
            "jsonpath={.status.availableReplicas}=3"
        )
    return {match[1]: int(match[2]) for match in found if match}


def _looks_ready(cluster: Cluster, item: StatefulSet) -> bool:
    """What the provider sees of an edit: it reads the status before the controller has written a new one, so pods that
    were ready before the edit count, whatever revision they run (pulumi-kubernetes #3329)."""
    return sum(pod.ready for pod in cluster.owned(item.key)) == item.spec.replicas


async def _statefulset(
    cluster: Cluster,
    workloads: Workloads,
    item: StatefulSet,
    conditions: Mapping[str, int],
    timeout_s: float,
    say: Progress,
) -> None:
    shown = ""
    deadline = time.monotonic() + timeout_s
    while not _is_there(workloads, item, conditions):
        counts = workloads.status_of(item)
        text = f"waiting for StatefulSet {item.metadata.name}: " + (
            ", ".join(f"{field} {counts[field]}/{wanted}" for field, wanted in conditions.items())
            or f"{counts['readyReplicas']}/{item.spec.replicas} pods ready"
        )
        held = [f"{pod.name} {pod.waiting.reason}" for pod in cluster.owned(item.key) if pod.waiting is not None]
        text += f" ({', '.join(held)})" if held else ""
        if text != shown:
            shown = text
            await say(text)
        if time.monotonic() >= deadline:
            left = _explain(cluster, item)
            raise ApplyError(f"not all pods were ready and current within {timeout_s:.0f} s:\n{left}")
        _stop_on_fault(cluster)
        await cluster.changed(1.0)


def _is_there(workloads: Workloads, item: StatefulSet, conditions: Mapping[str, int]) -> bool:
    if not conditions:
        return workloads.is_settled(item)
    counts = workloads.status_of(item)
    return all(counts[field] == wanted for field, wanted in conditions.items())


def _stop_on_fault(cluster: Cluster) -> None:
    if cluster.fault:
        raise ApplyError(cluster.fault)


async def _job(cluster: Cluster, workloads: Workloads, item: Job, timeout_s: float, say: Progress) -> None:
    await say(f"waiting for Job {item.metadata.name}")

    def condition() -> str:
        status = workloads.batch.jobs.get(item.key)
        return status.condition if status else ""

    def is_gone() -> bool:
        return item.key not in cluster.objects

    await cluster.until(lambda: bool(condition() or cluster.fault or is_gone()), timeout_s)
    _stop_on_fault(cluster)
    if is_gone():
        raise ApplyError("somebody has deleted it")
    status = workloads.batch.jobs.get(item.key)
    if status is None or not status.condition:
        raise ApplyError(f"not complete within {timeout_s:.0f} s:\n{_explain(cluster, item)}")
    if status.condition == "Failed":
        tail = "\n".join(status.last_log.splitlines()[-_LINES_SHOWN:]) or "(it wrote nothing)"
        raise ApplyError(f"{status.reason} after {status.failures} failures; its last output:\n{tail}")


def _explain(cluster: Cluster, item: KubernetesObject) -> str:
    """One line per pod that is not ready: what it waits for, or its state and the latest event about it."""
    lines = []
    for pod in cluster.owned(item.key):
        if pod.ready and not pod.deleting:
            continue
        if pod.waiting is not None:
            waiting = pod.waiting
            lines.append(f"  {pod.name}: container {waiting.spec.name}: {waiting.reason}: {waiting.message}")
            continue
        states = [f"{s.spec.name} {s.state} {s.reason} {s.message}".strip() for s in pod.statuses.values()]
        events = [event for event in cluster.events if event.subject == pod.subject]
        latest = f"; last event: {events[-1].reason}: {events[-1].message}" if events else ""
        lines.append(f"  {pod.name}: {pod.phase} {pod.message or ', '.join(states)}{latest}")
    return "\n".join(lines) or "  no pod was created"
