"""The sandbox's state as one JSON object: pods, StatefulSets, Jobs, claims, Services, and what has no effect here."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.host.memory import cpu_seconds, usage_bytes
from sandbox.host.partitions import Partitions
from sandbox.host.process import process_tree
from sandbox.kubernetes.cluster import Cluster
from sandbox.kubernetes.controllers.services import endpoints
from sandbox.kubernetes.controllers.workloads import Workloads
from sandbox.kubernetes.engine.apply import Applier
from sandbox.kubernetes.manifests.network_policy import NetworkPolicy
from sandbox.kubernetes.manifests.objects import CronJob, Job, Service, StatefulSet
from sandbox.kubernetes.pods import Pod


async def status_report(
    cluster: Cluster, workloads: Workloads, applier: Applier, partitions: Partitions
) -> dict[str, Any]:
    """Sizes in bytes, times in seconds."""
    tree = process_tree()
    return {
        "nodes": [
            {
                "name": node.name,
                "labels": node.all_labels,
                "zone": node.zone,
                "ready": node.ready,
                "cordoned": node.cordoned,
            }
            for node in cluster.nodes.values()
        ],
        "pods": [_pod(cluster, pod, tree) for pod in sorted(cluster.pods.values(), key=lambda pod: pod.key)],
        "statefulSets": [
            {
                "name": item.metadata.name,
                "namespace": item.metadata.namespace,
                "labels": item.metadata.labels,
                "replicas": item.spec.replicas,
                "ready": sum(pod.ready for pod in cluster.owned(item.key)),
                "settled": workloads.is_settled(item),
            }
            for item in cluster.all(StatefulSet)
        ],
        "jobs": [_job(workloads, job) for job in cluster.all(Job)],
        "cronJobs": [
            {
                "name": cron.metadata.name,
                "namespace": cron.metadata.namespace,
                "labels": cron.metadata.labels,
                "schedule": cron.spec.schedule,
            }
            for cron in cluster.all(CronJob)
        ],
        "claims": [
            {
                "name": claim.name,
                "namespace": claim.namespace,
                "zone": claim.zone,
                "sizeBytes": claim.spec.size_bytes,
                "usedBytes": claim.used_bytes,
            }
            for claim in sorted(cluster.claims.values(), key=lambda claim: claim.key)
        ],
        "services": [
            {
                "name": service.metadata.name,
                "namespace": service.metadata.namespace,
                "labels": service.metadata.labels,
                "externalName": service.spec.external_name,
                "endpoints": [e.ip for e in endpoints(cluster, service) if e.published],
                "notReady": [e.ip for e in endpoints(cluster, service) if not e.published],
            }
            for service in cluster.all(Service)
        ],
        "networkPolicies": [_policy(workloads, policy) for policy in cluster.all(NetworkPolicy)],
        "fault": cluster.fault,
        "partitions": [sorted(side) for side in partitions.sides],
        "notEnforced": [{"subject": note.subject, "reason": note.reason} for note in applier.noted()],
    }


def _pod(cluster: Cluster, pod: Pod, tree: Mapping[int, Sequence[int]]) -> dict[str, Any]:
    statuses = list(pod.statuses.values())
    last = next((s.last for s in statuses if s.last is not None), None)
    state = "Lost" if pod.lost_at is not None else "Terminating" if pod.deleting else pod.phase
    return {
        "name": pod.name,
        "namespace": pod.namespace,
        "uid": pod.uid,
        "labels": pod.labels,
        "owner": {"kind": pod.owner[0], "name": pod.owner[2]},
        "image": statuses[0].spec.image,
        "node": pod.node,
        "zone": cluster.zone_of(pod),
        "ip": pod.ip,
        "phase": pod.phase,
        "state": pod.waiting.reason if pod.waiting is not None and state in ("Running", "Pending") else state,
        "message": pod.message or (pod.waiting.message if pod.waiting is not None else ""),
        "ready": pod.ready,
        "containers": [s.spec.name for s in statuses],
        "readyContainers": sum(s.ready for s in statuses),
        "restarts": sum(s.restarts for s in statuses),
        "lastTermination": None if last is None else {"exitCode": last.exit_code, "reason": last.reason},
        "ageS": round(time.time() - pod.created_at, 1),
        "memoryBytes": sum(usage_bytes(status.runtime, tree) for status in statuses),
        "cpuSeconds": sum(cpu_seconds(status.runtime, tree) for status in statuses),
        "memoryLimitBytes": sum(s.spec.resources.limits.memory_bytes or 0 for s in statuses) or None,
    }


def _policy(workloads: Workloads, policy: NetworkPolicy) -> dict[str, Any]:
    """`directions` are those in which it is enforced: what no rule of a policy allows the selected pods is dropped."""
    members = workloads.network_policies.members()
    place, spec = policy.metadata.namespace, policy.spec
    return {
        "name": policy.metadata.name,
        "namespace": place,
        "labels": policy.metadata.labels,
        "pods": sum(one.namespace == place and spec.pod_selector.matches(one.labels) for one in members),
        "directions": sorted(spec.directions, reverse=True),
        "rules": len(spec.ingress) + len(spec.egress),
    }


def _job(workloads: Workloads, job: Job) -> dict[str, Any]:
    status = workloads.batch.jobs.get(job.key)
    return {
        "name": job.metadata.name,
        "namespace": job.metadata.namespace,
        "labels": job.metadata.labels,
        "condition": (status.condition if status else "") or "Running",
        "reason": status.reason if status else "",
        "failures": status.failures if status else 0,
        "ageS": round(time.time() - status.started_at, 1) if status else 0.0,
    }
