"""Cluster DNS as CoreDNS answers it: headless Services, their pods by host name, ExternalName. IPv4 alone."""

from __future__ import annotations

import socket

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from tests.e2e.harness.kube import Kube, Mirror

_DOMAIN = "svc.cluster.local."
_TTL_S = 5
_UDP_BYTES = 1232


class Zone:
    """What the name server knows, from Services and EndpointSlices."""

    def __init__(self, kube: Kube) -> None:
        self._addresses: dict[str, list[str]] = {}
        self._aliases: dict[str, str] = {}
        self._services = Mirror(kube, "/api/v1/services", self._compute)
        self._slices = Mirror(kube, "/apis/discovery.k8s.io/v1/endpointslices", self._compute)

    def _compute(self) -> None:
        # Both mirrors call this from the moment they exist, the first before there is a second.
        if not hasattr(self, "_slices"):
            return
        addresses: dict[str, list[str]] = {}
        aliases: dict[str, str] = {}
        for (namespace, name), service in list(self._services.objects.items()):
            full = f"{name}.{namespace}.{_DOMAIN}"
            if service["spec"].get("type") == "ExternalName":
                aliases[full] = service["spec"]["externalName"].rstrip(".") + "."
            else:
                addresses[full] = []
        for (namespace, _), part in list(self._slices.objects.items()):
            service = part["metadata"].get("labels", {}).get("kubernetes.io/service-name")
            full = f"{service}.{namespace}.{_DOMAIN}"
            for endpoint in part.get("endpoints") or []:
                # Of a Service that names pods before they are ready, the controller says that they are.
                if full in addresses and endpoint["conditions"].get("ready", True):
                    addresses[full] += endpoint["addresses"]
                    if "hostname" in endpoint:
                        addresses[f"{endpoint['hostname']}.{full}"] = endpoint["addresses"]
        self._addresses, self._aliases = addresses, aliases

    def answer(self, query: dns.message.Message) -> dns.message.Message:
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.AA | dns.flags.RA
        name = query.question[0].name.to_text().lower()
        alias = self._aliases.get(name)
        if alias is not None:
            reply.answer.append(dns.rrset.from_text(name, _TTL_S, "IN", "CNAME", alias))
        found = self._addresses.get(alias or name)
        if found and query.question[0].rdtype == dns.rdatatype.A:
            reply.answer.append(dns.rrset.from_text(alias or name, _TTL_S, "IN", "A", *found))
        elif found is None and alias is None:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        return reply


def serve(kube: Kube, address: str) -> None:
    """Answers on UDP port 53. Never returns."""
    zone = Zone(kube)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((address, 53))
        while True:
            data, sender = server.recvfrom(4096)
            try:
                server.sendto(zone.answer(dns.message.from_wire(data)).to_wire(max_size=_UDP_BYTES), sender)
            except (dns.exception.DNSException, OSError) as error:
                print(f"{sender}: {error!r}", flush=True)
