"""A node of the cluster of dictionaries, and what it believes of others."""

from __future__ import annotations

from dataclasses import dataclass, field

from reconciler.slots import NO_SLOTS

PORT = 6379
EPOCH_S = 1_700_000_000
ACK_S = 1.0
"""How often a replica confirms what it has (`replicationCron`)."""
VOTE_AGAIN_S = 10.0
"""Two node timeouts: so long masters give no second vote about one master."""
JOIN_S = 2.0
"""So long a node that has heard of slots refuses every command (Redis's writable delay; up to 5 s as it rejoins)."""
ELECTION_PATIENCE_S = 10.0
"""Two node timeouts: so long an election of Redis's own may take."""
READS = {"NODES", "INFO", "COUNTKEYSINSLOT", "GETKEYSINSLOT", "GETSLOTMIGRATIONS"}
HARMLESS = {"PING", "INFO", "DBSIZE", "MEMORY", "CLIENT", "TIME", "ASKING", "WATCH", "UNWATCH"}
DATA = {"FUNCTION", "MIGRATE", "UNLINK"}
"""Of those that are no harmless ones: they change keys or functions, and not who owns what."""


class Killed(BaseException):
    """The reconciler's process ends here."""


@dataclass(repr=False)
class KnownNode:
    """What one node believes of another."""

    ip: str
    master_id: str | None
    epoch: int
    slots: int = NO_SLOTS
    failed: bool = False
    heard_s: float = 0.0


@dataclass(repr=False)
class FakeNode:
    node_id: str
    ip: str
    hostname: str
    alive: bool = True
    epoch: int = 0
    master_id: str | None = None
    table: dict[str, KnownNode] = field(default_factory=dict)
    slots: int = NO_SLOTS
    keys: dict[int, set[bytes]] = field(default_factory=dict)
    migrating: dict[int, str] = field(default_factory=dict)
    importing: dict[int, str] = field(default_factory=dict)
    banned: dict[str, float] = field(default_factory=dict)
    linked: bool = False
    linked_s: float = 0.0
    offset: int = 0
    """Bytes of the stream of writes: that a master has sent, or that a replica has received."""
    deaf: bool = False
    """It hears who is there, and not which slots they own."""
    stalled: bool = False
    """Its stream of writes stands still, although it is connected."""
    syncing: bool = False
    alive_s: float = 0.0
    """When it last lived."""
    voted_s: float = -60.0
    """When the masters last voted about this one."""
    waits_for_votes: bool = False
    max_bytes: int = 0
    is_older: bool = False
    """It cannot move slots by itself, whatever the others can."""
    knows_slots_s: float | None = None
    libraries: dict[str, str] = field(default_factory=dict)
    """Code of the libraries of functions, by name."""

    def serves(self, now_s: float) -> bool:
        if not self.slots and not any(known.slots for known in self.table.values()):
            self.knows_slots_s = None
            return False
        if self.knows_slots_s is None:
            self.knows_slots_s = now_s
        return now_s - self.knows_slots_s >= JOIN_S

    def all_keys(self) -> set[bytes]:
        return {key for keys in self.keys.values() for key in keys}
