"""NetworkPolicies are enforced: by rules of the kernel, over addresses that come and go."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from preview.resources import Resource
from sandbox.control.client import Sandbox
from sandbox.control.place import ON_A_NODE, Place
from sandbox.errors import InvalidError
from sandbox.host.addresses import IPV4
from tests.sandbox.conftest import eventually
from tests.sandbox.manifests import container, pod_spec, resource, stateful_set

pytestmark = pytest.mark.sandbox

LISTEN = """
import os, signal, socket, threading
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
def serve(port):
    listener = socket.create_server(("", port))
    while True:
        peer, _ = listener.accept()
        threading.Thread(target=echo, args=(peer,), daemon=True).start()
def echo(peer):
    while data := peer.recv(100):
        peer.sendall(data)
for port in (7000, 7001):
    threading.Thread(target=serve, args=(port,), daemon=True).start()
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams.bind(("", 7002))
while True:
    data, peer = datagrams.recvfrom(100)
    datagrams.sendto(data, peer)
"""
ASK = """
import concurrent.futures, socket, sys
def ask(target):
    protocol, host, port = target.split("/")
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as peer:
        peer.settimeout(0.7)
        try:
            peer.connect((host, int(port)))
            peer.sendall(b"x")
            return "open" if peer.recv(1) == b"x" else "closed"
        except TimeoutError:
            return "dropped"
        except OSError as error:
            return type(error).__name__
with concurrent.futures.ThreadPoolExecutor() as pool:
    print(*pool.map(ask, sys.argv[1:]))
"""
RESOLVE_BY = """
import dns.message, dns.query, sys
query = dns.message.make_query("kubernetes.svc.cluster.local", "A")
for ask in (dns.query.udp, dns.query.tcp):
    try:
        ask(query, sys.argv[1], timeout=0.7)
        print("open")
    except Exception as error:
        print("dropped")
"""


def policy(name: str, spec: dict[str, Any], namespace: str = "default") -> Resource:
    return resource("NetworkPolicy", name, {"podSelector": {}, **spec}, metadata={"namespace": namespace})


def namespace(name: str, **labels: str) -> Resource:
    return resource("Namespace", name, metadata={"labels": labels})


def servers(name: str, *, namespace: str | None = None, **labels: str) -> Resource:
    main = container("", image="python:3.13-alpine", command=["python3", "-c", LISTEN])
    ready = {"exec": {"command": ["python3", "-c", "import socket; socket.create_connection(('127.0.0.1', 7001))"]}}
    main["readinessProbe"] = {**ready, "periodSeconds": 1, "timeoutSeconds": 5}
    place = {} if namespace is None else {"namespace": namespace}
    return stateful_set(name, pod_spec(main), labels=labels, **place)


class Pods:
    """The pods of a sandbox, and what programs that stand somewhere reach of them."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def reached(self, place: Place | str, *targets: str) -> list[str]:
        """`targets` are like `tcp/web-0/7000`; the source is a place, or the name of a pod."""
        pods = self._sandbox.pods()
        named = [re.sub(r"/([a-z0-9-]+)/", lambda found: f"/{pods[found[1]]['ip']}/", target) for target in targets]
        if isinstance(place, str):
            done = self._sandbox.exec(place, ["python3", "-c", ASK, *named], namespace=pods[place]["namespace"])
        else:
            done = self._sandbox.run(["python", "-c", ASK, *named], place=place, timeout_s=20)
        return done.check().stdout.split()


@pytest.fixture
def pods(sandbox: Sandbox) -> Pods:
    return Pods(sandbox)


