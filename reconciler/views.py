"""What nodes say about themselves and each other, as values.

A `View` is one reachable node's answer; its `rows` are its CLUSTER NODES table. Different nodes may disagree: nothing
here hides that, `decide` judges it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from reconciler.slots import NO_SLOTS, slot_range


@dataclass(frozen=True)
class Row:
    """One line of CLUSTER NODES. `migrating` and `importing` are (slot, other node's id); only a node's own line has
    them. `silent_ms`: how long the node that wrote the line has not heard from the node it is about, 0 when connected
    or never heard."""

    node_id: str
    ip: str
    port: int
    hostname: str
    flags: frozenset[str]
    master_id: str | None
    epoch: int
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
        """The id is a stand-in until the other node has answered."""
        return "handshake" in self.flags

    @property
    def failed(self) -> bool:
        """A majority of masters agreed that the node is down (`fail?` is one node's suspicion)."""
        return "fail" in self.flags

    @property
    def suspected(self) -> bool:
        return "fail?" in self.flags or self.failed


@dataclass(frozen=True)
class View:
    """One reachable node: the address it was reached at, its own table and its own figures (sizes in bytes)."""

    ip: str
    port: int
    pod: str | None
    rows: tuple[Row, ...]
    cluster_ok: bool
    keys: int
    link_up: bool
    syncing: bool
    replicas_online: int
    """Of a master: replicas it sends its writes to as they come, and that confirmed some within the last second."""
    replication_offset: int
    used_bytes: int
    dataset_bytes: int
    max_bytes: int
    open_slot_keys: tuple[tuple[int, int], ...] = ()
    movers: frozenset[str] = frozenset()

    @cached_property
    def me(self) -> Row:
        return next(row for row in self.rows if "myself" in row.flags)

    @cached_property
    def table(self) -> dict[str, Row]:
        """Rows by node id, without the stand-ins of handshakes."""
        return {row.node_id: row for row in self.rows if not row.in_handshake}

    @property
    def node_id(self) -> str:
        return self.me.node_id

    @property
    def is_master(self) -> bool:
        return self.me.is_master

    @property
    def isolated(self) -> bool:
        return len(self.rows) == 1

    @property
    def name(self) -> str:
        return self.pod or f"{self.ip}:{self.port}"


@dataclass(frozen=True)
class Missing:
    """A desired pod that did not answer, and why. `no_such_name`: DNS answered that there is no such pod."""

    pod: str
    reason: str
    no_such_name: bool = False


@dataclass(frozen=True)
class Seed:
    """What a seed name told. `proven` is false when it neither answered nor provably leads nowhere."""

    name: str
    proven: bool
    answered: bool
    reason: str


@dataclass(frozen=True)
class Observed:
    """Everything seen in one look. `unanswered` are addresses of cluster members that did not answer;
    `existing_hosts` the names of those that DNS still has although this topology does not."""

    views: tuple[View, ...]
    missing: tuple[Missing, ...] = ()
    seeds: tuple[Seed, ...] = ()
    unanswered: tuple[str, ...] = ()
    existing_hosts: frozenset[str] = frozenset()
    own_mover: str = ""


def _address(field: str) -> tuple[str, int, str]:
    """`ip:port@busport[,hostname[,key=value…]]`; the IP is empty while a node does not know its own."""
    address, *rest = field.split(",")
    ip, _, port = address.split("@")[0].rpartition(":")
    hostname = rest[0] if rest and "=" not in rest[0] else ""
    return ip, int(port), "" if hostname == "?" else hostname


def parse_cluster_nodes(text: str, wall_ms: float = 0) -> tuple[Row, ...]:
    """Parse the answer of CLUSTER NODES of Redis 6.2 and up. Raises `ValueError` on a line of another shape."""
    rows = []
    for line in text.splitlines():
        fields = line.split()
        if not fields:
            continue
        if len(fields) < 8:
            raise ValueError(f"not a line of CLUSTER NODES: {line!r}")
        ip, port, hostname = _address(fields[1])
        slots, migrating, importing = NO_SLOTS, [], []
        for part in fields[8:]:
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
        unheard = heard_ms > 0 and "myself" not in flags
        rows.append(
            Row(
                node_id=fields[0],
                ip=ip,
                port=port,
                hostname=hostname,
                flags=flags,
                master_id=None if fields[3] == "-" else fields[3],
                epoch=int(fields[6]),
                connected=fields[7] == "connected",
                slots=slots,
                migrating=tuple(migrating),
                importing=tuple(importing),
                silent_ms=max(0.0, wall_ms - heard_ms) if unheard else 0,
            )
        )
    return tuple(rows)
