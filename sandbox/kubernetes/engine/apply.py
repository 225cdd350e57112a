"""Brings the cluster to what the program rendered, in the order and with the waits of `pulumi up`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from preview.changes import identity
from preview.resources import Resource
from sandbox.errors import ApplyError, InvalidError, SandboxError
from sandbox.host.images import check_known
from sandbox.kubernetes.cluster import Cluster
from sandbox.kubernetes.controllers import statefulset
from sandbox.kubernetes.controllers.workloads import Workloads
from sandbox.kubernetes.engine.awaiting import ready, wait_conditions
from sandbox.kubernetes.engine.changes import Applied, Changes, Step, Verb, plan_changes
from sandbox.kubernetes.manifests.base import not_enforced
from sandbox.kubernetes.manifests.certificate import Certificate
from sandbox.kubernetes.manifests.network_policy import Namespace, NetworkPolicy
from sandbox.kubernetes.manifests.objects import (
    NOTED,
    CronJob,
    Job,
    KubernetesObject,
    PersistentVolumeClaim,
    StatefulSet,
    decode_object,
)

Progress = Callable[[str], Awaitable[None]]

_DELETE_TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Noted:
    """Something accepted that has no effect here, for `status`."""

    subject: str
    reason: str


class Applier:
    """Holds what was applied last, and applies the next state."""

    def __init__(self, cluster: Cluster, workloads: Workloads) -> None:
        self._cluster = cluster
        self._workloads = workloads
        self._busy = asyncio.Lock()
        self.applied: dict[str, Applied] = {}
        self.to_delete: list[Resource] = []
        """Replaced, and not deleted since because their update failed: the next one deletes them."""

    def noted(self) -> list[Noted]:
        """Everything of the applied resources that has no effect here."""
        found = []
        for item in self.applied.values():
            resource = item.resource
            if not resource.is_kubernetes:
                if resource.provider is not None or resource.inputs:
                    found.append(Noted(f"{resource.type} {resource.name}", "not a Kubernetes object: not run here"))
                continue
            decoded = decode_object(resource)
            if decoded is None:
                found.append(Noted(_label(resource), NOTED[f"{resource.api_version}/{resource.kind}"]))
            else:
                found += [Noted(f"{_label(resource)} {path}", reason) for path, reason in not_enforced(decoded)]
                if any(label.startswith("pod-security.kubernetes.io/") for label in decoded.metadata.labels):
                    found.append(Noted(f"{_label(resource)} metadata.labels.pod-security", "pods are not judged here"))
        return found

    async def apply(self, resources: Sequence[Resource], progress: Progress) -> dict[str, int]:
        """Count of each kind of change. Raises ApplyError naming every resource that failed; what was done stays."""
        if self._busy.locked():
            raise InvalidError("another update is in progress; wait for it to end")
        async with self._busy:
            decoded = {}
            faults = []
            for resource in resources:
                if resource.is_kubernetes:
                    try:
                        item = decoded[resource.urn] = decode_object(resource)
                        if item is not None:
                            _check(resource, item)
                    except SandboxError as error:
                        faults.append(str(error))
            if faults:
                raise InvalidError("nothing was changed:\n" + "\n".join(faults))
            return await _Update(self, decoded, plan_changes(self.applied, resources), progress).run()


def _check(resource: Resource, item: KubernetesObject) -> None:
    """Raises SandboxError for what the object's fields alone do not tell: images and conditions to wait for."""
    wait_conditions(item)
    for container in item.pod_template.spec.containers if item.pod_template is not None else ():
        try:
            check_known(container.image)
        except SandboxError as error:
            raise type(error)(f"{_label(resource)}: container {container.name}: {error}") from None


def _label(resource: Resource) -> str:
    metadata = resource.inputs.get("metadata") or {}
    namespace = metadata.get("namespace")
    name = metadata.get("name", resource.name)
    return f"{resource.kind} {namespace}/{name}" if namespace else f"{resource.kind} {name}"


