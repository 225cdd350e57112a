"""Who reaches whom by NetworkPolicy objects, as the Kubernetes API describes them. It reads rendered objects and knows
nothing of how they were made.

The rules: a pod that no policy selects for a direction is open in it. One that some select may do what any of them
allows, and nothing else. A connection needs its source's leave to go out and its target's leave to come in; answers are
part of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

Labels = Mapping[str, str]


@dataclass(frozen=True)
class End:
    """One end of a connection. Without a namespace it is no pod: a node, the API server, an address of the internet."""

    ip: str
    namespace: str = ""
    labels: Labels = field(default_factory=dict)


class Reach:
    """What policies allow, in namespaces with their labels."""

    def __init__(self, policies: Iterable[Mapping[str, Any]], namespaces: Mapping[str, Labels]) -> None:
        self._policies = tuple(policies)
        # The API server gives every namespace the label of its name, and overwrites what others set there.
        self._namespaces = {
            name: {**labels, "kubernetes.io/metadata.name": name} for name, labels in namespaces.items()
        }

    def can(self, source: End, target: End, port: int, protocol: str = "TCP") -> bool:
        """Whether the source can open a connection to this port of the target."""
        leaves = self._allows(source, "Egress", target, port, protocol)
        return leaves and self._allows(target, "Ingress", source, port, protocol)

    def _allows(self, end: End, direction: str, other: End, port: int, protocol: str) -> bool:
        if not end.namespace:
            return True
        selecting = [policy["spec"] for policy in self._policies if self._selects(policy, end, direction)]
        rules = [rule for spec in selecting for rule in spec.get(direction.lower()) or ()]
        peers = "from" if direction == "Ingress" else "to"
        return not selecting or any(
            self._is_peer(rule.get(peers), other, end.namespace) and _is_port(rule.get("ports"), port, protocol)
            for rule in rules
        )

    def _selects(self, policy: Mapping[str, Any], end: End, direction: str) -> bool:
        spec = policy["spec"]
        types = spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])]
        return (
            policy["metadata"]["namespace"] == end.namespace
            and direction in types
            and _matches(spec["podSelector"], end.labels)
        )

    def _is_peer(self, peers: list[Mapping[str, Any]] | None, other: End, own_namespace: str) -> bool:
        return not peers or any(self._is_one_of(peer, other, own_namespace) for peer in peers)

    def _is_one_of(self, peer: Mapping[str, Any], other: End, own_namespace: str) -> bool:
        if "ipBlock" in peer:
            block = peer["ipBlock"]
            address = ip_address(other.ip)
            inside = address in ip_network(block["cidr"])
            return inside and not any(address in ip_network(hole) for hole in block.get("except", ()))
        if not other.namespace:
            return False
        if "namespaceSelector" in peer:
            namespace = _matches(peer["namespaceSelector"], self._namespaces[other.namespace])
        else:
            namespace = other.namespace == own_namespace
        return namespace and _matches(peer.get("podSelector", {}), other.labels)


def _is_port(ports: list[Mapping[str, Any]] | None, port: int, protocol: str) -> bool:
    return not ports or any(
        protocol == entry.get("protocol", "TCP")
        and ("port" not in entry or entry["port"] <= port <= entry.get("endPort", entry["port"]))
        for entry in ports
    )


def _matches(selector: Mapping[str, Any], labels: Labels) -> bool:
    """An empty selector matches everything."""
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    return all(_holds(expression, labels) for expression in selector.get("matchExpressions", ()))


def _holds(expression: Mapping[str, Any], labels: Labels) -> bool:
    key, values = expression["key"], expression.get("values", ())
    match expression["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
    raise ValueError(f"{expression['operator']} is no operator of a label selector")
