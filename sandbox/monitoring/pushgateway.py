"""The sandbox's Pushgateway, where Jobs tell what they do, under the name that Prometheus's Helm chart gives it."""

from __future__ import annotations

from dataclasses import replace

from sandbox.host.dns import ClusterNames, Endpoint, ServiceRecord
from sandbox.host.network import GATEWAY_IP

PORT = 9091
PROGRAM = "prometheus-pushgateway"
_SERVICE = ServiceRecord(PROGRAM, "monitoring", endpoints=(Endpoint(GATEWAY_IP, None, published=True),))
ADDRESS = f"{_SERVICE.name}.{_SERVICE.namespace}:{PORT}"
"""As `monitoring.pushgateway` names it."""


def with_pushgateway(names: ClusterNames) -> ClusterNames:
    """What DNS knows, and the Pushgateway's name besides, whether it runs or not."""
    return replace(
        names,
        services={(_SERVICE.namespace, _SERVICE.name): _SERVICE, **names.services},
        namespaces=names.namespaces | {_SERVICE.namespace},
    )
