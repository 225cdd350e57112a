"""What may open a connection to whom, as rules of the kernel's packet filter in the sandbox's own network namespace.

Every packet between two pods is forwarded there, and every packet from a pod to DNS or to the API server is received
there. A connection is judged by its first packet. What follows, in both directions, belongs to it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox.host.addresses import IPV4, Family
from sandbox.host.process import run_tool

TABLE = "guard"
_LIBERAL = Path("/proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal")


@dataclass(frozen=True)
class Ports:
    """A range of ports, or all ports of a protocol."""

    protocol: str
    """`tcp` or `udp`."""
    first: int = 1
    last: int = 65535


@dataclass(frozen=True)
class Block:
    """A network (`10.0.0.0/8`) without some networks in it."""

    network: str
    without: tuple[str, ...] = ()


@dataclass(frozen=True)
class Opening:
    """Connections that are let through: those with one of these addresses or blocks, by one of these ports."""

    addresses: frozenset[str] = frozenset()
    blocks: tuple[Block, ...] = ()
    anybody: bool = False
    """Whatever the address."""
    ports: tuple[Ports, ...] | None = None
    """Whatever the protocol and the port where it is None."""


@dataclass(frozen=True)
class Guard:
    """What one address may receive and open. None: everything."""

    inward: tuple[Opening, ...] | None = None
    outward: tuple[Opening, ...] | None = None


class Firewall:
    """The rules in force. Connections that were open when the rules change stay open."""

    def __init__(self, family: Family = IPV4, load: Callable[[str], None] | None = None) -> None:
        """`load` puts a text of rules into force; the kernel's packet filter takes it where none is given."""
        self._family = family
        self._load = load or _into_kernel
        self._loaded = ""

    def set_up(self) -> None:
        """Rules that hold nobody back: from now on the kernel knows which connections are open."""
        self.enforce({})
        # A packet that is late on a slow link belongs to its connection, whatever the window.
        _LIBERAL.write_text("1")

    def enforce(self, guards: Mapping[str, Guard]) -> None:
        """Replaces all rules in one moment: address -> what it may do. An address that is not there may do anything."""
        text = ruleset(guards, self._family)
        if text != self._loaded:
            self._load(text)
            self._loaded = text


def _into_kernel(text: str) -> None:
    run_tool(["nft", "-f", "-"], text)


def ruleset(guards: Mapping[str, Guard], family: Family = IPV4) -> str:
    """The whole table for `nft -f`, of the family that all the addresses have. Those that may do the same share a chain
    of rules."""
    chains: dict[tuple[str, tuple[Opening, ...]], str] = {}
    inward: list[str] = []
    outward: list[str] = []
    for ip, guard in sorted(guards.items()):
        for side, openings, verdicts in (("saddr", guard.inward, inward), ("daddr", guard.outward, outward)):
            if openings is not None:
                chain = chains.setdefault((side, openings), f"chain{len(chains)}")
                verdicts.append(f"{ip} : jump {chain}")
    ip, gateway = family.filtered_as, family.gateway_ip
    lines = [f"table {ip} {TABLE}", f"delete table {ip} {TABLE}", f"table {ip} {TABLE} {{"]
    for (side, openings), chain in chains.items():
        lines += [f"chain {chain} {{", *dict.fromkeys(_rules(family, side, openings)), "drop", "}"]
    lines += [*_map(family, "inward", inward), *_map(family, "outward", outward)]
    # A node talks to its pods and they to it, whatever the policies; over a slow link these packets are forwarded too.
    lines += _hook("forwarded", "forward", f"{ip} saddr {gateway} accept", f"{ip} daddr {gateway} accept")
    lines += [f"{ip} saddr vmap @outward", f"{ip} daddr vmap @inward", "}"]
    lines += _hook("received", "input", f"{ip} daddr {gateway} accept")
    lines += [f"{ip} saddr vmap @outward", "}", "}"]
    return "\n".join(lines) + "\n"


def _map(family: Family, name: str, verdicts: Iterable[str]) -> list[str]:
    elements = ", ".join(verdicts)
    kind = f"type {family.name}_addr : verdict"
    return [f"map {name} {{", kind, *([f"elements = {{ {elements} }}"] if elements else []), "}"]


def _hook(name: str, hook: str, *first: str) -> list[str]:
    head = [f"chain {name} {{", f"type filter hook {hook} priority filter; policy accept;"]
    return [*head, "ct state established,related accept", *first]


def _rules(family: Family, side: str, openings: Iterable[Opening]) -> Iterator[str]:
    """`return` goes back to the hook, which asks the other end next."""
    for opening in openings:
        for end in _ends(family, side, opening):
            for port in _ports(opening.ports):
                yield f"{end} {port} return".strip()


def _ends(family: Family, side: str, opening: Opening) -> Iterator[str]:
    if opening.anybody:
        yield ""
        return
    ip = family.filtered_as
    if opening.addresses:
        yield f"{ip} {side} {{ {', '.join(sorted(opening.addresses))} }}"
    for block in opening.blocks:
        if ipaddress.ip_network(block.network).version != family.version:
            # Nobody here has an address of that family. A policy may name blocks of both, to hold in any cluster.
            continue
        without = f" {ip} {side} != {{ {', '.join(_merged(block.without))} }}" if block.without else ""
        yield f"{ip} {side} {block.network}{without}"


def _merged(networks: Iterable[str]) -> list[str]:
    """Networks that do not overlap: nft refuses a set with others."""
    found = [ipaddress.ip_network(network) for network in networks]
    # Of one family, since they lie in one block; but that is more than a type can say.
    four = ipaddress.collapse_addresses(part for part in found if isinstance(part, ipaddress.IPv4Network))
    six = ipaddress.collapse_addresses(part for part in found if isinstance(part, ipaddress.IPv6Network))
    return [*map(str, four), *map(str, six)]


def _ports(ports: Iterable[Ports] | None) -> Iterator[str]:
    if ports is None:
        yield ""
        return
    ranges: dict[str, list[Ports]] = {}
    for item in ports:
        ranges.setdefault(item.protocol, []).append(item)
    for protocol, items in ranges.items():
        yield f"{protocol} dport {{ {', '.join(_joined(items))} }}"


def _joined(ports: Iterable[Ports]) -> Iterator[str]:
    """Ranges that do not overlap: nft refuses a set with others."""
    first, last = 0, -1
    for item in sorted(ports, key=lambda item: item.first):
        if item.first > last + 1:
            if last >= 0:
                yield _range(first, last)
            first, last = item.first, item.last
        last = max(last, item.last)
    yield _range(first, last)


def _range(first: int, last: int) -> str:
    return f"{first}-{last}" if first < last else f"{first}"
