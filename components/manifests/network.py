"""How pods are found, and how many may leave at a time. Pure."""

from typing import Any

from components.config.settings import Settings
from components.manifests import keys, names, tls
from components.manifests.manifest import Manifest, kubernetes_object


def headless_service(settings: Settings, copy: int) -> Manifest:
    """The governing Service of one StatefulSet. It names pods before they are ready: peers must find each other
    while the whole cluster starts anew with other addresses."""
    return Manifest(
        f"{names.set_name(copy)}-service",
        kubernetes_object(
            "v1",
            "Service",
            name=names.set_name(copy),
            namespace=keys.NAMESPACE,
            labels=names.set_labels(copy),
            spec={
                "clusterIP": "None",
                "publishNotReadyAddresses": True,
                "selector": names.set_labels(copy),
                "ports": [
                    *_client_ports(settings),
                    {"name": "cluster-bus", "port": names.BUS_PORT, "targetPort": "cluster-bus"},
                ],
            },
        ),
    )


def discovery_service(settings: Settings) -> Manifest:
    """All ready pods of a pool under one name, for a cluster client's first connection."""
    return Manifest(
        "discovery",
        kubernetes_object(
            "v1",
            "Service",
            name=names.CLIENT_SERVICE,
            namespace=keys.NAMESPACE,
            spec={
                "clusterIP": "None",
                "selector": names.APP_LABEL,
                "ports": _client_ports(settings),
            },
        ),
    )


def _client_ports(settings: Settings) -> list[dict[str, Any]]:
    ports = tls.client_ports(settings.tls.mode)
    return [{"name": name, "port": port, "targetPort": name} for name, port in ports.items()]


def client_service(settings: Settings, pool: str, *after: str) -> Manifest:
    """The stable name applications use; switching pools changes where it points, and nothing else."""
    return Manifest(
        "client",
        kubernetes_object(
            "v1",
            "Service",
            name=names.CLIENT_SERVICE,
            namespace=keys.NAMESPACE,
            spec={
                "type": "ExternalName",
                "externalName": names.service_host(names.CLIENT_SERVICE, pool, settings.cluster_domain),
            },
        ),
        after=after,
    )


def disruption_budget() -> Manifest:
    """One pod of the whole cache at a time: enough for a node to drain, pod by pod, and never both copies."""
    return Manifest(
        "budget",
        kubernetes_object(
            "policy/v1",
            "PodDisruptionBudget",
            name=names.APP_LABEL["app"],
            namespace=keys.NAMESPACE,
            spec={
                "maxUnavailable": 1,
                "selector": {"matchLabels": names.APP_LABEL},
                "unhealthyPodEvictionPolicy": "AlwaysAllow",
            },
        ),
    )
