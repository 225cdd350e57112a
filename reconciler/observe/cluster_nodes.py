"""Reads the answer of CLUSTER NODES: one node's table of all the nodes that it knows."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.slots import NO_SLOTS, slot_range

MIN_FIELDS = 8
"""A line has eight fields, and after them the slots of a master, if it has any."""


@dataclass(frozen=True)
class NodeEntry:
    """One line of CLUSTER NODES: what the node that was asked believes of one node (itself, where `myself` is a flag).

    `migrating` and `importing` are pairs of a slot and the other node's id; only the line about the node itself has
    them. `silent_ms` is for how long nothing has been heard of the node; it is 0 for a node that has never been heard
    of, and for one without a connection yet.
    """

    node_id: str
    ip: str
    port: int
    hostname: str
    flags: frozenset[str]
    master_id: str | None
    config_epoch: int
    connected: bool
    slots: int
    migrating: tuple[tuple[int, str], ...] = ()
    importing: tuple[tuple[int, str], ...] = ()
    silent_ms: float = 0

    @property
    def is_master(self) -> bool:
        return "master" in self.flags

    @property
    def in_handshake(self) -> bool:
        """The two nodes have not met yet. Until they have, Redis shows an id that it has made up."""
        return "handshake" in self.flags

    @property
    def failed(self) -> bool:
        """A majority of the masters agreed that the node is down (`fail?` is the suspicion of a single node)."""
        return "fail" in self.flags

    @property
    def suspected(self) -> bool:
        return "fail?" in self.flags or self.failed

    @property
    def address_lost(self) -> bool:
        """Redis takes a node's address away when a node with another id answers there."""
        return "noaddr" in self.flags


def _address(field: str) -> tuple[str, int, str]:
    """Of `ip:port@busport[,hostname[,key=value…]]`: IP, port, hostname. The IP is empty while a node does not know
    its own."""
    address, *rest = field.split(",")
    ip, _, port = address.split("@")[0].rpartition(":")
    hostname = rest[0] if rest and "=" not in rest[0] else ""
    return ip, int(port), "" if hostname == "?" else hostname


def parse_cluster_nodes(text: str, clock_ms: float = 0) -> tuple[NodeEntry, ...]:
    """Parse the answer of CLUSTER NODES of Redis 6.2 and up. `clock_ms` is the clock of the node that answered, since
    the lines say when a node was last heard of, not how long ago. Raises `ValueError` on a line of another shape."""
    entries = []
    for line in text.splitlines():
        fields = line.split()
        if not fields:
            continue
        if len(fields) < MIN_FIELDS:
            raise ValueError(f"not a line of CLUSTER NODES: {line!r}")
        ip, port, hostname = _address(fields[1])
        slots, migrating, importing = NO_SLOTS, [], []
        for part in fields[MIN_FIELDS:]:
            if part.startswith("["):
                if "->-" in part:
                    slot, _, other = part.strip("[]").partition("->-")
                    migrating.append((int(slot), other))
                else:
                    slot, _, other = part.strip("[]").partition("-<-")
                    importing.append((int(slot), other))
            else:
                first, _, last = part.partition("-")
                slots |= slot_range(int(first), int(last or first))
        flags = frozenset(fields[2].split(","))
        heard_ms = int(fields[5])
        was_heard = heard_ms > 0 and "myself" not in flags
        entries.append(
            NodeEntry(
                node_id=fields[0],
                ip=ip,
                port=port,
                hostname=hostname,
                flags=flags,
                master_id=None if fields[3] == "-" else fields[3],
                config_epoch=int(fields[6]),
                connected=fields[7] == "connected",
                slots=slots,
                migrating=tuple(migrating),
                importing=tuple(importing),
                silent_ms=max(0.0, clock_ms - heard_ms) if was_heard else 0,
            )
        )
    return tuple(entries)
