"""What can be done to a cluster. Values only: the rules say when an action is safe, `act` carries it out.

Every action names nodes by id and says in `why` what made it necessary. It may be repeated: carried out twice, or again
after it was cut off half-way, it leads to the same state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from reconciler.observe.native_jobs import NativeWay


@dataclass(frozen=True)
class SetEpoch:
    """Give a node that knows no other a config epoch of its own, as redis-cli does before the first meeting."""

    node: str
    config_epoch: int
    why: str


@dataclass(frozen=True)
class Meet:
    """CLUSTER MEET on `node`, towards the node `other` at `ip`:`port`."""

    node: str
    other: str
    ip: str
    port: int
    why: str


@dataclass(frozen=True)
class AssignSlots:
    """Give slots that nobody owns to `node`. With `outrank` its config epoch is raised above all others afterwards.
    Else a node whose table is old, and whose epoch is higher, would go on denying it the slots."""

    node: str
    slots: int
    outrank: bool
    why: str


@dataclass(frozen=True)
class TakeSlots:
    """Let `node` own slots without their keys, by SETSLOT IMPORTING and SETSLOT NODE on `node` alone.

    Redis wants a master to be named that the slots are imported from: `former` is their owner or, if that is gone, any
    other master that `node` knows. Which one makes no difference to the outcome.
    """

    node: str
    slots: int
    former: str
    why: str


@dataclass(frozen=True)
class Replicate:
    """CLUSTER REPLICATE: let `node` be a replica of `master`."""

    node: str
    master: str
    why: str


@dataclass(frozen=True)
class Reset:
    """CLUSTER RESET SOFT of a replica whose copy of the data is not needed: it becomes an empty master."""

    node: str
    why: str


@dataclass(frozen=True)
class Failover:
    """CLUSTER FAILOVER on a replica. `mode` is empty (the master hands over), FORCE (the other masters vote, although
    its master is down) or TAKEOVER (nobody is asked)."""

    node: str
    mode: str
    why: str


@dataclass(frozen=True)
class Forget:
    """CLUSTER FORGET of `gone` on every node of `nodes`. All must hear it within 60 s, for as long as Redis keeps a
    forgotten node out: later, a node that still knows it would bring it back by gossip."""

    gone: str
    nodes: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class SetSlotStable:
    """CLUSTER SETSLOT STABLE: take away a mark (migrating or importing) that no move stands behind any more."""

    node: str
    slot: int
    why: str


@dataclass(frozen=True)
class Move:
    """Move slots from `source`, which owns them, to `target`: with their keys in mode copy, without in mode expire."""

    source: str
    target: str
    slots: int
    mode: str
    why: str


@dataclass(frozen=True)
class SwitchBus:
    """CONFIG SET tls-cluster and tls-replication on all of `nodes` at the same moment."""

    nodes: tuple[str, ...]
    has_tls: bool
    why: str


@dataclass(frozen=True)
class CancelNativeJob:
    """End a job by which servers move slots themselves, on the node that has the say in it. The slots stay where they
    are, and the target drops what it has got of them."""

    node: str
    way: NativeWay
    job: str
    why: str


@dataclass(frozen=True)
class LoadLibrary:
    """FUNCTION LOAD on a master. Without `replaces` Redis refuses a library of a name that the node has already."""

    node: str
    library: str
    code: bytes
    replaces: bool
    why: str


Action: TypeAlias = (
    SetEpoch
    | Meet
    | AssignSlots
    | TakeSlots
    | Replicate
    | Reset
    | Failover
    | Forget
    | SetSlotStable
    | Move
    | SwitchBus
    | CancelNativeJob
    | LoadLibrary
)


@dataclass(frozen=True)
class RuleResult:
    """What a rule finds. `actions` are to be done now. `waiting` says what must come true by itself before the phase
    can end. `notes` is what people should know. `refused` ends the run at once and leaves the cluster as it is.
    `finished`: no later rule of the phase applies. `waiting_rules` has, of the step of a whole phase, the name of the
    rule behind each thing that is waited for."""

    actions: tuple[Action, ...] = ()
    waiting: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    refused: str | None = None
    finished: bool = False
    waiting_rules: tuple[str, ...] = ()

    @property
    def done(self) -> bool:
        return not self.actions and not self.waiting and self.refused is None
