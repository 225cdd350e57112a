"""What kube-state-metrics, the kubelet and cert-manager of a real cluster show of these pods, Jobs, volumes and
certificates: the series that the rendered rules ask for, under the names and labels of each.
"""

from __future__ import annotations

from collections.abc import Iterator

from cryptography import x509
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sandbox.kubernetes.cluster import Cluster
from sandbox.kubernetes.controllers.workloads import Workloads
from sandbox.kubernetes.manifests.certificate import Certificate
from sandbox.kubernetes.manifests.objects import CronJob, Job, Secret, StatefulSet

_JOB_FAILURES = ("BackoffLimitExceeded", "DeadlineExceeded", "Evicted")


class KubeStateMetrics(Collector):
    """As the Deployment of that name, with `--metric-labels-allowlist=nodes=[topology.kubernetes.io/zone]`."""

    def __init__(self, cluster: Cluster, workloads: Workloads) -> None:
        self._cluster, self._workloads = cluster, workloads

    def collect(self) -> Iterator[Metric]:
        yield from self._pods()
        yield from self._sets()
        yield from self._jobs()
        yield from self._crons()
        nodes = GaugeMetricFamily("kube_node_labels", "", labels=("node", "label_topology_kubernetes_io_zone"))
        for node in self._cluster.nodes.values():
            nodes.add_metric((node.name, node.zone), 1)
        yield nodes

    def _pods(self) -> Iterator[Metric]:
        info = GaugeMetricFamily(
            "kube_pod_info", "", labels=("namespace", "pod", "uid", "node", "pod_ip", "created_by_kind")
        )
        ready = GaugeMetricFamily("kube_pod_status_ready", "", labels=("namespace", "pod", "uid", "condition"))
        restarts = CounterMetricFamily(
            "kube_pod_container_status_restarts", "", labels=("namespace", "pod", "uid", "container")
        )
        for pod in self._cluster.pods.values():
            here = (pod.namespace, pod.name, pod.uid)
            info.add_metric((*here, pod.node or "", pod.ip or "", pod.owner[0]), 1)
            for condition in ("true", "false", "unknown"):
                ready.add_metric((*here, condition), float(condition == str(pod.ready).lower()))
            for name, status in pod.statuses.items():
                restarts.add_metric((*here, name), status.restarts)
        yield from (info, ready, restarts)

    def _sets(self) -> Iterator[Metric]:
        where = ("namespace", "statefulset")
        wanted = GaugeMetricFamily("kube_statefulset_replicas", "", labels=where)
        updated = GaugeMetricFamily("kube_statefulset_status_replicas_updated", "", labels=where)
        for item in self._cluster.all(StatefulSet):
            here = (item.metadata.namespace, item.metadata.name)
            wanted.add_metric(here, item.spec.replicas)
            updated.add_metric(here, self._workloads.status_of(item)["updatedReplicas"])
        yield from (wanted, updated)

    def _jobs(self) -> Iterator[Metric]:
        where = ("namespace", "job_name")
        active = GaugeMetricFamily("kube_job_status_active", "", labels=where)
        failed = GaugeMetricFamily("kube_job_status_failed", "", labels=(*where, "reason"))
        started = GaugeMetricFamily("kube_job_status_start_time", "", labels=where)
        for item in self._cluster.all(Job):
            status = self._workloads.batch.jobs.get(item.key)
            if status is None:
                continue
            here = (item.metadata.namespace, item.metadata.name)
            running = [pod for pod in self._cluster.owned(item.key) if not pod.finished]
            active.add_metric(here, 0 if status.condition else len(running))
            started.add_metric(here, status.started_at)
            for reason in _JOB_FAILURES if status.condition == "Failed" else ():
                failed.add_metric((*here, reason), float(reason == status.reason))
            if status.condition != "Failed":
                failed.add_metric((*here, ""), 0)
        yield from (active, failed, started)

    def _crons(self) -> Iterator[Metric]:
        where = ("namespace", "cronjob")
        success = GaugeMetricFamily("kube_cronjob_status_last_successful_time", "", labels=where)
        scheduled = GaugeMetricFamily("kube_cronjob_status_last_schedule_time", "", labels=where)
        for item in self._cluster.all(CronJob):
            status = self._workloads.batch.crons.get(item.key)
            if status is None:
                continue
            here = (item.metadata.namespace, item.metadata.name)
            scheduled.add_metric(here, status.last_scheduled)
            if status.last_success is not None:
                success.add_metric(here, status.last_success)
        yield from (success, scheduled)


class KubeletMetrics(Collector):
    """Of all kubelets in one: how full the volumes of claims are."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def collect(self) -> Iterator[Metric]:
        where = ("namespace", "persistentvolumeclaim")
        used = GaugeMetricFamily("kubelet_volume_stats_used_bytes", "", labels=where)
        size = GaugeMetricFamily("kubelet_volume_stats_capacity_bytes", "", labels=where)
        for claim in self._cluster.claims.values():
            if claim.path is not None:
                used.add_metric(claim.key, claim.used_bytes)
                size.add_metric(claim.key, claim.spec.size_bytes)
        yield from (used, size)


class CertManagerMetrics(Collector):
    """Of cert-manager: when the certificates end that it has issued."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def collect(self) -> Iterator[Metric]:
        ends = GaugeMetricFamily(
            "certmanager_certificate_expiration_timestamp_seconds", "", labels=("namespace", "name")
        )
        secrets = {(item.metadata.namespace, item.metadata.name): item for item in self._cluster.all(Secret)}
        for item in self._cluster.all(Certificate):
            secret = secrets.get((item.metadata.namespace, item.spec.secret_name))
            if secret is not None:
                issued = x509.load_pem_x509_certificate(secret.contents["tls.crt"])
                ends.add_metric((item.metadata.namespace, item.metadata.name), issued.not_valid_after_utc.timestamp())
        yield ends


def exposition(collector: Collector) -> bytes:
    """What a scrape of it answers with."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    return generate_latest(registry)
