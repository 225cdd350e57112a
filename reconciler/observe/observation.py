"""What nodes report about themselves and each other, as values.

Nodes may disagree, and each of them may be wrong. Nothing here hides that: the rules in `decide` judge it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from reconciler.addresses import with_port
from reconciler.observe.cluster_nodes import NodeEntry
from reconciler.observe.native_jobs import NativeJob, NativeWay


@dataclass(frozen=True)
class Library:
    """A library of functions, as FUNCTION LOAD gave it to a node. The code is compared byte by byte."""

    name: str
    functions: frozenset[str]
    code: bytes


@dataclass(frozen=True)
class NodeReport:
    """The answers of one node that could be reached: its table of nodes and its own figures (sizes in bytes).

    `ip` and `port` are where it was reached, which need not be what it announces. `pod` is the wanted pod whose host
    name led there; None for a node that this topology does not have.
    """

    ip: str
    port: int
    pod: str | None
    entries: tuple[NodeEntry, ...]
    cluster_ok: bool
    """The node says `cluster_state:ok`. Until it does, it refuses its clients' commands."""
    keys: int
    master_link_up: bool
    """Of a replica: it has a whole copy of its master's data, and is connected to it."""
    syncing: bool
    """Of a replica: a full resync is running. To interrupt it means that all data is sent again from the start."""
    replicas_online: int
    """Of a master: replicas that are sent each write as it comes, and confirmed some within the last second."""
    replication_offset: int
    """Bytes of the master's stream of writes: that it has sent, or that the replica has received."""
    used_bytes: int
    dataset_bytes: int
    max_bytes: int
    """maxmemory; 0 for no limit."""
    takes_marks_in_transactions: bool = True
    """A slot may be marked as migrating inside MULTI. Valkey hands each mark to its replicas and waits for them, which
    it cannot do in a transaction: an assertion of its own then ends the master (docs/reference/redis.md, "Moving
    slots")."""
    engine: str = "redis"
    version: tuple[int, int] | None = None
    """The first two numbers of the server's version; None if it does not tell one."""
    bus_has_tls: bool = False
    """New connections of the cluster bus, of replication and of MIGRATE are made with TLS (tls-cluster)."""
    has_tls_port: bool = False
    native_way: NativeWay | None = None
    """How it can move slots by itself; None if it cannot."""
    native_jobs: tuple[NativeJob, ...] = ()
    """Of a master: such jobs in which it has the say, and that have not ended."""
    library_count: int = 0
    """Libraries of functions the node says it has."""
    libraries: tuple[Library, ...] = ()
    """Of a master: those libraries, if any master has some."""
    half_moved_keys: tuple[tuple[int, int], ...] = ()
    """Of a master: pairs of a slot that some node marks as migrating or importing, and the number of its keys here."""
    run_names: frozenset[str] = frozenset()
    """Names of the runs of the reconciler that are changing the cluster, as seen from their connections to it."""

    @cached_property
    def myself(self) -> NodeEntry:
        """The node's line about itself, which Redis flags `myself`."""
        return next(entry for entry in self.entries if "myself" in entry.flags)

    @cached_property
    def known_nodes(self) -> dict[str, NodeEntry]:
        """Entries by node id. Nodes that have not been met yet are left out, since their ids are made up."""
        return {entry.node_id: entry for entry in self.entries if not entry.in_handshake}

    @property
    def node_id(self) -> str:
        return self.myself.node_id

    @property
    def is_master(self) -> bool:
        return self.myself.is_master

    @property
    def marks_slots(self) -> bool:
        """Whether it marks any slot as migrating or importing."""
        return bool(self.myself.migrating or self.myself.importing)

    @property
    def knows_only_itself(self) -> bool:
        return len(self.entries) == 1

    @property
    def name(self) -> str:
        return self.pod or with_port(self.ip, self.port)


@dataclass(frozen=True)
class MissingPod:
    """A wanted pod that did not tell what was asked, and why.

    `no_such_name`: DNS answered that its host name does not exist. `lives`: it answered with an error. `not_admitted`:
    with one that says it does not let this program in. `wrong_mode`: it takes connections, but only with TLS where none
    is wanted, or only without, or with a certificate of another authority.
    """

    pod: str
    reason: str
    no_such_name: bool = False
    lives: bool = False
    wrong_mode: bool = False
    not_admitted: bool = False


@dataclass(frozen=True)
class SeedAnswer:
    """What came of asking at a seed, a name behind which a cluster that already serves may be found.

    `is_conclusive`: either a node answered there, or DNS said that the name does not exist. A time-out proves nothing.
    `not_admitted`: nodes answered there, and none of them lets this program in. `wrong_mode` as of `MissingPod`.
    """

    name: str
    is_conclusive: bool
    reason: str
    not_admitted: bool = False
    wrong_mode: bool = False


@dataclass(frozen=True)
class Observation:
    """All that was seen of the cluster at one time.

    `other_hosts` are host names of nodes that do not answer and that this topology does not have, but that DNS still
    knows (or could not tell): pods of another pool that are only away. `own_run` is the name of the run that looks.
    `other_names` has the addresses that DNS gives for the names of pods that this topology does not have: none where
    there is no such name, None where DNS did not answer. `suspected_s` says for how many seconds this run has taken a
    member for a stranger, by node id. `not_trusted` says of nodes, by their names, why their certificate is not to be
    trusted, although they could be reached without TLS.
    """

    reports: tuple[NodeReport, ...]
    missing: tuple[MissingPod, ...] = ()
    seeds: tuple[SeedAnswer, ...] = ()
    other_hosts: frozenset[str] = frozenset()
    own_run: str = ""
    other_names: Mapping[str, frozenset[str] | None] = field(default_factory=dict)
    suspected_s: Mapping[str, float] = field(default_factory=dict)
    not_trusted: Mapping[str, str] = field(default_factory=dict)
