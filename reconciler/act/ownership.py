"""Commands that change who owns slots."""

from __future__ import annotations

from collections.abc import Container, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

from reconciler.connection import Argument, Connection, Reply, ReplyError
from reconciler.slots import members

SLOTS_AT_ONCE = 512
"""Slots of one pipeline: 1,024 short commands, which a node answers within milliseconds."""

MORE_CONNECTIONS = 7
"""To a node that answers `SETSLOT` only when its replicas have it, as each Valkey does. The answers of eight
connections are waited for together: six times as fast as one after the other, and more connections were no faster
(docs/reference/redis.md)."""

Commands: TypeAlias = Sequence[Sequence[Argument]]
Replies: TypeAlias = "list[Reply | ReplyError]"


def checked(replies: Replies, harmless: str | None = None) -> Replies:
    """Raises the first `ReplyError`, except those with the text `harmless`."""
    for reply in replies:
        if isinstance(reply, ReplyError) and (harmless is None or harmless not in str(reply)):
            raise reply
    return replies


def run_by_slot(connections: Sequence[Connection], commands: Commands) -> Replies:
    """Many `CLUSTER SETSLOT`, on all connections of a node at once; the replies in the order of the commands. Those of
    one slot are carried out in their order."""
    if len(connections) == 1 or len(commands) < 2:
        return connections[0].pipeline(commands)
    shares: list[list[int]] = [[] for _ in connections]
    for index, command in enumerate(commands):
        shares[int(command[2]) % len(connections)].append(index)
    replies: Replies = [None] * len(commands)
    with ThreadPoolExecutor(len(connections)) as threads:
        answers = threads.map(
            lambda connection, share: connection.pipeline([commands[index] for index in share]), connections, shares
        )
        for share, answer in zip(shares, answers, strict=True):
            for index, reply in zip(share, answer, strict=True):
                replies[index] = reply
    return replies


def commands_to_own(
    node: str, slots: Sequence[int], importing: Container[int] | None = None
) -> list[tuple[Argument, ...]]:
    """Commands that make `node`, where they are run, the owner of slots of which it imports the last, and those of
    `importing`; of None all.

    When an imported slot gets its owner, Redis tells every node at once: 2 KiB to each, for each slot. So that is done
    for the last slot only. All others are taken without their mark, after the config epoch was raised, which makes the
    claims prevail; and the message about the last slot tells of all.
    """
    commands: list[tuple[Argument, ...]] = [("CLUSTER", "BUMPEPOCH")]
    for slot in slots[:-1]:
        if importing is None or slot in importing:
            commands.append(("CLUSTER", "SETSLOT", slot, "STABLE"))
        commands.append(("CLUSTER", "SETSLOT", slot, "NODE", node))
    return [*commands, ("CLUSTER", "SETSLOT", slots[-1], "NODE", node)]


def commands_to_tell(slots: int, owner: str) -> list[tuple[Argument, ...]]:
    """Commands that tell another master who owns slots now."""
    return [("CLUSTER", "SETSLOT", slot, "NODE", owner) for slot in members(slots)]


def own(
    connections: Sequence[Connection],
    node: str,
    slots: Sequence[int],
    importing: Container[int] | None = None,
    before: Commands = (),
    harmless: str | None = None,
) -> None:
    """Make `node`, to which the connections lead, the owner of slots as `commands_to_own` does. Raises the first
    `ReplyError`, except those with the text `harmless`. The commands `before` are run first."""
    bump, *claims, last = commands_to_own(node, slots, importing)
    first = connections[0]
    if len(connections) == 1:
        checked(first.pipeline([*before, bump, *claims, last]), harmless)
        return
    # The config epoch is raised before a slot is claimed, and the last slot tells the other nodes of all.
    checked(first.pipeline([*before, bump]), harmless)
    checked(run_by_slot(connections, claims), harmless)
    checked(first.pipeline([last]), harmless)


def take_slots(
    connections: Sequence[Connection], node: str, former: str, slots: int, importing: Container[int]
) -> None:
    """Make `node` the owner of slots of `former` without their keys (docs/reference/redis.md, "Moving slots"). It
    raises its config epoch, so the others, and `former` if it lives, accept the change by gossip; `former` then drops
    the keys.

    Raises `ReplyError` with the first error, `UnreachableError` when a connection breaks. Either leaves each slot
    with its old owner or its new one, at worst marked as importing.
    """
    wanted = list(members(slots))
    for start in range(0, len(wanted), SLOTS_AT_ONCE):
        part = wanted[start : start + SLOTS_AT_ONCE]
        mark = ("CLUSTER", "SETSLOT", part[-1], "IMPORTING", former)
        # An earlier run that was cut off may have come this far.
        own(connections, node, part, importing, before=[mark], harmless="already the owner")
