"""Making clients know a target before any of them is sent there by ASK.

A client learns of a node by MOVED, when a slot it uses has gone there; ASK it follows without learning. Some clients,
redis-py among them (its issue 2432), fail on an ASK that leads to a node they have never heard of. So a few small slots
change owner first, each in one transaction on the source, in which no client sees a half-moved slot; the rest waits
until those who talk to the source talk to the target as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from reconciler.act import owning
from reconciler.link import Argument, Link, Network, ReplyError, integer, text

SLOTS = 64
"""Slots that introduce a target, from each source: of those that have keys the smallest."""

MAX_BYTES = 16 << 20
"""A transaction blocks its master as a whole; beyond this only `FEW` slots are used."""

FEW = 4
MAX_KEYS = 1000
WAIT_S = 30.0
"""For clients that ask seldom; those that have not come by then may be monitoring, and never will."""

LOOK_S = 0.25
ACTIVE_IDLE_S = 10


def clients(link: Link) -> set[str]:
    """IP addresses of the ordinary clients that used a node in the last seconds."""
    found = set()
    for line in text(link.call("CLIENT", "LIST", "TYPE", "NORMAL")).splitlines():
        fields = dict(part.partition("=")[::2] for part in line.split(" "))
        if int(fields.get("idle", "0")) <= ACTIVE_IDLE_S and not fields.get("name", "").startswith("reconciler"):
            found.add(fields.get("addr", "").rpartition(":")[0])
    return found


def strangers(source: Link, target: Link) -> bool:
    """Whether clients of the source have no connection to the target."""
    return bool(clients(source) - clients(target))


def small_slots(source: Link, slots: Sequence[int]) -> list[int]:
    """Slots of the source that have keys, the fewest first."""
    counts = source.pipeline([("CLUSTER", "COUNTKEYSINSLOT", slot) for slot in slots])
    keys = {slot: integer(reply) for slot, reply in zip(slots, counts, strict=True)}
    return sorted((slot for slot in slots if 0 < keys[slot] <= MAX_KEYS), key=lambda slot: keys[slot])[:SLOTS]


def keys_of(source: Link, slot: int) -> tuple[list[bytes], int]:
    """A slot's keys and their size in bytes."""
    reply = source.call("CLUSTER", "GETKEYSINSLOT", slot, MAX_KEYS)
    keys = [key for key in reply if isinstance(key, bytes)] if isinstance(reply, list) else []
    sizes = source.pipeline([("MEMORY", "USAGE", key) for key in keys])
    return keys, sum(size for size in sizes if isinstance(size, int))


def change_owner(
    source: tuple[str, Link], target: tuple[str, Link], slot: int, ridding: list[tuple[Argument, ...]]
) -> bool:
    """Rid the source (each end: id, connection) of a slot's keys by `ridding` and let it go to the target, in one.

    False when the slot was not given, because a key came in between or the target did not take one: it is then marked
    on both sides like any half-moved slot.
    """
    target[1].call("CLUSTER", "SETSLOT", slot, "IMPORTING", source[0])
    replies = source[1].pipeline(
        [
            ("MULTI",),
            ("CLUSTER", "SETSLOT", slot, "MIGRATING", target[0]),
            *ridding,
            ("CLUSTER", "SETSLOT", slot, "NODE", target[0]),
            ("EXEC",),
        ],
    )
    for reply in replies:
        if isinstance(reply, ReplyError):
            raise reply
    done = replies[-1]
    if not isinstance(done, list) or done[-1] != b"OK":
        return False
    for reply in target[1].pipeline(owning(target[0], [slot])):
        if isinstance(reply, ReplyError):
            raise reply
    return True


def wait_for_clients(network: Network, source: Link, target: Link, stopped: Callable[[], bool]) -> None:
    """Until the source's clients are the target's too, and as long again: one address may stand for several clients."""
    start = network.now()
    while strangers(source, target) and network.now() - start < WAIT_S and not stopped():
        network.sleep(LOOK_S)
    network.sleep(min(network.now() - start + LOOK_S, WAIT_S / 4))
