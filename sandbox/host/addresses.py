"""What is fixed of a cluster's network when it is made: the family of its addresses, and the domain of its names."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TypeAlias

IpNetwork: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Family:
    """The addresses of a cluster whose pods have IPv4 addresses, or IPv6 addresses alone."""

    name: str
    """As EKS and Kubernetes call it: ipv4 or ipv6."""
    pod_range: IpNetwork
    dns_ip: str
    api_ip: str
    """Of the cluster's DNS server and of its API server, which are no node's."""
    next_hop_ip: str
    """Link-local: where every pod sends its packets."""
    filtered_as: str
    """What the kernel's packet filter calls the protocol."""
    record_kind: str
    """The DNS record that has such an address."""

    @property
    def version(self) -> int:
        """Of the Internet Protocol."""
        return self.pod_range.version

    @property
    def gateway_ip(self) -> str:
        """The sandbox's own address, as that of the node a pod is on: what the sandbox itself says comes from it."""
        return str(self.pod_range[1])

    @property
    def host_bits(self) -> int:
        """Length of the prefix that is one address."""
        return self.pod_range.max_prefixlen


IPV4 = Family(
    "ipv4", ipaddress.IPv4Network("10.244.0.0/16"), "10.96.0.10", "10.96.0.1", "169.254.1.1", "ip", record_kind="A"
)
IPV6 = Family(
    # Unique local addresses, which no router of the Internet forwards. They exist in the sandbox's namespace alone.
    "ipv6",
    ipaddress.IPv6Network("fd00:10:244::/112"),
    "fd00:10:96::a",
    "fd00:10:96::1",
    "fe80::1",
    "ip6",
    record_kind="AAAA",
)
FAMILIES = {family.name: family for family in (IPV4, IPV6)}


def family_of(ip: str) -> Family:
    """The one an address belongs to."""
    return IPV6 if ":" in ip else IPV4


def with_port(ip: str, port: int | str) -> str:
    """`10.244.0.2:6379` or `[fd00:10:244::2]:6379`: an IPv6 address has colons of its own."""
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


@dataclass(frozen=True)
class ClusterNetwork:
    """Whoever makes a Kubernetes cluster decides both, and nobody changes them later."""

    family: Family = IPV4
    domain: str = "cluster.local"

    def resolv_conf(self, namespace: str | None = None) -> str:
        """How a pod of the namespace, or a program that is in none, finds names."""
        search = [f"svc.{self.domain}"]
        if namespace is not None:
            search = [f"{namespace}.svc.{self.domain}", *search, self.domain]
        return f"search {' '.join(search)}\nnameserver {self.family.dns_ip}\noptions ndots:5\n"


USUAL_NETWORK = ClusterNetwork()
"""That of most clusters."""
