"""A cluster with IPv6 addresses and a domain of its own: pods find each other, and every way to cut them off holds."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from preview.resources import Resource
from sandbox.control.client import Sandbox
from sandbox.control.place import ON_A_NODE, Place
from sandbox.errors import InvalidError
from sandbox.host.addresses import IPV6, ClusterNetwork
from tests.sandbox.conftest import eventually
from tests.sandbox.manifests import SLEEP, container, headless, pod_spec, resource, stateful_set

pytestmark = pytest.mark.sandbox

DOMAIN = "k8s.example.com"
LISTEN = f"(while :; do echo $HOSTNAME | nc -l -p 7000; done) & {SLEEP}"
RESOLVE = "import socket,sys; print(*sorted({a[4][0] for a in socket.getaddrinfo(sys.argv[1], 1)}))"
CONNECT_S = """
import socket, sys, time
began = time.monotonic()
with socket.create_connection((sys.argv[1], 7000), 5) as peer:
    peer.recv(1)
    print(time.monotonic() - began)
"""


@pytest.fixture(scope="module")
def shared_sandbox() -> Iterator[Sandbox]:
    with Sandbox(f"test-{os.getpid()}-ipv6", network=ClusterNetwork(IPV6, DOMAIN)) as sandbox:
        yield sandbox


def addresses(sandbox: Sandbox, name: str) -> list[str]:
    done = sandbox.run(["python", "-c", RESOLVE, name], timeout_s=10)
    return done.stdout.split() if done.exit == 0 else []


def talks(sandbox: Sandbox, source: str, target_ip: str) -> bool:
    return sandbox.exec(source, ["nc", "-w", "1", target_ip, "7000"]).exit == 0


def test_pods_have_ipv6_addresses_alone_and_find_each_other_in_the_clusters_own_domain(sandbox: Sandbox) -> None:
    alias = resource("Service", "cache", {"type": "ExternalName", "externalName": f"web.default.svc.{DOMAIN}"})
    sandbox.apply([headless("web"), alias, stateful_set("web", pod_spec(container(SLEEP)), replicas=2)])
    ips = {name: pod["ip"] for name, pod in sandbox.pods().items()}

    assert all(ip.startswith("fd00:10:244::") for ip in ips.values())
    for name in (f"web.default.svc.{DOMAIN}", f"cache.default.svc.{DOMAIN}", "web.default"):
        assert addresses(sandbox, name) == sorted(ips.values())
    assert addresses(sandbox, f"web-1.web.default.svc.{DOMAIN}") == [ips["web-1"]]
    assert addresses(sandbox, "web.default.svc.cluster.local") == []
    asked = sandbox.exec("web-0", ["nslookup", "-type=aaaa", f"web-1.web.default.svc.{DOMAIN}"]).check().stdout
    assert asked.count(ips["web-1"]) == 1
    shown = sandbox.exec("web-0", ["ip", "-o", "address", "show", "dev", "eth0"]).check().stdout
    assert [line.split()[3] for line in shown.splitlines()] == [f"{ips['web-0']}/128"]
    hosts = sandbox.exec("web-0", ["cat", "/etc/hosts"]).check().stdout
    assert hosts.splitlines()[-1] == f"{ips['web-0']}\tweb-0.web.default.svc.{DOMAIN}\tweb-0"


def test_partitions_policies_and_slow_links_hold_for_ipv6(sandbox: Sandbox) -> None:
    web = [stateful_set("web", pod_spec(container(LISTEN)), replicas=2)]
    sandbox.apply(web)
    ip = sandbox.pods()["web-1"]["ip"]
    eventually(lambda: talks(sandbox, "web-0", ip), 5, "they reach each other at first")

    sandbox.fault("partition", members=["web-1"])
    assert not talks(sandbox, "web-0", ip)
    sandbox.fault("heal")
    eventually(lambda: talks(sandbox, "web-0", ip), 5, "healed")

    def connect_s(place: Place) -> float:
        return float(sandbox.run(["python", "-c", CONNECT_S, ip], timeout_s=20, place=place).check().stdout)

    sandbox.fault("slow-link", pod="web-1", delay_ms=200)
    assert connect_s(Place()) >= 0.4
    sandbox.fault("slow-link", pod="web-1")

    nodes_may = {"podSelector": {}, "ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]}
    sandbox.apply([*web, resource("NetworkPolicy", "deny", nodes_may)])
    assert not talks(sandbox, "web-0", ip), "a block of IPv4 lets nobody in here"
    eventually(lambda: sandbox.run(["python", "-c", CONNECT_S, ip], place=ON_A_NODE).exit == 0, 5, "a node reaches it")
    own_range = {"cidr": "fd00:10:244::/112", "except": [f"{ip}/128"]}
    sandbox.apply(
        [*web, resource("NetworkPolicy", "deny", {"podSelector": {}, "ingress": [{"from": [{"ipBlock": own_range}]}]})]
    )
    eventually(lambda: talks(sandbox, "web-0", ip), 5, "its own range does")


def test_zones_may_lie_apart_and_a_lost_pod_is_silent(sandbox: Sandbox) -> None:
    def in_zone(zone: str) -> Resource:
        return stateful_set(zone, pod_spec(container(LISTEN), nodeSelector={"topology.kubernetes.io/zone": zone}))

    sandbox.apply([in_zone("zone-a"), in_zone("zone-b")])
    ip = sandbox.pods()["zone-b-0"]["ip"]
    eventually(lambda: talks(sandbox, "zone-a-0", ip), 5, "reachable at first")
    sandbox.fault("zone-distance", delay_ms=20)
    before = sandbox.status()["bytesBetweenZones"]
    eventually(lambda: talks(sandbox, "zone-a-0", ip), 5, "reachable over the border")
    assert sandbox.status()["bytesBetweenZones"] > before
    sandbox.fault("zone-distance")

    sandbox.fault("lose-pod", pod="zone-b-0")
    done = sandbox.exec("zone-a-0", ["sh", "-c", f"time nc -w 2 {ip} 7000"])
    sandbox.fault("restore", pod="zone-b-0")
    assert "timed out" in done.stderr or "real\t0m 2" in done.stderr, done.stderr


def test_no_packet_can_leave_the_machine(sandbox: Sandbox) -> None:
    sandbox.apply([stateful_set("web", pod_spec(container(SLEEP)))])
    for outside in ("2001:db8::1", "192.0.2.1"):
        assert sandbox.exec("web-0", ["nc", "-w", "1", outside, "80"]).exit != 0
    for version in ("-4", "-6"):
        assert "default" not in sandbox.run(["ip", version, "route"], place=ON_A_NODE).check().stdout


def test_an_except_of_another_family_is_refused(sandbox: Sandbox) -> None:
    odd = {"cidr": "fd00::/8", "except": ["10.0.0.0/8"]}
    with pytest.raises(InvalidError, match=r"except 10\.0\.0\.0/8 is not in fd00::/8"):
        sandbox.apply([resource("NetworkPolicy", "odd", {"podSelector": {}, "egress": [{"to": [{"ipBlock": odd}]}]})])
