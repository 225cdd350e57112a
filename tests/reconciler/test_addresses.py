"""Addresses of both families are told apart from their ports, wherever the reconciler meets them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reconciler.act.client_discovery import clients
from reconciler.addresses import split_port, with_port
from reconciler.connection import REPLY_TIMEOUT_S, Argument, Reply, ReplyError
from reconciler.observe.cluster_nodes import parse_cluster_nodes

ips = st.ip_addresses().map(str)
hosts = st.one_of(ips, st.from_regex(r"[a-z][a-z0-9-]{0,10}(\.[a-z]{1,5}){0,3}", fullmatch=True))
ports = st.integers(1, 65535)


@given(hosts, ports, ports)
def test_what_was_joined_is_split_again(host: str, port: int, otherwise: int) -> None:
    assert split_port(with_port(host, port), otherwise) == (host, port)
    assert split_port(host, otherwise) == (host, otherwise)


@given(ips, ports, st.one_of(st.just(""), st.just(",pod-0.set.ns.svc.k8s.example.com,shard-id=5f5a")))
def test_a_line_of_cluster_nodes_has_the_address_that_redis_wrote_without_brackets(
    ip: str, port: int, rest: str
) -> None:
    (entry,) = parse_cluster_nodes(f"aaa {ip}:{port}@{port + 10000}{rest} master - 0 0 3 connected 0-99")
    assert (entry.ip, entry.port) == (ip, port)
    assert entry.hostname == ("pod-0.set.ns.svc.k8s.example.com" if rest else "")


class Listed:
    """A connection to a node that lists these clients."""

    def __init__(self, addresses: list[str]) -> None:
        self._lines = "".join(f"id=7 addr={address} name= age=9 idle=0\n" for address in addresses)

    def call(self, *arguments: Argument, timeout_s: float = REPLY_TIMEOUT_S) -> Reply:
        return self._lines.encode()

    def pipeline(self, commands: object, timeout_s: float = REPLY_TIMEOUT_S) -> list[Reply | ReplyError]:
        raise AssertionError("one command is enough")

    def close(self) -> None:
        """Nothing is open."""


@given(st.lists(st.tuples(ips, ports)))
def test_the_clients_of_a_node_are_known_by_their_addresses(there: list[tuple[str, int]]) -> None:
    assert clients(Listed([with_port(ip, port) for ip, port in there])) == {ip for ip, _ in there}