class _Update:
    """One run of `apply`."""

    def __init__(
        self,
        applier: Applier,
        decoded: Mapping[str, KubernetesObject | None],
        changes: Changes,
        progress: Progress,
    ) -> None:
        self._applier = applier
        self._cluster = applier._cluster
        self._workloads = applier._workloads
        self._decoded = decoded
        self._changes = changes
        self._progress = progress
        self._started = time.monotonic()
        self._done: dict[str, asyncio.Event] = {step.resource.urn: asyncio.Event() for step in changes.steps}
        self._faults: list[str] = []
        self._counts: dict[str, int] = {}

    async def run(self) -> dict[str, int]:
        async with asyncio.TaskGroup() as group:
            for step in self._changes.steps:
                group.create_task(self._when_due(step))
        if not self._faults:
            replaced = set(map(id, self._changes.deletes))
            earlier = [resource for resource in self._applier.to_delete if id(resource) not in replaced]
            for resource in [*self._changes.deletes, *earlier]:
                await self._guard(resource, self._delete(resource))
        if self._faults:
            raise ApplyError("\n".join(self._faults))
        return self._counts

    async def _when_due(self, step: Step) -> None:
        for urn in self._changes.waits[step.resource.urn]:
            await self._done[urn].wait()
        # As Pulumi does: after a failure nothing new starts, what is under way ends.
        if not self._faults:
            await self._guard(step.resource, self._carry_out(step))
        self._done[step.resource.urn].set()

    async def _guard(self, resource: Resource, work: Awaitable[None]) -> None:
        try:
            await work
        except SandboxError as error:
            self._faults.append(f"{_label(resource)}: {error}")
            await self._say(f"{_label(resource)} failed")

    async def _say(self, text: str) -> None:
        await self._progress(f"{time.monotonic() - self._started:6.1f}s  {text}")

    async def _carry_out(self, step: Step) -> None:
        resource = step.resource
        if step.verb in (Verb.NOTE, Verb.SAME):
            self._applier.applied[resource.urn] = Applied(resource)
            return
        began = time.monotonic()
        self._counts[step.verb] = self._counts.get(step.verb, 0) + 1
        if step.verb is Verb.REPLACE and step.deletes_first and step.old is not None:
            await self._delete(step.old)
        item = self._decoded[resource.urn]
        if step.verb is Verb.REPLACE and not step.deletes_first and step.old is not None:
            self._applier.to_delete.append(step.old)
        if step.verb in (Verb.CREATE, Verb.REPLACE):
            # Names are made from content here, so an edit that is taken back meets the object it was to replace.
            for resource in [old for old in self._applier.to_delete if identity(old) == identity(step.resource)]:
                await self._delete(resource)
            self._create(resource, item)
        elif item is not None:
            self._update(item)
        self._applier.applied[resource.urn] = Applied(resource, ready=False)
        self._cluster.touch()
        await self._await(step, item)
        self._applier.applied[resource.urn] = Applied(resource)
        why = f" ({', '.join(step.because[:4])})" if step.because else ""
        await self._say(
            f"{step.verb} {_label(resource)}{why} in {time.monotonic() - began:.1f}s{self._last_word(item)}"
        )

    def _last_word(self, item: KubernetesObject | None) -> str:
        """What a finished Job said at last: the reason to run it."""
        if not isinstance(item, Job):
            return ""
        statuses = [status for pod in self._cluster.owned(item.key) for status in pod.statuses.values()]
        log = [status.log.tail(1) for status in statuses if status.log is not None]
        # Its time stamp says nothing beside the seconds in front.
        return f"\n         {log[-1].partition('Z ')[2] or log[-1]}" if log else ""

    def _create(self, resource: Resource, item: KubernetesObject | None) -> None:
        metadata = resource.inputs.get("metadata") or {}
        if resource.kind == "Namespace":
            self._cluster.namespaces.add(metadata.get("name", resource.name))
        if item is None:
            return
        if item.metadata.namespace not in self._cluster.namespaces:
            known = ", ".join(sorted(self._cluster.namespaces))
            raise InvalidError(f"namespaces {item.metadata.namespace!r} not found; there are: {known}")
        if item.key in self._cluster.objects:
            raise InvalidError(f"{item.kind} {item.metadata.name!r} already exists in {item.metadata.namespace}")
        self._cluster.objects[item.key] = item
        if isinstance(item, PersistentVolumeClaim):
            self._workloads.claim(item.metadata.namespace, item.metadata.name, item.spec)
        self._take_effect(item)

    def _take_effect(self, item: KubernetesObject) -> None:
        self._workloads.refresh_volumes(*item.key)
        if isinstance(item, Namespace | NetworkPolicy):
            self._workloads.network_policies.enforce()
        if isinstance(item, Certificate):
            self._workloads.refresh_volumes(*self._workloads.certificates.issue(item).key)

    def _update(self, item: KubernetesObject) -> None:
        old = self._cluster.objects.get(item.key)
        if isinstance(item, StatefulSet) and isinstance(old, StatefulSet):
            statefulset.check_update(old, item)
        self._cluster.objects[item.key] = item
        self._take_effect(item)

    async def _await(self, step: Step, item: KubernetesObject | None) -> None:
        if item is None or item.metadata.annotations.get("pulumi.com/skipAwait") == "true":
            return
        updated = step.verb is Verb.UPDATE
        await ready(self._cluster, self._workloads, step.resource, item, self._say, updated=updated)

    async def _delete(self, resource: Resource) -> None:
        began = time.monotonic()
        self._applier.to_delete = [old for old in self._applier.to_delete if old is not resource]
        self._counts["delete"] = self._counts.get("delete", 0) + 1
        metadata = resource.inputs.get("metadata") or {}
        name, namespace = metadata.get("name", resource.name), metadata.get("namespace", "default")
        if resource.kind == "Namespace" and resource.is_kubernetes:
            await self._delete_namespace(name)
            self._workloads.network_policies.enforce()
        elif resource.is_kubernetes:
            item = self._cluster.objects.pop((resource.kind, namespace, name), None)
            self._cluster.touch()
            if item is not None:
                await self._deleted(item)
        if self._applier.applied.get(resource.urn, Applied(resource)).resource == resource:
            self._applier.applied.pop(resource.urn, None)
        if resource.is_kubernetes:
            await self._say(f"delete {_label(resource)} in {time.monotonic() - began:.1f}s")

    async def _deleted(self, item: KubernetesObject) -> None:
        """Waits until what the object owned is gone too."""
        if isinstance(item, CronJob):
            self._workloads.batch.delete_cron(item)
        if isinstance(item, NetworkPolicy):
            self._workloads.network_policies.enforce()
        if isinstance(item, PersistentVolumeClaim):
            claim = self._cluster.claims.get((item.metadata.namespace, item.metadata.name))
            if claim is not None:
                self._workloads.delete_claim(claim)
        if not await self._cluster.until(lambda: not self._cluster.owned(item.key), _DELETE_TIMEOUT_S):
            left = ", ".join(pod.name for pod in self._cluster.owned(item.key))
            raise ApplyError(f"pods still terminating after {_DELETE_TIMEOUT_S:.0f} s: {left}")
        if isinstance(item, StatefulSet):
            self._workloads.forget_statefulset(item)
        if isinstance(item, Job):
            self._workloads.batch.delete_job(item)

    async def _delete_namespace(self, name: str) -> None:
        """A namespace takes everything in it along, also claims no resource names, and goes once no pod is left."""
        for item in [item for item in self._cluster.objects.values() if item.metadata.namespace == name]:
            self._cluster.objects.pop(item.key, None)
            self._cluster.touch()
            await self._deleted(item)
        # Such as the last pod of a CronJob: whoever deletes a CronJob does not wait for it.
        if not await self._cluster.until(lambda: not self._cluster.pods_in(name), _DELETE_TIMEOUT_S):
            left = ", ".join(pod.name for pod in self._cluster.pods_in(name))
            raise ApplyError(f"pods still terminating after {_DELETE_TIMEOUT_S:.0f} s: {left}")
        for claim in [claim for claim in self._cluster.claims.values() if claim.namespace == name]:
            self._workloads.delete_claim(claim)
        self._cluster.namespaces.discard(name)
        self._cluster.objects.pop(("Namespace", "default", name), None)
