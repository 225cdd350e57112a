"""What DNS knows of Services: the endpoints behind each, from the pods as they are now."""

from __future__ import annotations

from sandbox.host.dns import ClusterNames, Endpoint, ServiceRecord
from sandbox.kubernetes.cluster import Cluster
from sandbox.kubernetes.manifests.objects import Service
from sandbox.kubernetes.pods import Pod


def cluster_names(cluster: Cluster) -> ClusterNames:
    services = {}
    for service in cluster.all(Service):
        namespace, name = service.metadata.namespace, service.metadata.name
        services[namespace, name] = ServiceRecord(
            name=name,
            namespace=namespace,
            external_name=service.spec.external_name,
            endpoints=tuple(endpoints(cluster, service)),
        )
    return ClusterNames(services, frozenset(cluster.namespaces), cluster.network.domain)


def endpoints(cluster: Cluster, service: Service) -> list[Endpoint]:
    """Addresses of the selected pods; a terminating or finished pod is never ready."""
    if not service.spec.selector or service.spec.external_name:
        return []
    selected = service.spec.selector.items()
    return [
        Endpoint(pod.ip, _hostname(pod, service), service.spec.publish_not_ready_addresses or _serves(pod))
        for pod in cluster.pods.values()
        if pod.namespace == service.metadata.namespace
        and pod.ip is not None
        and not pod.finished
        and selected <= pod.labels.items()
    ]


def _serves(pod: Pod) -> bool:
    return pod.ready and not pod.deleting


def _hostname(pod: Pod, service: Service) -> str | None:
    """Only a pod whose subdomain is the Service's name gets a name of its own below it."""
    return pod.name if pod.subdomain == service.metadata.name else None
