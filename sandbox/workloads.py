"""Carries out what the controllers decide: creates, places and deletes pods, claims, Jobs."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from croniter import croniter

from sandbox import scheduler, statefulset
from sandbox.cluster import Cluster, Pod
from sandbox.errors import InvalidError
from sandbox.kubelet import Node, PodWorker
from sandbox.manifests.metadata import ObjectMeta
from sandbox.manifests.objects import CronJob, Job, PersistentVolumeClaim, StatefulSet
from sandbox.manifests.pod import PodTemplate
from sandbox.volumes import Claim, mounted

_TICK_S = 1.0
_JOB_BACKOFF_FIRST_S = 10.0
_JOB_BACKOFF_MAX_S = 360.0
_LOG_TAIL_LINES = 20

Owner = tuple[str, str, str]


@dataclass
class JobStatus:
    started_at: float = field(default_factory=time.time)
    finished_at: float | None = None
    condition: str = ""
    """`Complete` or `Failed` once finished."""
    reason: str = ""
    failures: int = 0
    not_before: float = 0.0
    last_log: str = ""


@dataclass
class CronStatus:
    last_scheduled: float = field(default_factory=time.time)
    jobs: list[str] = field(default_factory=list)


class Workloads:
    """The controller manager: one loop that runs every controller whenever anything changed, and once a second."""

    def __init__(self, cluster: Cluster, node: Node) -> None:
        self._cluster = cluster
        self._node = node
        self.workers: dict[str, PodWorker] = {}
        self.revisions: dict[Owner, str] = {}
        """StatefulSet -> revision all its pods last agreed on."""
        self._templates: dict[tuple[Owner, str], PodTemplate] = {}
        self.jobs: dict[Owner, JobStatus] = {}
        self.crons: dict[Owner, CronStatus] = {}

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
        for cron in self._cluster.all(CronJob):
            self._step_cron(cron)
        for item in self._cluster.all(StatefulSet):
            self._step_statefulset(item)
        for job in self._cluster.all(Job):
            self._step_job(job)
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

    # Jobs

    def _step_job(self, job: Job) -> None:
        status = self.jobs.setdefault(job.key, JobStatus())
        pods = self._cluster.owned(job.key)
        if status.condition:
            self._after_job(job, status)
            return
        for pod in pods:
            status.last_log = self._log_of(pod) or status.last_log
        if any(pod.phase == "Succeeded" for pod in pods):
            self._finish_job(job, status, "Complete", "CompletionsReached")
            return
        failed = [pod for pod in pods if pod.phase == "Failed"]
        restarts = sum(s.restarts for pod in pods for s in pod.statuses.values())
        failures = len(failed) + (restarts if job.spec.template.spec.restart_policy == "OnFailure" else 0)
        if failures > status.failures:
            delay = min(_JOB_BACKOFF_FIRST_S * 2 ** (failures - 1), _JOB_BACKOFF_MAX_S)
            status.failures, status.not_before = failures, time.time() + delay
        deadline = job.spec.active_deadline_seconds
        if deadline is not None and time.time() - status.started_at >= deadline:
            self._finish_job(job, status, "Failed", "DeadlineExceeded")
        elif failures > job.spec.backoff_limit:
            self._finish_job(job, status, "Failed", "BackoffLimitExceeded")
        elif all(pod.finished for pod in pods) and time.time() >= status.not_before:
            self._add_pod(self._job_pod(job))

    def _job_pod(self, job: Job) -> Pod:
        name = job.metadata.name
        labels = {"job-name": name, "batch.kubernetes.io/job-name": name, **job.spec.template.metadata.labels}
        return Pod(
            name=f"{name}-{secrets.token_hex(3)[:5]}",
            namespace=job.metadata.namespace,
            spec=job.spec.template.spec,
            labels=labels,
            annotations=dict(job.spec.template.metadata.annotations),
            owner=job.key,
        )

    def _finish_job(self, job: Job, status: JobStatus, condition: str, reason: str) -> None:
        status.condition, status.reason, status.finished_at = condition, reason, time.time()
        for pod in self._cluster.owned(job.key):
            if not pod.finished:
                self.delete_pod(pod)
        self._cluster.event(f"Job {job.metadata.namespace}/{job.metadata.name}", condition, reason)
        self._cluster.touch()

    def _after_job(self, job: Job, status: JobStatus) -> None:
        ttl = job.spec.ttl_seconds_after_finished
        if ttl is not None and status.finished_at is not None and time.time() - status.finished_at >= ttl:
            self.delete_job(job)

    def delete_job(self, job: Job) -> None:
        self._cluster.objects.pop(job.key, None)
        self.jobs.pop(job.key, None)
        self._cluster.touch()

    @staticmethod
    def _log_of(pod: Pod) -> str:
        texts = [status.log.tail(_LOG_TAIL_LINES) for status in pod.statuses.values() if status.log is not None]
        return "\n".join(filter(None, texts))

    # CronJobs

    def _step_cron(self, cron: CronJob) -> None:
        status = self.crons.setdefault(cron.key, CronStatus())
        self._trim_history(cron, status)
        if cron.spec.suspend:
            status.last_scheduled = time.time()
            return
        since = datetime.fromtimestamp(status.last_scheduled, UTC)
        due = croniter(cron.spec.schedule, since).get_next(datetime)
        if due > datetime.now(UTC):
            return
        status.last_scheduled = time.time()
        late = time.time() - due.timestamp()
        if cron.spec.starting_deadline_seconds is not None and late > cron.spec.starting_deadline_seconds:
            return
        active = self._active_jobs(cron)
        if active and cron.spec.concurrency_policy == "Forbid":
            self._cluster.event(
                f"CronJob {cron.metadata.name}", "JobAlreadyActive", "not starting, concurrencyPolicy Forbid"
            )
            return
        if cron.spec.concurrency_policy == "Replace":
            for job in active:
                self.delete_job(job)
        self._create_cron_job(cron, f"{cron.metadata.name}-{int(due.timestamp() // 60)}")

    def trigger(self, cron: CronJob) -> Job:
        """A Job of the CronJob's template now, as `kubectl create job --from` makes it."""
        return self._create_cron_job(cron, f"{cron.metadata.name}-manual-{secrets.token_hex(3)[:5]}")

    def _create_cron_job(self, cron: CronJob, name: str) -> Job:
        template = cron.spec.job_template
        metadata = ObjectMeta(
            name=name,
            namespace=cron.metadata.namespace,
            labels=template.metadata.labels,
            annotations=template.metadata.annotations,
        )
        job = Job.model_construct(api_version="batch/v1", kind="Job", metadata=metadata, spec=template.spec)
        if job.key in self._cluster.objects:
            raise InvalidError(f"Job {job.metadata.namespace}/{name} already exists")
        self._cluster.objects[job.key] = job
        self.crons.setdefault(cron.key, CronStatus()).jobs.append(name)
        self._cluster.touch()
        return job

    def _jobs_of(self, cron: CronJob) -> list[Job]:
        names = self.crons.setdefault(cron.key, CronStatus()).jobs
        found = (self._cluster.get(Job, cron.metadata.namespace, name) for name in names)
        return [job for job in found if job is not None]

    def _active_jobs(self, cron: CronJob) -> list[Job]:
        return [job for job in self._jobs_of(cron) if job.key not in self.jobs or not self.jobs[job.key].condition]

    def _trim_history(self, cron: CronJob, status: CronStatus) -> None:
        limits: Mapping[str, int] = {
            "Complete": cron.spec.successful_jobs_history_limit,
            "Failed": cron.spec.failed_jobs_history_limit,
        }
        jobs = self._jobs_of(cron)
        for condition, limit in limits.items():
            done = [job for job in jobs if job.key in self.jobs and self.jobs[job.key].condition == condition]
            for job in done[: max(0, len(done) - limit)]:
                self.delete_job(job)
        status.jobs = [job.metadata.name for job in self._jobs_of(cron)]

    def delete_cron(self, cron: CronJob) -> None:
        for job in self._jobs_of(cron):
            self.delete_job(job)
        self.crons.pop(cron.key, None)
