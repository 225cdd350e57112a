"""Who may talk to the pods of a pool, and to whom they may talk. Pure.

Whatever is not allowed here is denied, in and out. Policies of one namespace add up, and each of them selects pods of
its own namespace only. So while two pools exchange their slots, each lets the other in by the label of its namespace,
and neither needs to be told of the other (docs/adr/0020-namespaces-of-pools-are-marked.md).
"""

from collections.abc import Iterable, Sequence
from typing import Any

from components.config.settings import Settings
from components.manifests import jobs, keys, names
from components.manifests.manifest import Manifest, kubernetes_object
from components.manifests.rollout import rollout_phase
from components.manifests.validation import VALIDATION

_DNS_PORT = 53
_NODE_LOCAL_DNS = "169.254.20.10/32"
"""Where NodeLocal DNSCache listens, on clusters that run it. It is an address of the node, which no pod has."""
_API_SERVER_PORTS = (443, 6443)
"""Of the API server's own addresses: 443 on EKS, 6443 where kubeadm made the cluster."""
_REDIS_PORTS = (names.REDIS_PORT, names.TLS_PORT)
"""Pods, Jobs and clients may use both in every mode of TLS: a change of it rolls the pods, and those that have not
rolled yet use the other one. Policies change before *release* is asked, so with the ports of the new mode alone an edit
that *release* then refuses would have cut the clients off. Whoever a policy holds back waits; whoever is refused knows
at once that nobody listens."""
_OF_REDIS = {"matchLabels": names.APP_LABEL}
_PHASES_ON_REDIS = (jobs.RELEASE, jobs.FORM, jobs.REPAIR, VALIDATION)

Rule = dict[str, Any]


def network_policies(settings: Settings) -> tuple[Manifest, ...]:
    """The policies of a pool's namespace. The one that denies comes last: what runs already is never without the ones
    that allow."""
    allowing = (
        _policy("network", names.APP_LABEL["app"], _OF_REDIS, _into_redis(settings), _out_of_redis()),
        _policy("network-jobs", "redis-jobs", _phases(_PHASES_ON_REDIS), (), _out_of_jobs(settings)),
        _policy("network-rollout", "redis-rollout", _phases(_rollouts(settings)), (), (_to_api_server(),)),
    )
    return (*allowing, _policy("network-default", "default-deny", {}, (), (), *(item.key for item in allowing)))


def _policy(
    key: str, name: str, pods: dict[str, Any], ingress: Sequence[Rule], egress: Sequence[Rule], *after: str
) -> Manifest:
    return Manifest(
        key,
        kubernetes_object(
            "networking.k8s.io/v1",
            "NetworkPolicy",
            name=name,
            namespace=keys.NAMESPACE,
            spec={
                "podSelector": pods,
                "policyTypes": ["Ingress", "Egress"],
                **({"ingress": list(ingress)} if ingress else {}),
                **({"egress": list(egress)} if egress else {}),
            },
        ),
        after=after,
    )


def _into_redis(settings: Settings) -> list[Rule]:
    pods, programs = _in_pools(names.APP_LABEL), _in_pools(names.JOB_LABEL)
    rules = [
        {"from": [pods], "ports": _tcp(*_REDIS_PORTS, names.BUS_PORT)},
        {"from": [programs], "ports": _tcp(*_REDIS_PORTS)},
        _clients(settings),
    ]
    if settings.monitoring.exporter:
        rules.append(
            {
                "from": [_namespaces(settings.monitoring.allow_from_namespaces)],
                "ports": _tcp(names.EXPORTER_PORT),
            }
        )
    return rules


def _clients(settings: Settings) -> Rule:
    """Those that the config names; where it names nobody, which production does not do, anybody."""
    access = settings.access
    named = [_namespaces(access.allow_from_namespaces)] if access.allow_from_namespaces else []
    named += [_selected(selection) for selection in access.allow_from_pods]
    return {**({"from": named} if named else {}), "ports": _tcp(*_REDIS_PORTS)}


def _out_of_redis() -> list[Rule]:
    """A pod finds its peers by name, talks to them, and replicates or moves keys to them. Answers to clients are part
    of the clients' connections."""
    return [_dns(), {"to": [_in_pools(names.APP_LABEL)], "ports": _tcp(*_REDIS_PORTS, names.BUS_PORT)}]


def _to_redis() -> Rule:
    return {"to": [_in_pools(names.APP_LABEL)], "ports": _tcp(*_REDIS_PORTS)}


def _out_of_jobs(settings: Settings) -> list[Rule]:
    rules = [_dns(), _to_redis()]
    place = settings.monitoring.pushgateway_place
    if place is not None:
        _, namespace, port = place
        # Its pods have labels of somebody else's choice.
        rules.append({"to": [_namespaces([namespace])], "ports": _tcp(port)})
    return rules


def _to_api_server() -> Rule:
    """No selector knows the API server: it is no pod, and EKS gives it addresses of the VPC that may change."""
    return {"ports": _tcp(*_API_SERVER_PORTS)}


def _dns() -> Rule:
    """By UDP, and by TCP for answers that do not fit a packet: the addresses of 32 pods are 602 bytes."""
    servers = {
        "namespaceSelector": {"matchLabels": {names.NAMESPACE_NAME_LABEL: "kube-system"}},
        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
    }
    ports = [{"protocol": protocol, "port": _DNS_PORT} for protocol in ("UDP", "TCP")]
    return {"to": [servers, {"ipBlock": {"cidr": _NODE_LOCAL_DNS}}], "ports": ports}


def _in_pools(labels: dict[str, str]) -> dict[str, Any]:
    """Pods with these labels in the namespaces of the cluster's pools."""
    return {"namespaceSelector": {"matchLabels": names.CLUSTER_LABEL}, "podSelector": {"matchLabels": labels}}


def _namespaces(allowed: Iterable[str]) -> dict[str, Any]:
    """All pods of these namespaces. The API server itself sets the label of a namespace's name."""
    named = {"key": names.NAMESPACE_NAME_LABEL, "operator": "In", "values": list(allowed)}
    return {"namespaceSelector": {"matchExpressions": [named]}}


def _selected(selection: str) -> dict[str, Any]:
    """Of a text such as `web/app=shop,tier=front`."""
    namespace, _, labels = selection.partition("/")
    return {
        "namespaceSelector": {"matchLabels": {names.NAMESPACE_NAME_LABEL: namespace}},
        "podSelector": {"matchLabels": dict(label.split("=", 1) for label in labels.split(","))},
    }


def _phases(phases: Sequence[str]) -> dict[str, Any]:
    """Pods of the Jobs of these phases."""
    named = {"key": "phase", "operator": "In", "values": list(phases)}
    return {"matchLabels": names.JOB_LABEL, "matchExpressions": [named]}


def _rollouts(settings: Settings) -> list[str]:
    return [rollout_phase(names.set_name(copy)) for copy in range(settings.copies_per_shard)]


def _tcp(*ports: int) -> list[dict[str, Any]]:
    return [{"protocol": "TCP", "port": port} for port in ports]
