"""Making clients know a target before any of them is sent there by ASK.

A client learns of a node by MOVED, when a slot it uses has gone there; ASK it follows without learning. Some clients,
redis-py among them (its issue 2432), fail on an ASK that leads to a node they have never heard of. So a few small slots
of one source change owner first; the rest waits until those who talk to that source talk to the target as well. From
then on an ASK, which every slot gives for two round trips and some for longer, leads nobody into the unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from reconciler.link import Link, Network, integer, text

ROUNDS = (4, 8, 16, 32)
"""Slots that introduce a target, of those that have keys the smallest, round by round until clients have come."""

ROUND_WAIT_S = 2.0

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


def small_slots(source: Link, slots: Sequence[int], most_keys: int) -> list[int]:
    """Slots of the source that have keys, at most `most_keys`, the fewest first."""
    counts = source.pipeline([("CLUSTER", "COUNTKEYSINSLOT", slot) for slot in slots])
    keys = {slot: integer(reply) for slot, reply in zip(slots, counts, strict=True)}
    return sorted((slot for slot in slots if 0 < keys[slot] <= most_keys), key=lambda slot: keys[slot])[: sum(ROUNDS)]


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
