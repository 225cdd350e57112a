"""The network of the pods: routed point to point as on EKS, inside one network namespace without an uplink.

A sandbox has addresses of one family, IPv4 or IPv6, as a cluster on EKS has. Every pod has its own network namespace
with one address and a default route to a link-local next hop, and the sandbox's namespace routes between them. Packets
to an address nobody has are dropped in silence, as a VPC does; so a lost machine looks lost, not refused. They are sent
into a link that nobody listens to. A blackhole route would tell a sender in the sandbox's own namespace (what `run`
starts) at once, by EINVAL.
"""

from __future__ import annotations

import ipaddress
import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.errors import InvalidError, SandboxError, UnsupportedError
from sandbox.host.addresses import IPV4, IPV6, Family, IpNetwork, family_of
from sandbox.host.process import run_tool

_NEXT_HOP_MAC = "ee:ee:ee:ee:ee:ee"
_MTU_BYTES = 9001
"""Jumbo frames as inside an AWS VPC."""
_NETNS_DIR = Path("/run/netns")
_NOWHERE = "nowhere"
_NOWHERE_LINK = "vethnowhere"
"""A namespace that has one end of a link and neither address nor forwarding: what arrives there is dropped."""
CUT_PRIORITY = 100
BORDER_PRIORITY = 150
DETOUR_PRIORITY = 200
LOCAL_PRIORITY = 300


_SYSCTLS = Path("/proc/sys/net")


def run_batch(family: Family, lines: str) -> None:
    """Commands of ip(8), one a line. Rules and routes that name no address are of this family."""
    run_tool(["ip", f"-{family.version}", "-batch", "-"], lines)


def set_up(family: Family) -> None:
    """Prepares the supervisor's own namespace. Raises SandboxError when it has a link to anywhere else, and
    UnsupportedError when this machine has no such addresses."""
    foreign = [
        name for name in _links() if name not in ("lo", "tunl0", "sit0", "ip6tnl0", "gre0") and _has_carrier(name)
    ]
    if foreign:
        raise SandboxError(f"the sandbox's network namespace already has links: {', '.join(foreign)}")
    if family is IPV6:
        _forward_ipv6()
    else:
        _forward_ipv4()
    # Of both families. Or what is meant for the sandbox itself could not be sent through a slow link: a packet that
    # already found its socket is not forwarded.
    (_SYSCTLS / "ipv4/ip_early_demux").write_text("0")
    run_tool(["ip", "netns", "add", _NOWHERE])
    own = (family.gateway_ip, family.dns_ip, family.api_ip)
    run_batch(
        family,
        "link set lo up\n"
        + "".join(f"addr add {_own(ip)} dev lo\n" for ip in own)
        + f"link add {_NOWHERE_LINK} mtu {_MTU_BYTES} type veth peer name eth0 mtu {_MTU_BYTES} netns {_NOWHERE}\n"
        # Nobody is asked for a hardware address: a question without an answer would end in EHOSTUNREACH.
        f"link set {_NOWHERE_LINK} arp off up\n",
    )
    # Until its other end is up, a link takes no routes.
    run_tool(["ip", "-n", _NOWHERE, "link", "set", "eth0", "arp", "off", "up"])
    run_batch(
        family,
        f"route add {family.pod_range} dev {_NOWHERE_LINK} src {family.gateway_ip} metric 4096\n"
        # Behind the rules of partitions and slow links, which also hold for what pods say to the sandbox itself.
        f"rule add priority {LOCAL_PRIORITY} lookup local\nrule del priority 0 lookup local\n",
    )


def _forward_ipv4() -> None:
    (_SYSCTLS / "ipv4/ip_forward").write_text("1")
    # A pod's own address must not be answered from another path, or partitions would leak.
    (_SYSCTLS / "ipv4/conf/all/send_redirects").write_text("0")
    (_SYSCTLS / "ipv4/icmp_ratelimit").write_text("0")


def _forward_ipv6() -> None:
    disabled = _SYSCTLS / "ipv6/conf/default/disable_ipv6"
    if not disabled.exists() or disabled.read_text().strip() != "0":
        raise UnsupportedError("this machine's kernel has no IPv6, or has it disabled; use the family ipv4")
    (_SYSCTLS / "ipv6/conf/all/forwarding").write_text("1")
    (_SYSCTLS / "ipv6/icmp/ratelimit").write_text("0")


def _own(ip: str) -> str:
    """An address for `addr add`, alone in its network. Nobody else can have it, so it is used without asking around."""
    family = family_of(ip)
    return f"{ip}/{family.host_bits}" + (" nodad" if family is IPV6 else "")


