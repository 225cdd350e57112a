"""The sandbox's Pushgateway, where Jobs tell what they do, under the name that Prometheus's Helm chart gives it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sandbox.host.dns import ClusterNames, Endpoint, ServiceRecord
from sandbox.kubernetes.pods import Guest

PORT = 9091
PROGRAM = "prometheus-pushgateway"
NAMESPACE = "monitoring"
LABELS = {"app.kubernetes.io/name": PROGRAM}
"""Where in the pods' network it stands. Policies let Jobs go there and nowhere else."""
ADDRESS = f"{PROGRAM}.{NAMESPACE}:{PORT}"
"""As `monitoring.pushgateway` names it."""


def with_pushgateway(names: ClusterNames, guests: Iterable[Guest]) -> ClusterNames:
    """What DNS knows, and the Pushgateway's name besides, once it has its place."""
    places = [guest.network.ip for guest in guests if (guest.namespace, guest.labels) == (NAMESPACE, LABELS)]
    if not places:
        return names
    service = ServiceRecord(PROGRAM, NAMESPACE, endpoints=(Endpoint(places[0], None, published=True),))
    return replace(
        names,
        services={(NAMESPACE, PROGRAM): service, **names.services},
        namespaces=names.namespaces | {NAMESPACE},
    )
