"""DNS of the cluster: what CoreDNS answers for Services, as a pure function, and the server around it."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.rrset

from sandbox.host.addresses import USUAL_NETWORK, family_of

TTL_S = 5
"""CoreDNS's default for cluster records."""
_MAX_CHAIN = 8
_PLAIN_UDP_BYTES = 512
_EDNS_UDP_BYTES = 1232
_IDLE_S = 10.0


@dataclass(frozen=True)
class Endpoint:
    """One address behind a Service; `published` means ready, or that the Service publishes unready ones."""

    ip: str
    hostname: str | None
    published: bool


@dataclass(frozen=True)
class ServiceRecord:
    name: str
    namespace: str
    external_name: str | None = None
    endpoints: tuple[Endpoint, ...] = ()


@dataclass(frozen=True)
class ClusterNames:
    """All that has a name in the cluster's domain."""

    services: Mapping[tuple[str, str], ServiceRecord] = field(default_factory=dict)
    """(namespace, name) -> record."""
    namespaces: frozenset[str] = frozenset()
    domain: str = USUAL_NETWORK.domain


@dataclass(frozen=True)
class Record:
    """One resource record; `data` is its text form (an address, or an absolute name ending in a dot)."""

    name: str
    kind: str
    data: str


@dataclass(frozen=True)
class Answer:
    """`exists` tells NODATA (the name is there, without such a record) from NXDOMAIN; `ours` is authority over it."""

    records: tuple[Record, ...]
    exists: bool
    ours: bool = True


def resolve(names: ClusterNames, name: str, kind: str) -> Answer:
    """Records for a name (any case, trailing dot or not); kind is `A`, `AAAA`, …"""
    wanted = name.rstrip(".").lower()
    if wanted != names.domain and not wanted.endswith("." + names.domain):
        return Answer((), exists=False, ours=False)
    labels = wanted.removesuffix(names.domain).rstrip(".").split(".")
    if labels[-1:] != ["svc"]:
        return Answer((), exists=labels == [""])
    labels = labels[:-1]
    if len(labels) < 2:
        return Answer((), exists=not labels or labels[0] in names.namespaces)
    service = names.services.get((labels[-1], labels[-2]))
    if service is None:
        return Answer((), exists=False)
    if service.external_name is not None:
        if len(labels) > 2:
            return Answer((), exists=False)
        return _external(names, wanted, service.external_name, kind)
    return _headless(service, wanted, labels[:-2], kind)


def _headless(service: ServiceRecord, name: str, rest: Sequence[str], kind: str) -> Answer:
    endpoints = [endpoint for endpoint in service.endpoints if endpoint.published]
    if len(rest) > 1:
        return Answer((), exists=False)
    matching = [endpoint for endpoint in endpoints if not rest or rest[0] == _label(endpoint)]
    records = [Record(name, family_of(endpoint.ip).record_kind, endpoint.ip) for endpoint in matching]
    return Answer(tuple(record for record in records if record.kind == kind), exists=bool(matching))


def _label(endpoint: Endpoint) -> str:
    return endpoint.hostname or endpoint.ip.replace(".", "-").replace(":", "-")


def _external(names: ClusterNames, name: str, target: str, kind: str) -> Answer:
    """The alias and, inside the cluster, the addresses it leads to; a loop of aliases ends after a few."""
    records: list[Record] = []
    owner = name
    for _ in range(_MAX_CHAIN):
        alias = target.rstrip(".").lower()
        records.append(Record(owner, "CNAME", alias + "."))
        labels = alias.removesuffix(f".svc.{names.domain}").split(".")
        following = names.services.get((labels[-1], labels[-2])) if len(labels) == 2 else None
        if following is None or following.external_name is None:
            found = () if kind == "CNAME" else resolve(names, alias, kind).records
            return Answer((*records, *found), exists=True)
        owner, target = alias, following.external_name
    return Answer(tuple(records), exists=True)


def reply(names: ClusterNames, packet: bytes, *, datagram: bool) -> bytes | None:
    """The response to a DNS message; a datagram too long for the client is truncated (TC), so that it comes back by
    TCP. None for what is not a query."""
    try:
        query = dns.message.from_wire(packet)
    except dns.exception.DNSException:
        return None
    if query.flags & dns.flags.QR or query.opcode() != dns.opcode.QUERY or len(query.question) != 1:
        return None
    question = query.question[0]
    answer = resolve(names, question.name.to_text(), dns.rdatatype.to_text(question.rdtype))
    response = dns.message.make_response(query, recursion_available=True)
    response.flags |= dns.flags.AA if answer.ours else 0
    # There is no upstream: outside the cluster's domain nothing exists.
    if not answer.exists:
        response.set_rcode(dns.rcode.NXDOMAIN)
    records = list(answer.records)
    if all(record.kind in ("A", "AAAA") for record in records):
        # CoreDNS's loadbalance plugin: clients that take the first address spread over all.
        secrets.SystemRandom().shuffle(records)
    for (name, kind), group in groupby(records, key=lambda record: (record.name, record.kind)):
        response.answer.append(_rrset(name, kind, [record.data for record in group]))
    if not records:
        soa = f"ns.dns.{names.domain}. hostmaster.{names.domain}. 1 7200 1800 86400 {TTL_S}"
        response.authority.append(_rrset(names.domain, "SOA", [soa]))
    offered = min(query.payload, _EDNS_UDP_BYTES) if query.edns >= 0 else _PLAIN_UDP_BYTES
    try:
        return response.to_wire(max_size=max(offered, _PLAIN_UDP_BYTES) if datagram else 65535)
    except dns.exception.TooBig:
        response.flags |= dns.flags.TC
        response.answer.clear()
        return response.to_wire()


def _rrset(name: str, kind: str, data: Sequence[str]) -> dns.rrset.RRset:
    return dns.rrset.from_text(name + ".", TTL_S, "IN", kind, *data)


async def serve(address: str, names: Callable[[], ClusterNames]) -> Sequence[object]:
    """Answers on UDP and TCP port 53 of `address` with the view of the moment. The result keeps the server alive."""
    datagrams = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.setblocking(False)
    datagrams.bind((address, 53))

    def on_datagram() -> None:
        with contextlib.suppress(BlockingIOError):
            packet, sender = datagrams.recvfrom(65535)
            response = reply(names(), packet, datagram=True)
            if response is not None:
                # The pod that asked may be gone, and its network with it: the kernel then refuses the datagram.
                with contextlib.suppress(OSError):
                    datagrams.sendto(response, sender)

    asyncio.get_running_loop().add_reader(datagrams, on_datagram)

    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            while True:
                async with asyncio.timeout(_IDLE_S):
                    (length,) = struct.unpack("!H", await reader.readexactly(2))
                    packet = await reader.readexactly(length)
                response = reply(names(), packet, datagram=False)
                if response is None:
                    break
                writer.write(struct.pack("!H", len(response)) + response)
                await writer.drain()
        writer.close()

    return datagrams, await asyncio.start_server(stream, address, 53)
