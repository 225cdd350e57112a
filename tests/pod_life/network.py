"""The network of a test's pods: a bridge inside a network namespace without any uplink, and a name server.

The thread that makes it lives in that namespace until `close`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from dnslib import QTYPE, RCODE, RR, A, DNSRecord
from dnslib.server import BaseResolver, DNSHandler, DNSLogger, DNSServer

from tests.pod_life.namespaces import CLONE_NEWNET, call, namespace_of_this_thread, run

if TYPE_CHECKING:
    from tests.pod_life.pods import Pod

DNS_IP = "10.244.0.53"


class _Records(BaseResolver):
    def __init__(self, names: dict[str, list[str]]) -> None:
        self.names = names

    def resolve(self, request: DNSRecord, handler: DNSHandler) -> DNSRecord:
        reply = request.reply()
        name = str(request.q.qname).rstrip(".")
        if name not in self.names:
            reply.header.rcode = RCODE.NXDOMAIN
        elif request.q.qtype == QTYPE.A:
            for ip in self.names[name]:
                reply.add_answer(RR(name, QTYPE.A, rdata=A(ip), ttl=5))
        return reply


class Network:
    """A bridge, a name server and the pods on it."""

    def __init__(self, directory: Path, image: Path, usr: Path) -> None:
        """`image` is what pods have as /bin, `usr` where their libraries are."""
        self.directory = directory
        self.image = image
        self.usr = usr
        self.names: dict[str, list[str]] = {}
        self.pods: list[Pod] = []
        self._links = 0
        self._addresses = 0
        self._home = namespace_of_this_thread()
        call("unshare", CLONE_NEWNET)
        for command in (
            "ip link set lo up",
            # With an address of its own: else it takes its ports' and changes with them, under the pods' ARP caches.
            "ip link add bridge address 02:00:00:00:00:01 type bridge",
            "ip link set bridge up",
            "ip address add 10.244.0.1/16 dev bridge",
            f"ip address add {DNS_IP}/16 dev bridge",
        ):
            run(*command.split())
        self._dns: DNSServer | None = None
        self.start_dns()

    def start_dns(self) -> None:
        self._dns = DNSServer(
            _Records(self.names), address=DNS_IP, port=53, logger=DNSLogger(log="-request,-reply,-truncated")
        )
        self._dns.start_thread()

    def stop_dns(self) -> None:
        if self._dns is not None:
            self._dns.stop()
            self._dns.server.server_close()
            self._dns = None

    def unused_ip(self) -> str:
        self._addresses += 1
        return f"10.244.1.{self._addresses}"

    def link(self, namespace: int, ip: str) -> str:
        """Connects a namespace as a pod is connected, and returns the bridge's end of the link."""
        self._links += 1
        name = f"pod{self._links}"
        run(
            *("ip", "-batch", "-"),
            given=f"link add {name} mtu 1500 type veth peer name eth0 mtu 1500 netns /proc/self/fd/{namespace}\n"
            f"link set {name} master bridge up\n",
            pass_fds=(namespace,),
        )
        run(
            *("ip", "-batch", "-"),
            given=f"link set lo up\naddress add {ip}/16 dev eth0\nlink set eth0 up\n",
            namespace=namespace,
        )
        return name

    def publish(self) -> None:
        """DNS as of now: every pod that has an address, ready or not, under its own and its Service's name."""
        names: dict[str, list[str]] = {}
        for pod in self.pods:
            if pod.ip is not None:
                names.setdefault(pod.host, []).append(pod.ip)
                names.setdefault(pod.domain, []).append(pod.ip)
        self.names.clear()
        self.names.update(names)

    def close(self) -> None:
        for pod in self.pods:
            pod.destroy()
        self.stop_dns()
        call("setns", self._home, CLONE_NEWNET)
        os.close(self._home)
