"""Jobs and CronJobs: when their pods start, when they count as failed, what is kept of them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from croniter import croniter

from sandbox.errors import InvalidError
from sandbox.kubernetes.cluster import Cluster
from sandbox.kubernetes.manifests.metadata import ObjectMeta
from sandbox.kubernetes.manifests.objects import CronJob, Job
from sandbox.kubernetes.pods import Pod

_BACKOFF_FIRST_S = 10.0
_BACKOFF_MAX_S = 360.0
_LOG_TAIL_LINES = 20

Owner = tuple[str, str, str]


@dataclass
class JobStatus:
    started_at: float = field(default_factory=time.time)
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
    last_success: float | None = None
    """When a Job of it last ended well."""


class Batch:
    """The Job and CronJob controllers."""

    def __init__(self, cluster: Cluster, add_pod: Callable[[Pod], None], delete_pod: Callable[[Pod], None]) -> None:
        self._cluster = cluster
        self._add_pod = add_pod
        self._delete_pod = delete_pod
        self.jobs: dict[Owner, JobStatus] = {}
        self.crons: dict[Owner, CronStatus] = {}

    def step(self) -> None:
        for cron in self._cluster.all(CronJob):
            self._step_cron(cron)
        for job in self._cluster.all(Job):
            self._step_job(job)

    def _step_job(self, job: Job) -> None:
        status = self.jobs.setdefault(job.key, JobStatus())
        pods = self._cluster.owned(job.key)
        if status.condition:
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
            delay = min(_BACKOFF_FIRST_S * 2 ** (failures - 1), _BACKOFF_MAX_S)
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
            owner=job.key,
        )

    def _finish_job(self, job: Job, status: JobStatus, condition: str, reason: str) -> None:
        status.condition, status.reason = condition, reason
        for owner, cron in self.crons.items():
            if condition == "Complete" and owner[1] == job.metadata.namespace and job.metadata.name in cron.jobs:
                cron.last_success = time.time()
        for pod in self._cluster.owned(job.key):
            if not pod.finished:
                self._delete_pod(pod)
        self._cluster.event(f"Job {job.metadata.namespace}/{job.metadata.name}", condition, reason)
        self._cluster.touch()

    def delete_job(self, job: Job) -> None:
        self._cluster.objects.pop(job.key, None)
        self.jobs.pop(job.key, None)
        self._cluster.touch()

    @staticmethod
    def _log_of(pod: Pod) -> str:
        texts = [status.log.tail(_LOG_TAIL_LINES) for status in pod.statuses.values() if status.log is not None]
        return "\n".join(filter(None, texts))

    def _step_cron(self, cron: CronJob) -> None:
        status = self.crons.setdefault(cron.key, CronStatus())
        self._trim_history(cron, status)
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

    def has_ended(self, job: Job) -> bool:
        return job.key in self.jobs and bool(self.jobs[job.key].condition)

    def _jobs_of(self, cron: CronJob) -> list[Job]:
        names = self.crons.setdefault(cron.key, CronStatus()).jobs
        found = (self._cluster.get(Job, cron.metadata.namespace, name) for name in names)
        return [job for job in found if job is not None]

    def _active_jobs(self, cron: CronJob) -> list[Job]:
        return [job for job in self._jobs_of(cron) if not self.has_ended(job)]

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
