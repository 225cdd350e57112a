"""Making clients know a target before any of them is sent there by ASK.

A client learns of a node by MOVED, when a slot it uses has gone there; ASK it follows without learning. Some clients,
redis-py among them (its issue 2432), fail on an ASK that leads to a node they have never heard of. So a few small slots
of one source change owner first, one at a time and each within milliseconds; the rest waits until those who talk to
that source talk to the target as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from reconciler.act import owning
from reconciler.link import Argument, Link, Network, Reply, ReplyError, integer, text

ROUNDS = (4, 8, 16, 32)
"""Slots that introduce a target, of those that have keys the smallest, round by round until clients have come."""

ROUND_WAIT_S = 2.0

MAX_BYTES = 256 << 20
"""A transaction blocks its master as a whole; a slot larger than this introduces nobody. (At the sizes this is for, a
slot of 64 GB shards has 64 MB, which is some 0.2 s, a dozen times per new node.)"""

MAX_KEYS = 1000
WAIT_S = 30.0
"""After the last round, for clients that ask seldom; those still missing may be monitoring, and never come."""

LOOK_S = 0.25
ACTIVE_IDLE_S = 10


def clients(link: Link) -> set[str]:
    """IP addresses of the ordinary clients that used a node in the last seconds."""
    found = set()
    for line in text(link.call("CLIENT", "LIST", "TYPE", "NORMAL")).splitlines():
        fields = dict(part.partition("=")[::2] for part in line.split(" "))
        # A master that migrates keys is an ordinary client of the target, too.
        machinery = fields.get("name", "").startswith("reconciler") or fields.get("cmd", "").startswith("restore")
        if int(fields.get("idle", "0")) <= ACTIVE_IDLE_S and not machinery:
            found.add(fields.get("addr", "").rpartition(":")[0])
    return found


def strangers(source: Link, target: Link) -> bool:
    """Whether clients of the source have no connection to the target."""
    return bool(clients(source) - clients(target))


def small_slots(source: Link, slots: Sequence[int]) -> list[int]:
    """Slots of the source that have keys, the fewest first."""
    counts = source.pipeline([("CLUSTER", "COUNTKEYSINSLOT", slot) for slot in slots])
    keys = {slot: integer(reply) for slot, reply in zip(slots, counts, strict=True)}
    return sorted((slot for slot in slots if 0 < keys[slot] <= MAX_KEYS), key=lambda slot: keys[slot])[: sum(ROUNDS)]


def keys_of(source: Link, slot: int) -> tuple[list[bytes], int]:
    """A slot's keys and their size in bytes."""
    reply = source.call("CLUSTER", "GETKEYSINSLOT", slot, MAX_KEYS)
    keys = [key for key in reply if isinstance(key, bytes)] if isinstance(reply, list) else []
    sizes = source.pipeline([("MEMORY", "USAGE", key) for key in keys])
    return keys, sum(size for size in sizes if isinstance(size, int))


def change_owner(
    source: tuple[str, Link], target: tuple[str, Link], slot: int, ridding: list[tuple[Argument, ...]]
) -> bool:
    """Rid the source (each end: id, connection) of a slot's keys by `ridding` in one transaction and make the target
    the owner at once: clients that know no better get an ASK for two round trips instead of for a whole part.

    False when keys are left: the slot is then half moved like any other, and finished like any other.
    """
    target[1].call("CLUSTER", "SETSLOT", slot, "IMPORTING", source[0])
    marking = ("CLUSTER", "SETSLOT", slot, "MIGRATING", target[0])
    _raise_first(replies := source[1].pipeline([("MULTI",), marking, *ridding, ("EXEC",)]))
    if integer(source[1].call("CLUSTER", "COUNTKEYSINSLOT", slot)) or not isinstance(replies[-1], list):
        return False
    # The target only now: without its mark a word of the source's that is still under way would take the slot from
    # it again, and its keys would be dropped.
    _raise_first(target[1].pipeline(owning(target[0], [slot])))
    _raise_first(source[1].pipeline([("CLUSTER", "SETSLOT", slot, "NODE", target[0])]))
    return True


def _raise_first(replies: Sequence[Reply | ReplyError]) -> None:
    for reply in replies:
        if isinstance(reply, ReplyError):
            raise reply


def wait_for_clients(
    network: Network, source: Link, target: Link, stopped: Callable[[], bool], longest_s: float
) -> bool:
    """Until the source's clients are the target's too, and as long again: one address may stand for several clients.
    False when some have not come within `longest_s`."""
    start = network.now()
    while strangers(source, target):
        if network.now() - start >= longest_s or stopped():
            return False
        network.sleep(LOOK_S)
    network.sleep(network.now() - start + LOOK_S)
    return True
