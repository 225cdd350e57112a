"""What the NetworkPolicies allow each pod, put into force whenever a pod, a Namespace or a policy changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sandbox.host.firewall import Block, Firewall, Guard, Opening, Ports
from sandbox.kubernetes.cluster import Cluster
from sandbox.kubernetes.manifests.network_policy import (
    NAMESPACE_NAME_LABEL,
    EgressRule,
    IngressRule,
    Namespace,
    NetworkPolicy,
    Peer,
)

Labels = Mapping[str, str]


@dataclass(frozen=True)
class Member:
    """One that selectors can find: a pod, or what takes part as one."""

    ip: str
    namespace: str
    labels: Labels = field(default_factory=dict)


class NetworkPolicies:
    """The policies of the cluster, over all its members."""

    def __init__(self, cluster: Cluster, firewall: Firewall) -> None:
        self._cluster = cluster
        self._firewall = firewall

    def enforce(self) -> None:
        """Returns once what the cluster holds now is in force. Raises SandboxError when the kernel refuses it."""
        self._firewall.enforce(guards(list(self._cluster.all(NetworkPolicy)), self.members(), self._namespaces()))

    def members(self) -> list[Member]:
        pods = [Member(pod.ip, pod.namespace, pod.labels) for pod in self._cluster.pods.values() if pod.ip is not None]
        guests = [Member(guest.network.ip, guest.namespace, guest.labels) for guest in self._cluster.guests]
        dns = Member(self._cluster.network.family.dns_ip, "kube-system", {"k8s-app": "kube-dns"})
        return [dns, *guests, *pods]

    def _namespaces(self) -> dict[str, Labels]:
        return {item.metadata.name: item.all_labels for item in self._cluster.all(Namespace)}


def guards(
    policies: Sequence[NetworkPolicy], members: Sequence[Member], namespaces: Mapping[str, Labels]
) -> dict[str, Guard]:
    """Address -> what its member may do. `namespaces` are the labels of those that have more than their name."""
    named = {member.namespace: {NAMESPACE_NAME_LABEL: member.namespace} for member in members} | dict(namespaces)
    inward = [(policy, _openings(policy, policy.spec.ingress, members, named)) for policy in policies]
    outward = [(policy, _openings(policy, policy.spec.egress, members, named)) for policy in policies]
    found = {}
    for member in members:
        guard = Guard(_allowed(inward, member, "Ingress"), _allowed(outward, member, "Egress"))
        if guard != Guard():
            found[member.ip] = guard
    return found


def _allowed(
    openings: Iterable[tuple[NetworkPolicy, tuple[Opening, ...]]], member: Member, direction: str
) -> tuple[Opening, ...] | None:
    """What all policies together allow that select the member; None where none does."""
    selecting = [
        allowed for policy, allowed in openings if policy.selects(member.namespace, dict(member.labels), direction)
    ]
    return tuple(opening for allowed in selecting for opening in allowed) if selecting else None


def _openings(
    policy: NetworkPolicy,
    rules: Iterable[IngressRule | EgressRule],
    members: Sequence[Member],
    namespaces: Mapping[str, Labels],
) -> tuple[Opening, ...]:
    return tuple(_opening(rule, policy.metadata.namespace, members, namespaces) for rule in rules)


def _opening(
    rule: IngressRule | EgressRule, namespace: str, members: Sequence[Member], namespaces: Mapping[str, Labels]
) -> Opening:
    ports = tuple(
        Ports(item.protocol.lower())
        if item.port is None
        else Ports(item.protocol.lower(), item.port, item.end_port or item.port)
        for item in rule.ports
    )
    return Opening(
        addresses=frozenset(
            member.ip
            for member in members
            if any(_is_peer(peer, member, namespace, namespaces[member.namespace]) for peer in rule.peers)
        ),
        blocks=tuple(Block(peer.ip_block.cidr, peer.ip_block.without) for peer in rule.peers if peer.ip_block),
        anybody=not rule.peers,
        ports=ports or None,
    )


def _is_peer(peer: Peer, member: Member, namespace: str, labels_of_namespace: Labels) -> bool:
    """Without a selector for namespaces, pods of the policy's own are meant."""
    if peer.ip_block is not None:
        return False
    if peer.namespace_selector is None:
        fits = member.namespace == namespace
    else:
        fits = peer.namespace_selector.matches(labels_of_namespace)
    return fits and (peer.pod_selector is None or peer.pod_selector.matches(member.labels))
