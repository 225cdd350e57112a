"""Names resolve as CoreDNS resolves them."""

from __future__ import annotations

from dataclasses import replace

import dns.flags
import dns.message
import dns.rcode
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.host.dns import Answer, ClusterNames, Endpoint, ServiceRecord, reply, resolve

SUFFIX = "svc.cluster.local"


def named(*services: ServiceRecord) -> ClusterNames:
    return ClusterNames(
        {(s.namespace, s.name): s for s in services}, frozenset({"default"} | {s.namespace for s in services})
    )


WEB = ServiceRecord(
    "web",
    "default",
    endpoints=(
        Endpoint("10.244.0.2", "web-0", published=True),
        Endpoint("10.244.0.3", "web-1", published=False),
        Endpoint("10.244.0.4", None, published=True),
    ),
)


SIX = ServiceRecord(
    "web",
    "default",
    endpoints=(Endpoint("fd00:10:244::2", "web-0", published=True), Endpoint("fd00:10:244::4", None, published=True)),
)


def found(answer: Answer) -> list[str]:
    return sorted(record.data for record in answer.records)


@pytest.mark.parametrize(
    ("name", "kind", "data", "exists"),
    [
        ("web.default", "A", ["10.244.0.2", "10.244.0.4"], True),
        ("web-0.web.default", "A", ["10.244.0.2"], True),
        ("WEB-0.Web.default", "A", ["10.244.0.2"], True),
        ("web-1.web.default", "A", [], False),
        ("10-244-0-4.web.default", "A", ["10.244.0.4"], True),
        ("10-244-0-2.web.default", "A", [], False),
        ("web.default", "AAAA", [], True),
        ("web-0.web.default", "AAAA", [], True),
        ("web.other", "A", [], False),
        ("gone.default", "A", [], False),
        ("default", "A", [], True),
        ("nowhere", "A", [], False),
        ("a.b.web.default", "A", [], False),
    ],
)
def test_headless_services_resolve_to_published_endpoints(name: str, kind: str, data: list[str], exists: bool) -> None:
    answer = resolve(named(WEB), f"{name}.{SUFFIX}.", kind)
    assert (found(answer), answer.exists) == (data, exists)


@pytest.mark.parametrize(
    ("name", "kind", "data"),
    [
        ("web.default", "AAAA", ["fd00:10:244::2", "fd00:10:244::4"]),
        ("web-0.web.default", "AAAA", ["fd00:10:244::2"]),
        ("fd00-10-244--4.web.default", "AAAA", ["fd00:10:244::4"]),
        ("web.default", "A", []),
    ],
)
def test_pods_with_ipv6_addresses_have_records_of_that_kind_alone(name: str, kind: str, data: list[str]) -> None:
    answer = resolve(named(SIX), f"{name}.{SUFFIX}", kind)
    assert (found(answer), answer.exists) == (data, True)


def test_a_cluster_has_its_names_in_its_own_domain_and_no_others() -> None:
    alias = ServiceRecord("cache", "apps", external_name="web.default.svc.k8s.example.com")
    names = replace(named(SIX, alias), domain="k8s.example.com")
    assert found(resolve(names, "web-0.web.default.svc.k8s.example.com", "AAAA")) == ["fd00:10:244::2"]
    assert "fd00:10:244::2" in found(resolve(names, "cache.apps.svc.k8s.example.com", "AAAA"))
    assert resolve(names, f"web.default.{SUFFIX}", "AAAA") == Answer((), exists=False, ours=False)
    missing = ask("gone.default.svc.k8s.example.com", services=names)
    assert missing.authority[0].name.to_text() == "k8s.example.com."


def test_a_service_without_published_endpoints_does_not_exist() -> None:
    assert not resolve(named(ServiceRecord("web", "default")), f"web.default.{SUFFIX}", "A").exists


def test_an_external_name_is_an_alias_followed_to_its_addresses() -> None:
    alias = ServiceRecord("cache", "apps", external_name=f"web.default.{SUFFIX}")
    twice = ServiceRecord("again", "apps", external_name=f"cache.apps.{SUFFIX}.")
    records = resolve(named(WEB, alias, twice), f"again.apps.{SUFFIX}", "A").records
    assert [(r.kind, r.data) for r in records] == [
        ("CNAME", f"cache.apps.{SUFFIX}."),
        ("CNAME", f"web.default.{SUFFIX}."),
        ("A", "10.244.0.2"),
        ("A", "10.244.0.4"),
    ]


def test_aliases_in_a_circle_end() -> None:
    one = ServiceRecord("one", "default", external_name=f"two.default.{SUFFIX}")
    two = ServiceRecord("two", "default", external_name=f"one.default.{SUFFIX}")
    records = resolve(named(one, two), f"one.default.{SUFFIX}", "A").records
    assert {record.kind for record in records} == {"CNAME"}
    assert len(records) <= 8


def ask(
    name: str, *, edns: bool = False, services: ClusterNames | None = None, datagram: bool = True
) -> dns.message.Message:
    query = dns.message.make_query(name, "A", use_edns=edns)
    packet = reply(services or named(WEB), query.to_wire(), datagram=datagram)
    assert packet is not None
    response = dns.message.from_wire(packet)
    assert response.id == query.id
    return response


def test_missing_names_missing_types_and_names_elsewhere_are_told_apart() -> None:
    missing = ask(f"gone.default.{SUFFIX}")
    assert missing.rcode() == dns.rcode.NXDOMAIN
    assert missing.authority
    elsewhere = ask("example.com")
    assert elsewhere.rcode() == dns.rcode.NXDOMAIN
    assert not elsewhere.flags & dns.flags.AA
    there = ask(f"web.default.{SUFFIX}")
    assert there.rcode() == dns.rcode.NOERROR
    assert there.answer[0].ttl == 5


def test_an_answer_too_long_for_a_datagram_is_truncated_and_whole_over_tcp() -> None:
    many = ServiceRecord(
        "many", "default", endpoints=tuple(Endpoint(f"10.244.1.{n}", None, published=True) for n in range(1, 61))
    )
    name = f"many.default.{SUFFIX}"
    assert ask(name, services=named(many)).flags & dns.flags.TC
    assert len(ask(name, services=named(many), edns=True).answer[0]) == 60
    assert len(ask(name, services=named(many), datagram=False).answer[0]) == 60


@given(st.binary(max_size=80))
def test_no_packet_makes_the_server_fail(packet: bytes) -> None:
    reply(named(WEB), packet, datagram=True)