def _links() -> list[str]:
    return [line.split(":")[1].split("@")[0].strip() for line in run_tool(["ip", "-o", "link"]).splitlines()]


def _has_carrier(link: str) -> bool:
    return "NO-CARRIER" not in (text := run_tool(["ip", "-o", "link", "show", link])) and "state DOWN" not in text


class AddressPool:
    """Hands out pod addresses in turn, so that a re-created pod gets a new one, as on a real cluster."""

    def __init__(self, pod_range: IpNetwork = IPV4.pod_range) -> None:
        self._range = pod_range
        self._next = 2
        self._used: set[str] = set()
        self._reserved: dict[str, str] = {}

    def reserve(self, owner: str, address: str) -> None:
        """Makes `address` the next one `owner` gets (the fault verbs rotate and reuse addresses with it)."""
        if ipaddress.ip_address(address) not in self._range:
            raise InvalidError(f"{address} is not in {self._range}")
        self._reserved[owner] = address

    def is_waiting(self, owner: str) -> bool:
        """Whether the address reserved for `owner` is still somebody else's."""
        return self._reserved.get(owner) in self._used

    def take(self, owner: str) -> str:
        """The reserved address if it is free, else the next in turn."""
        reserved = self._reserved.pop(owner, None)
        if reserved is not None and reserved not in self._used:
            self._used.add(reserved)
            return reserved
        taken = self._used | set(self._reserved.values())
        for _ in range(self._range.num_addresses):
            address = str(self._range[self._next])
            self._next = self._next + 1 if self._next < self._range.num_addresses - 2 else 2
            if address not in taken:
                self._used.add(address)
                return address
        raise SandboxError(f"no address is left in {self._range}")

    def release(self, address: str) -> None:
        self._used.discard(address)


_numbers = itertools.count(1)


@dataclass(frozen=True)
class PodNetwork:
    """One pod's link: `link` is its end in the sandbox's namespace, eth0 the other."""

    number: int
    ip: str
    before_delete: list[Callable[[], None]] = field(default_factory=list, compare=False)
    """What must go before the link does, such as the rules that send its packets another way."""

    @classmethod
    def numbered(cls, ip: str) -> PodNetwork:
        """One that has a number of its own; it is not made yet."""
        return cls(next(_numbers), ip)

    @property
    def family(self) -> Family:
        return family_of(self.ip)

    @property
    def netns(self) -> str:
        return f"pod{self.number}"

    @property
    def netns_path(self) -> str:
        return str(_NETNS_DIR / self.netns)

    @property
    def link(self) -> str:
        return f"veth{self.number}"

    def create(self) -> None:
        # The address decides the MAC, so nobody's neighbour cache is wrong when an address is used again.
        mac = "02:42:" + ipaddress.ip_address(self.ip).packed[-4:].hex(":")
        run_tool(["ip", "netns", "add", self.netns])
        next_hop, quiet = self.family.next_hop_ip, "addrgenmode none " if self.family is IPV6 else ""
        run_batch(
            self.family,
            f"link add {self.link} mtu {_MTU_BYTES} address {_NEXT_HOP_MAC} type veth "
            f"peer name eth0 mtu {_MTU_BYTES} address {mac} netns {self.netns}\n"
            f"link set {self.link} {quiet}up\n",
        )
        run_tool(
            ["ip", "-n", self.netns, "-batch", "-"],
            # The kernel would give the link an IPv6 address of its own, and ask around with it.
            f"link set lo up\nlink set eth0 {quiet}up\n"
            f"addr add {_own(self.ip)} dev eth0\n"
            f"route add {next_hop} dev eth0 scope link\n"
            f"route add default via {next_hop} dev eth0\n"
            f"neigh add {next_hop} lladdr {_NEXT_HOP_MAC} dev eth0 nud permanent\n",
        )
        run_tool(["ip", "route", "add", self.ip, "dev", self.link])
        run_tool(["ip", "neigh", "replace", self.ip, "lladdr", mac, "dev", self.link, "nud", "permanent"])

    def unplug(self) -> None:
        """Cuts the pod off in silence: its peers see packets vanish, not a closed connection."""
        run_tool(["ip", "link", "set", self.link, "down"])

    def delete(self) -> None:
        """Removes link and namespace, as far as they were made; processes of the pod must have ended."""
        while self.before_delete:
            self.before_delete.pop()()
        if os.path.exists(self.netns_path):
            run_tool(["ip", "netns", "delete", self.netns])
        try:
            if self.link in _links():
                run_tool(["ip", "link", "delete", self.link])
        except SandboxError:
            # The kernel takes the link along with the namespace at a time of its own choosing.
            if self.link in _links():
                raise
