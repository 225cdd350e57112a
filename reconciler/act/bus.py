"""The language of the cluster bus, changed on all nodes at the same moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from reconciler.connection import Address, Connection, Connections, ReplyError, UnreachableError, text
from reconciler.observe.cluster_nodes import parse_cluster_nodes

BUS_PORT_DISTANCE = 10_000
"""Of the bus's port from the one that a node is known by, which is that of connections without TLS."""


def _same_bus_port(connection: Connection, bus_port: int) -> str:
    """Another way to write where the bus is, as it is announced: 0, which leaves it to Redis, or the port itself.

    Redis 7.0 finds out which of its two ports it is to name to its clients when such a directive changes, and not when
    tls-cluster does. Until then it sends them to itself by the wrong one (docs/reference/redis.md, "TLS").
    """
    answer = connection.call("CONFIG", "GET", "cluster-announce-bus-port")
    return str(bus_port) if isinstance(answer, list) and answer[1:] == [b"0"] else "0"


def switch_bus(connections: Connections, addresses: Mapping[str, Address], has_tls: bool) -> Callable[[], str | None]:
    """Tells every node to make new connections of the bus, and of replication, with TLS or without.

    Connections that are there stay. A new one between a node that has switched and one that has not fails, so all are
    told at once. Returns a check: None when every node has it and reaches every other, else what is missing. Raises
    `ReplyError` or `UnreachableError` when a node does not take it; then some have the one language and some the other,
    and this must be called again.
    """
    word = "yes" if has_tls else "no"
    settings: dict[Address, tuple[str, ...]] = {}

    def tell(address: Address) -> str | None:
        try:
            connections.to(address).call("CONFIG", "SET", *settings[address])
        except (ReplyError, UnreachableError) as error:
            return f"{address[0]}: {error}"
        return None

    # All are asked, and every connection is made, before the first node is told.
    for address in addresses.values():
        settings[address] = (
            *("tls-cluster", word, "tls-replication", word),
            *("cluster-announce-bus-port", _same_bus_port(connections.to(address), address[1] + BUS_PORT_DISTANCE)),
        )
    failed = [error for error in connections.map(tell, list(addresses.values())) if error]
    if failed:
        raise ReplyError("; ".join(failed))

    def check() -> str | None:
        for address in addresses.values():
            answer = connections.to(address).call("CONFIG", "GET", "tls-cluster")
            if not isinstance(answer, list) or answer[1:] != [word.encode()]:
                return f"{address[0]} has another language"
            table = parse_cluster_nodes(text(connections.to(address).call("CLUSTER", "NODES")))
            lost = [entry.ip for entry in table if entry.node_id in addresses and not entry.connected]
            if lost:
                return f"{address[0]} has no connection to {', '.join(lost)}"
        return None

    return check