def test_what_no_policy_allows_is_dropped_and_policies_add_up(sandbox: Sandbox, pods: Pods) -> None:
    web = [servers("web", tier="front"), servers("other"), namespace("friends", team="a")]
    deny = policy("deny", {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress", "Egress"]})
    every = ["tcp/web-0/7000", "tcp/web-0/7001", "udp/web-0/7002"]
    sandbox.apply(web)
    assert pods.reached(Place(), *every) == ["open"] * 3
    assert pods.reached("web-0", "tcp/other-0/7000") == ["open"]

    sandbox.apply([*web, deny])
    assert pods.reached(Place(), *every) == ["dropped"] * 3
    assert pods.reached("web-0", "tcp/other-0/7000") == ["dropped"], "out of the selected pod"
    assert pods.reached("other-0", "tcp/web-0/7000") == ["dropped"]
    assert pods.reached(Place(), "tcp/other-0/7000") == ["open"], "another pod is open"
    assert pods.reached(ON_A_NODE, *every) == ["open"] * 3, "a node reaches its pods"

    friends = {"namespaceSelector": {"matchLabels": {"team": "a"}}, "podSelector": {"matchLabels": {"app": "x"}}}
    some = policy(
        "some",
        {
            "podSelector": {"matchExpressions": [{"key": "tier", "operator": "In", "values": ["front", "back"]}]},
            "ingress": [{"from": [friends], "ports": [{"port": 7000, "endPort": 7001}]}],
        },
    )
    more = policy(
        "more",
        {
            "podSelector": {"matchLabels": {"app": "web"}},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": [{"podSelector": {}}], "ports": [{"protocol": "UDP", "port": 7002}]}],
            "egress": [{"to": [{"podSelector": {"matchLabels": {"app": "other"}}}]}],
        },
    )
    sandbox.apply([*web, deny, some, more])
    assert pods.reached(Place("friends", {"app": "x"}), *every) == ["open", "open", "dropped"]
    assert pods.reached(Place("friends", {"app": "y"}), *every) == ["dropped"] * 3
    assert pods.reached(Place("strangers", {"app": "x"}), *every) == ["dropped"] * 3
    assert pods.reached(Place(), *every) == ["dropped", "dropped", "open"], "its own namespace's, by UDP"
    assert pods.reached("web-0", "tcp/other-0/7001") == ["open"]

    sandbox.apply([*web[:2], namespace("friends", team="b"), deny, some, more])
    assert pods.reached(Place("friends", {"app": "x"}), *every) == ["dropped"] * 3, "the label is another's"
    listed = {item["name"]: item for item in sandbox.status()["networkPolicies"]}
    assert listed["deny"]["pods"] == 1
    assert listed["deny"]["directions"] == ["Ingress", "Egress"]
    assert listed["some"]["directions"] == ["Ingress"]

    sandbox.apply(web)
    assert pods.reached(Place(), *every) == ["open"] * 3


def test_a_pod_that_comes_back_with_another_address_has_its_policies_from_the_first_moment(
    sandbox: Sandbox, pods: Pods
) -> None:
    allow = policy("allow", {"ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "one"}}}]}]}, "a")
    objects = [namespace("a"), servers("one", namespace="a"), servers("two", namespace="a"), allow]
    sandbox.apply(objects)
    before = sandbox.pods()["one-0"]
    assert pods.reached("one-0", "tcp/two-0/7000") == ["open"]
    sandbox.fault("kill-pod", pod="one-0", now=True)

    def is_back() -> bool:
        pod = sandbox.pods().get("one-0", before)
        return pod["uid"] != before["uid"] and bool(pod["ready"])

    eventually(is_back, 20, "one-0 is back")
    assert sandbox.pods()["one-0"]["ip"] != before["ip"]
    assert pods.reached("one-0", "tcp/two-0/7000") == ["open"]
    assert pods.reached(Place("a"), "tcp/one-0/7000", "tcp/two-0/7000") == ["dropped"] * 2
    assert pods.reached("two-0", "tcp/one-0/7000") == ["dropped"]


def test_blocks_have_exceptions_and_dns_is_reached_by_both_protocols_where_it_is_allowed(
    sandbox: Sandbox, pods: Pods
) -> None:
    web = [servers("web"), servers("other"), servers("third")]
    sandbox.apply(web)
    ips = {name: pod["ip"] for name, pod in sandbox.pods().items()}
    out = {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Egress"]}
    block = {"ipBlock": {"cidr": "10.244.0.0/16", "except": [f"{ips['other-0']}/32", "10.244.128.0/17"]}}
    sandbox.apply([*web, policy("block", {**out, "egress": [{"to": [block]}]})])
    assert pods.reached("web-0", "tcp/other-0/7000", "tcp/third-0/7000") == ["dropped", "open"]
    assert pods.reached("third-0", "tcp/web-0/7000") == ["open"], "answers go out"

    guest = Place("asking")

    def asked() -> list[str]:
        return sandbox.run(["python", "-c", RESOLVE_BY, IPV4.dns_ip], place=guest, timeout_s=20).check().stdout.split()

    servers_of_names = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
    }
    there = namespace("asking")
    for protocols in ([], ["UDP"], ["TCP"], ["UDP", "TCP"]):
        rule = {"to": [servers_of_names], "ports": [{"protocol": name, "port": 53} for name in protocols]}
        denied = {"policyTypes": ["Egress"], **({"egress": [rule]} if protocols else {})}
        sandbox.apply([there, policy("names", denied, "asking")])
        assert asked() == ["open" if name in protocols else "dropped" for name in ("UDP", "TCP")], protocols


HOLD = """
import pathlib, socket, sys, time
host, folder = sys.argv[1], pathlib.Path(sys.argv[2])
peer = socket.create_connection((host, 7000), 5)
peer.settimeout(5)
(folder / "in").touch()
while not (folder / "changed").exists():
    time.sleep(0.02)
peer.sendall(b"x")
print(peer.recv(1).decode())
"""


def test_a_connection_that_is_open_stays_open_when_the_policies_change(
    sandbox: Sandbox, pods: Pods, tmp_path: Path
) -> None:
    web = [servers("web")]
    sandbox.apply(web)
    command = ["python", "-c", HOLD, sandbox.pods()["web-0"]["ip"], str(tmp_path)]
    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(sandbox.run, command, timeout_s=30)
        eventually((tmp_path / "in").exists, 20, "the connection is open")
        sandbox.apply([*web, policy("deny", {})])
        assert pods.reached(Place(), "tcp/web-0/7000") == ["dropped"]
        (tmp_path / "changed").touch()
        assert holding.result().check().stdout.split() == ["x"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"ingress": [{"ports": [{"port": "redis"}]}]}, "spec.ingress[0].ports[0].port is 'redis': the sandbox knows"),
        ({"ingress": [{"ports": [{"port": 1, "protocol": "SCTP"}]}]}, "protocol is 'SCTP'; the sandbox supports 'TCP'"),
        ({"ingress": [{"ports": [{"port": 5, "endPort": 4}]}]}, "endPort 4 needs a port that is not above it"),
        ({"egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/9"]}}]}]}, "is not in 10.0.0.0/8"),
        ({"ingress": [{"from": [{}]}]}, "a peer has either selectors or an ipBlock"),
        ({"egress": [{"from": []}]}, "spec.egress[0].from is not supported by the sandbox"),
        ({"policyTypes": ["Ingress", "Both"]}, "policyTypes[1] is 'Both'"),
        ({"podSelector": {"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1"]}]}}, "operator is 'Gt'"),
        ({"podSelector": {"matchExpressions": [{"key": "a", "operator": "In", "values": []}]}}, "values must be given"),
    ],
)
def test_what_it_would_not_enforce_is_refused(sandbox: Sandbox, spec: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidError) as caught:
        sandbox.apply([policy("odd", spec)])
    assert message in str(caught.value)
