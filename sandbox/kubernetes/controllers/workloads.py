"""Carries out what the controllers decide: creates, places and deletes pods and claims."""

from __future__ import annotations

from sandbox.host.volumes import Claim, mounted
from sandbox.kubernetes.cluster import Cluster, Pod
from sandbox.kubernetes.controllers import scheduler, statefulset
from sandbox.kubernetes.controllers.batch import Batch
from sandbox.kubernetes.kubelet.worker import Node, PodWorker
from sandbox.kubernetes.manifests.objects import PersistentVolumeClaim, StatefulSet
from sandbox.kubernetes.manifests.pod import PodTemplate

_TICK_S = 1.0

Owner = tuple[str, str, str]


class Workloads:
    """The controller manager: one loop that runs every controller whenever anything changed, and once a second."""

    def __init__(self, cluster: Cluster, node: Node) -> None:
        self._cluster = cluster
        self._node = node
        self.workers: dict[str, PodWorker] = {}
        self.revisions: dict[Owner, str] = {}
        """StatefulSet -> revision all its pods last agreed on."""
        self._templates: dict[tuple[Owner, str], PodTemplate] = {}
        self.batch = Batch(cluster, self._add_pod, self.delete_pod)

    async def run(self) -> None:
        """Runs for ever."""
        while True:
            try:
                self.step()
            except Exception:
                # A controller goes on after a fault; whoever waits for it is told.
                self._cluster.broken("the controllers")
            await self._cluster.changed(_TICK_S)

    def step(self) -> None:
        for pod in list(self._cluster.pods.values()):
            if pod.lost_at is not None and pod.refresh_ready():
                self._cluster.event(pod.subject, "NodeNotReady", "the machine of this pod does not answer")
                self._cluster.touch()
        for item in self._cluster.all(StatefulSet):
            self._step_statefulset(item)
        self.batch.step()
        self._collect_garbage()
        self._schedule()

    # Pods

    def _add_pod(self, pod: Pod) -> None:
        self._cluster.pods[pod.key] = pod
        self._cluster.event(pod.subject, "Created", f"by {pod.owner[0]} {pod.owner[2]}")
        self._cluster.touch()

    def delete_pod(self, pod: Pod, grace_s: float | None = None) -> None:
        """Graceful unless `grace_s` is 0. A pod that was never placed goes at once."""
        worker = self.workers.get(pod.uid)
        if worker is None:
            self._cluster.pods.pop(pod.key, None)
            self._cluster.touch()
        else:
            if not pod.deleting:
                self._cluster.event(pod.subject, "Killing", "deleted")
            worker.delete(grace_s)

    def _schedule(self) -> None:
        for uid in [uid for uid in self.workers if all(pod.uid != uid for pod in self._cluster.pods.values())]:
            del self.workers[uid]
        views = [self._cluster.placed_view(pod) for pod in self._cluster.pods.values() if not pod.finished]
        for pod in list(self._cluster.pods.values()):
            if pod.node is not None or pod.deleting:
                continue
            missing = self._missing_claims(pod)
            if missing:
                self._pending(pod, f"persistentvolumeclaim {missing[0]!r} not found")
                continue
            placement = scheduler.place(self._cluster.placed_view(pod), list(self._cluster.nodes.values()), views)
            if placement.node is None:
                self._pending(pod, placement.message)
                continue
            pod.node, pod.reason, pod.message = placement.node, "", ""
            zone = self._cluster.nodes[placement.node].zone
            for claim in pod.claims.values():
                claim.zone = claim.zone or zone
            views = [view for view in views if (view.namespace, view.name) != pod.key]
            views.append(self._cluster.placed_view(pod))
            self._cluster.event(pod.subject, "Scheduled", f"to {placement.node}")
            self.workers[pod.uid] = PodWorker(pod, self._node)

    def _pending(self, pod: Pod, message: str) -> None:
        if pod.message != message:
            pod.reason, pod.message = "Unschedulable", message
            self._cluster.event(pod.subject, "FailedScheduling", message)
            self._cluster.touch()

    def _missing_claims(self, pod: Pod) -> list[str]:
        missing = []
        for volume in pod.spec.volumes:
            if volume.persistent_volume_claim is not None and volume.name not in pod.claims:
                claim = self._cluster.claims.get((pod.namespace, volume.persistent_volume_claim.claim_name))
                if claim is None:
                    missing.append(volume.persistent_volume_claim.claim_name)
                else:
                    pod.claims[volume.name] = claim
        return missing

    def _collect_garbage(self) -> None:
        """Pods whose controller is gone, and claims nobody may keep, go."""
        for pod in list(self._cluster.pods.values()):
            if pod.owner not in self._cluster.objects and not pod.deleting:
                self.delete_pod(pod)

    # StatefulSets

    def replicas(self, item: StatefulSet) -> list[statefulset.Replica]:
        return [
            statefulset.Replica(
                pod.ordinal,
                pod.revision,
                pod.is_available(item.spec.min_ready_seconds),
                pod.deleting,
                pod.finished,
            )
            for pod in self._cluster.owned(item.key)
        ]

    def is_settled(self, item: StatefulSet) -> bool:
        return statefulset.is_settled(item.spec, statefulset.revision_of(item.spec), self.replicas(item))

    def status_of(self, item: StatefulSet) -> dict[str, int]:
        """The counts of a StatefulSet's `status`, by their names there."""
        update = statefulset.revision_of(item.spec)
        pods = self._cluster.owned(item.key)
        return {
            "replicas": len(pods),
            "readyReplicas": sum(pod.ready and not pod.deleting for pod in pods),
            "availableReplicas": sum(pod.is_available(item.spec.min_ready_seconds) for pod in pods),
            "updatedReplicas": sum(pod.revision == update and not pod.deleting for pod in pods),
        }

    def _step_statefulset(self, item: StatefulSet) -> None:
        update = statefulset.revision_of(item.spec)
        self._templates[item.key, update] = item.spec.template
        current = self.revisions.setdefault(item.key, update)
        replicas = self.replicas(item)
        for action in statefulset.decide(item.spec, current, update, replicas):
            if isinstance(action, statefulset.Create):
                self._create_replica(item, action)
            else:
                pod = next(pod for pod in self._cluster.owned(item.key) if pod.ordinal == action.ordinal)
                self.delete_pod(pod)
        self._apply_scale_retention(item)
        if all(replica.revision == update for replica in replicas) and self.is_settled(item):
            self.revisions[item.key] = update

    def _create_replica(self, item: StatefulSet, action: statefulset.Create) -> None:
        name = f"{item.metadata.name}-{action.ordinal}"
        template = self._templates[item.key, action.revision]
        claims = {}
        for claim_template in item.spec.volume_claim_templates:
            key = (item.metadata.namespace, f"{claim_template.metadata.name}-{name}")
            if key not in self._cluster.claims:
                labels = {**item.spec.selector.match_labels, **claim_template.metadata.labels}
                self._cluster.claims[key] = Claim(key[1], key[0], claim_template.spec, labels)
            claims[claim_template.metadata.name] = self._cluster.claims[key]
        spec = template.spec.model_copy(
            update={"hostname": name, "subdomain": template.spec.subdomain or item.spec.service_name or None}
        )
        self._add_pod(
            Pod(
                name=name,
                namespace=item.metadata.namespace,
                spec=spec,
                labels={
                    **template.metadata.labels,
                    "statefulset.kubernetes.io/pod-name": name,
                    "apps.kubernetes.io/pod-index": str(action.ordinal),
                    "controller-revision-hash": f"{item.metadata.name}-{action.revision}",
                },
                annotations=dict(template.metadata.annotations),
                owner=item.key,
                revision=action.revision,
                ordinal=action.ordinal,
                claims=claims,
            )
        )

    def _apply_scale_retention(self, item: StatefulSet) -> None:
        if item.spec.persistent_volume_claim_retention_policy.when_scaled == "Delete":
            start = item.spec.ordinals.start
            self._delete_claims(item, keep=set(range(start, start + item.spec.replicas)))

    def _delete_claims(self, item: StatefulSet, keep: set[int]) -> None:
        """Claims of ordinals not in `keep`, once no pod uses them."""
        used = {claim.key for pod in self._cluster.pods.values() for claim in pod.claims.values()}
        prefixes = [f"{template.metadata.name}-{item.metadata.name}-" for template in item.spec.volume_claim_templates]
        for key, claim in list(self._cluster.claims.items()):
            for prefix in prefixes:
                ordinal = key[1].removeprefix(prefix)
                if (
                    key[0] == item.metadata.namespace
                    and ordinal.isdigit()
                    and int(ordinal) not in keep
                    and key not in used
                ):
                    self.delete_claim(claim)

    def delete_claim(self, claim: Claim) -> None:
        self._cluster.claims.pop(claim.key, None)
        self._node.volumes.delete_claim(claim)
        self._cluster.touch()

    def forget_statefulset(self, item: StatefulSet) -> None:
        """Once the object and its pods are gone: applies the claims' whenDeleted policy."""
        if item.spec.persistent_volume_claim_retention_policy.when_deleted == "Delete":
            self._delete_claims(item, keep=set())
        self.revisions.pop(item.key, None)

    def refresh_volumes(self, kind: str, namespace: str, name: str) -> None:
        """A ConfigMap or Secret has new contents: pods that mount it see them."""
        for pod in self._cluster.pods.values():
            if pod.namespace == namespace and (kind, name) in mounted(pod.spec) and pod.uid in self.workers:
                self.workers[pod.uid].refresh_volumes()

    def add_claim(self, item: PersistentVolumeClaim) -> None:
        key = (item.metadata.namespace, item.metadata.name)
        self._cluster.claims.setdefault(key, Claim(key[1], key[0], item.spec, item.metadata.labels))
