"""Commands that change who owns slots."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.connection import Argument, Connection, ReplyError
from reconciler.slots import members

SLOTS_AT_ONCE = 512
"""Slots of one pipeline: 1,024 short commands, which a node answers within milliseconds."""


def commands_to_own(node: str, slots: Sequence[int]) -> list[tuple[Argument, ...]]:
    """Commands that make `node`, where they are run, the owner of slots of which it imports the last.

    When an imported slot gets its owner, Redis tells every node at once: 2 KiB to each, for each slot. So that is done
    for the last slot only. All others are taken without their mark, after the config epoch was raised, which makes the
    claims prevail; and the message about the last slot tells of all.
    """
    commands: list[tuple[Argument, ...]] = [("CLUSTER", "BUMPEPOCH")]
    for slot in slots[:-1]:
        commands.append(("CLUSTER", "SETSLOT", slot, "STABLE"))
        commands.append(("CLUSTER", "SETSLOT", slot, "NODE", node))
    return [*commands, ("CLUSTER", "SETSLOT", slots[-1], "NODE", node)]


def commands_to_tell(slots: int, owner: str) -> list[tuple[Argument, ...]]:
    """Commands that tell another master who owns slots now."""
    return [("CLUSTER", "SETSLOT", slot, "NODE", owner) for slot in members(slots)]


def take_slots(connection: Connection, node: str, former: str, slots: int) -> None:
    """Make `node` the owner of slots of `former` without their keys (docs/reference/redis.md, "Moving slots"). It
    raises its config epoch, so the others, and `former` if it lives, accept the change by gossip; `former` then drops
    the keys.

    Raises `ReplyError` with the first error, `UnreachableError` when the connection breaks. Either leaves each slot
    with its old owner or its new one, at worst marked as importing.
    """
    wanted = list(members(slots))
    for start in range(0, len(wanted), SLOTS_AT_ONCE):
        part = wanted[start : start + SLOTS_AT_ONCE]
        commands = [("CLUSTER", "SETSLOT", part[-1], "IMPORTING", former), *commands_to_own(node, part)]
        for reply in connection.pipeline(commands):
            # An earlier run that was cut off may have come this far.
            if isinstance(reply, ReplyError) and "already the owner" not in str(reply):
                raise reply
