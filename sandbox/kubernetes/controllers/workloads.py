"""Carries out what the controllers decide: creates, places and deletes pods and claims."""

from __future__ import annotations

from sandbox.host.firewall import Firewall
from sandbox.kubernetes.cluster import Cluster
from sandbox.kubernetes.controllers import statefulset
from sandbox.kubernetes.controllers.batch import Batch
from sandbox.kubernetes.controllers.certificates import Certificates
from sandbox.kubernetes.controllers.network_policies import NetworkPolicies
from sandbox.kubernetes.controllers.placement import place_pods
from sandbox.kubernetes.kubelet.volumes import shows
from sandbox.kubernetes.kubelet.worker import Kubelet, PodWorker
from sandbox.kubernetes.manifests.objects import StatefulSet
from sandbox.kubernetes.manifests.storage import ClaimSpec
from sandbox.kubernetes.pods import Claim, Pod

_TICK_S = 1.0


class Workloads:
    """The controller manager: one loop that runs every controller whenever anything changed, and once a second."""

    def __init__(self, cluster: Cluster, kubelet: Kubelet, firewall: Firewall) -> None:
        self._cluster = cluster
        self._kubelet = kubelet
        self.workers: dict[str, PodWorker] = {}
        self._observed: dict[tuple[str, str, str], tuple[int, StatefulSet]] = {}
        """StatefulSet -> how many edits of it the controller has seen, and the last of them."""
        self.certificates = Certificates(cluster)
        self.network_policies = NetworkPolicies(cluster, firewall)
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
        alive = {pod.uid for pod in self._cluster.pods.values()}
        self.workers = {uid: worker for uid, worker in self.workers.items() if uid in alive}
        place_pods(self._cluster, self._start)

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

    def _start(self, pod: Pod) -> None:
        self.workers[pod.uid] = PodWorker(pod, self._kubelet)

    def _collect_garbage(self) -> None:
        """Pods whose controller is gone, and claims nobody may keep, go."""
        for pod in list(self._cluster.pods.values()):
            if pod.owner not in self._cluster.objects and not pod.deleting:
                self.delete_pod(pod)

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

    def generations(self, item: StatefulSet) -> tuple[int, int]:
        """How often the object was edited, and how many of these edits the controller has seen."""
        seen, last = self._observed.get(item.key, (0, None))
        return seen + (last is not item), seen

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
        self._observed[item.key] = (self.generations(item)[0], item)
        revision = statefulset.revision_of(item.spec)
        for action in statefulset.decide(item.spec, revision, self.replicas(item)):
            if isinstance(action, statefulset.Create):
                self._create_replica(item, action.ordinal, revision)
            else:
                self.delete_pod(next(pod for pod in self._cluster.owned(item.key) if pod.ordinal == action.ordinal))
        if item.spec.persistent_volume_claim_retention_policy.when_scaled == "Delete":
            self._delete_claims(item, from_ordinal=item.spec.replicas)

    def _create_replica(self, item: StatefulSet, ordinal: int, revision: str) -> None:
        name, template = f"{item.metadata.name}-{ordinal}", item.spec.template
        claims = {
            claim.metadata.name: self.claim(item.metadata.namespace, f"{claim.metadata.name}-{name}", claim.spec)
            for claim in item.spec.volume_claim_templates
        }
        labels = {
            "statefulset.kubernetes.io/pod-name": name,
            "apps.kubernetes.io/pod-index": str(ordinal),
            "controller-revision-hash": f"{item.metadata.name}-{revision}",
        }
        self._add_pod(
            Pod(
                name=name,
                namespace=item.metadata.namespace,
                spec=template.spec,
                labels=template.metadata.labels | labels,
                owner=item.key,
                annotations=template.metadata.annotations,
                revision=revision,
                ordinal=ordinal,
                claims=claims,
                subdomain=item.spec.service_name,
            )
        )

    def claim(self, namespace: str, name: str, spec: ClaimSpec) -> Claim:
        """The claim of that name; made if there is none yet, and left as it is otherwise."""
        return self._cluster.claims.setdefault((namespace, name), Claim(name, namespace, spec))

    def _delete_claims(self, item: StatefulSet, from_ordinal: int) -> None:
        """Claims of this ordinal and those above it, once no pod uses them."""
        used = {claim.key for pod in self._cluster.pods.values() for claim in pod.claims.values()}
        prefixes = [f"{template.metadata.name}-{item.metadata.name}-" for template in item.spec.volume_claim_templates]
        for claim in list(self._cluster.claims.values()):
            if claim.namespace != item.metadata.namespace or claim.key in used:
                continue
            ordinals = [claim.name.removeprefix(prefix) for prefix in prefixes if claim.name.startswith(prefix)]
            if any(ordinal.isdigit() and int(ordinal) >= from_ordinal for ordinal in ordinals):
                self.delete_claim(claim)

    def delete_claim(self, claim: Claim) -> None:
        self._cluster.claims.pop(claim.key, None)
        self._kubelet.volumes.delete_claim(claim)
        self._cluster.touch()

    def forget_statefulset(self, item: StatefulSet) -> None:
        """Once the object and its pods are gone: applies the claims' whenDeleted policy."""
        self._observed.pop(item.key, None)
        if item.spec.persistent_volume_claim_retention_policy.when_deleted == "Delete":
            self._delete_claims(item, from_ordinal=0)

    def refresh_volumes(self, kind: str, namespace: str, name: str) -> None:
        """A ConfigMap or Secret has new contents: pods that mount it see them."""
        for pod in self._cluster.pods_in(namespace):
            if (kind, name) in map(shows, pod.spec.volumes) and pod.uid in self.workers:
                self.workers[pod.uid].refresh_volumes()
