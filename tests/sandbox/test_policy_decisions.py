"""What the sandbox decides of NetworkPolicies is what the simulator of tests/manifests says, which shares no code with
it; and the kernel takes the rules that are made of it, whatever they are."""

from __future__ import annotations

import subprocess
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.host.addresses import IPV4, IPV6, Family
from sandbox.host.firewall import Guard, Opening, ruleset
from sandbox.kubernetes.controllers.network_policies import Member, guards
from sandbox.kubernetes.manifests.base import decode
from sandbox.kubernetes.manifests.network_policy import Namespace, NetworkPolicy
from tests.manifests.reach import End, Reach

PLACES = {"a": {"team": "x"}, "b": {"team": "y", "mark": "1"}, "c": {}}
ADDRESS = {IPV4: "10.244.{}.{}", IPV6: "fd00:10:244::{}:{}"}
MEMBERS = {
    family: [
        Member(address.format(number, index + 1), place, labels)
        for number, place in enumerate(PLACES)
        for index, labels in enumerate(({}, {"app": "x"}, {"app": "y", "tier": "t"}))
    ]
    for family, address in ADDRESS.items()
}
PORTS = (53, 6379, 6380, 16379)

values = st.sampled_from(["x", "y", "1", "t"])
keys = st.sampled_from(["app", "tier", "team", "mark", "kubernetes.io/metadata.name"])
expressions = st.one_of(
    st.fixed_dictionaries(
        {
            "key": keys,
            "operator": st.sampled_from(["In", "NotIn"]),
            "values": st.lists(st.one_of(values, st.sampled_from("abc")), min_size=1, max_size=2),
        }
    ),
    st.fixed_dictionaries({"key": keys, "operator": st.sampled_from(["Exists", "DoesNotExist"])}),
)
selectors = st.fixed_dictionaries(
    {},
    optional={
        "matchLabels": st.dictionaries(keys, values, max_size=1),
        "matchExpressions": st.lists(expressions, max_size=1),
    },
)
blocks = st.sampled_from(
    [
        {"cidr": "10.244.0.0/16"},
        {"cidr": "10.244.0.0/16", "except": ["10.244.1.0/24", "10.244.1.2/32"]},
        {"cidr": "10.244.2.1/32"},
        {"cidr": "0.0.0.0/0", "except": ["10.244.0.0/23"]},
        {"cidr": "fd00:10:244::/96", "except": ["fd00:10:244::1:0/112", "fd00:10:244::1:2/128"]},
        {"cidr": "::/0", "except": ["fd00:10:244::/111"]},
    ]
)
peers = st.one_of(
    st.fixed_dictionaries({"podSelector": selectors}),
    st.fixed_dictionaries({"namespaceSelector": selectors}),
    st.fixed_dictionaries({"namespaceSelector": selectors, "podSelector": selectors}),
    st.fixed_dictionaries({"ipBlock": blocks}),
)
ports = st.one_of(
    st.fixed_dictionaries({"port": st.sampled_from(PORTS)}, optional={"protocol": st.sampled_from(["TCP", "UDP"])}),
    st.fixed_dictionaries({"protocol": st.sampled_from(["TCP", "UDP"])}),
    st.fixed_dictionaries({"port": st.just(6000), "endPort": st.sampled_from([6379, 7000])}),
)


def rules(direction: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    one = st.fixed_dictionaries(
        {}, optional={direction: st.lists(peers, max_size=2), "ports": st.lists(ports, max_size=3)}
    )
    return st.lists(one, max_size=2)


specs = st.fixed_dictionaries(
    {"podSelector": selectors},
    optional={
        "policyTypes": st.sampled_from([["Ingress"], ["Egress"], ["Ingress", "Egress"]]),
        "ingress": rules("from"),
        "egress": rules("to"),
    },
)
policies = st.lists(
    st.builds(
        lambda place, spec: {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "some", "namespace": place},
            "spec": spec,
        },
        st.sampled_from(sorted(PLACES)),
        specs,
    ),
    max_size=4,
)


families = st.sampled_from((IPV4, IPV6))


def decided(objects: list[dict[str, Any]], family: Family) -> dict[str, Guard]:
    named = {
        name: decode(
            Namespace, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}, ""
        )
        for name, labels in PLACES.items()
    }
    items = [decode(NetworkPolicy, item, "policy") for item in objects]
    return guards(items, MEMBERS[family], {name: item.all_labels for name, item in named.items()})


def lets_through(openings: tuple[Opening, ...] | None, ip: str, port: int, protocol: str) -> bool:
    return openings is None or any(
        (
            opening.anybody
            or ip in opening.addresses
            or any(
                ip_address(ip) in ip_network(block.network)
                and not any(ip_address(ip) in ip_network(part) for part in block.without)
                for block in opening.blocks
            )
        )
        and (
            opening.ports is None
            or any(item.protocol == protocol.lower() and item.first <= port <= item.last for item in opening.ports)
        )
        for opening in openings
    )


@given(policies, families)
def test_the_decision_is_that_of_the_simulator(objects: list[dict[str, Any]], family: Family) -> None:
    found, reach = decided(objects, family), Reach(objects, PLACES)
    for source in MEMBERS[family]:
        for target in MEMBERS[family]:
            if source is target:
                continue
            for port, protocol in [*((port, "TCP") for port in PORTS), (53, "UDP")]:
                out = lets_through(found.get(source.ip, Guard()).outward, target.ip, port, protocol)
                into = lets_through(found.get(target.ip, Guard()).inward, source.ip, port, protocol)
                ends = [End(one.ip, one.namespace, one.labels) for one in (source, target)]
                assert (out and into) == reach.can(*ends, port, protocol), (source, target, port, protocol)


@pytest.mark.sandbox
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(policies, families)
def test_the_kernel_takes_the_rules_whatever_the_policies_are(objects: list[dict[str, Any]], family: Family) -> None:
    text = ruleset(decided(objects, family), family)
    command = ["unshare", "--net", "nft", "--file", "-"]
    done = subprocess.run(command, input=text + text, text=True, capture_output=True, check=False, timeout=20)
    assert done.returncode == 0, done.stderr + text
