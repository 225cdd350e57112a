"""What can be done to a cluster. Values only: `act` carries them out, `decide` says when they are safe.

Every action names the nodes by id, says in `why` what made it necessary, and may be repeated: carried out twice, or
again after being cut off half-way, it leads to the same state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class SetEpoch:
    """Give a node that knows no other a config epoch of its own, as redis-cli does before the first meeting."""

    node: str
    epoch: int
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
    """Give slots that nobody owns to `node`. With `outrank` its config epoch is raised above every other first known,
    so that a node with an old table cannot dispute them."""

    node: str
    slots: int
    outrank: bool
    why: str


@dataclass(frozen=True)
class TakeSlots:
    """Let `node` own slots without their keys, by SETSLOT IMPORTING and SETSLOT NODE on `node` alone. `former` is the
    owner, or, when it is gone, any other master `node` knows: Redis wants one to be named."""

    node: str
    slots: int
    former: str
    why: str


@dataclass(frozen=True)
class Replicate:
    node: str
    master: str
    why: str


@dataclass(frozen=True)
class Reset:
    """CLUSTER RESET SOFT of a replica whose copy is not wanted there: it comes back as an empty master."""

    node: str
    why: str


@dataclass(frozen=True)
class Failover:
    """CLUSTER FAILOVER on a replica; `mode` is empty (agreed with its master), FORCE (by vote) or TAKEOVER."""

    node: str
    mode: str
    why: str


@dataclass(frozen=True)
class Forget:
    """CLUSTER FORGET of `gone` on every node of `nodes`, all within the 60 s a node stays banned."""

    gone: str
    nodes: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class Stabilise:
    """CLUSTER SETSLOT STABLE: drop the mark of a move that never began or has ended."""

    node: str
    slot: int
    why: str


@dataclass(frozen=True)
class Move:
    """Move slots from their owner to `target`, with their keys in mode copy, without in mode expire."""

    source: str
    target: str
    slots: int
    mode: str
    why: str


Action: TypeAlias = SetEpoch | Meet | AssignSlots | TakeSlots | Replicate | Reset | Failover | Forget | Stabilise | Move


@dataclass(frozen=True)
class Decision:
    """`actions` are to be done now; `waiting` is what must come true by itself before the end; `notes` is what people
    should know; `refused` ends the run at once with the cluster as it is; `finished`: no later rule applies."""

    actions: tuple[Action, ...] = ()
    waiting: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    refused: str | None = None
    finished: bool = False

    @property
    def done(self) -> bool:
        return not self.actions and not self.waiting and self.refused is None
