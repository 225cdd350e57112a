"""Lets clients get to know the target of a move before any of them is sent there by ASK.

A client learns of a node by MOVED, when it uses a slot that has gone there. ASK it follows without learning. Some
clients (redis-py among them: its issue 2432) fail on an ASK to a node that they have never heard of. So a few small
slots of a source move first, and the others wait until the clients of the source are connected to the target too. From
then on an ASK, which each slot answers for two round trips and some for longer, leads nobody to an unknown node.

A client that follows a MOVED asks any node for the whole topology, a replica too. From one that has not heard of the
target's slots it learns to forget the target again. So the wait for clients begins when every node has heard.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from reconciler.addresses import split_port
from reconciler.connection import Connection, Network, ReplyError, UnreachableError, integer, text
from reconciler.observe.cluster_nodes import parse_cluster_nodes

SLOTS_BY_ROUND = (4, 8, 16, 32)
"""How many slots move ahead, round by round until all clients have come: of those that have keys the smallest."""

ROUND_WAIT_S = 2.0

LAST_WAIT_S = 30.0
"""After the last round, for clients that seldom ask. Those still missing may be monitoring, and never come."""

HEARD_WAIT_S = 10.0
"""For nodes to hear of the target's slots. Gossip takes a second or two to reach all. One that never hears is
*repair*'s to mend, and no reason to give up the move."""

POLL_S = 0.25
ACTIVE_IDLE_S = 10


def clients(connection: Connection) -> set[str]:
    """IP addresses of the ordinary clients that used a node in the last seconds."""
    found = set()
    for line in text(connection.call("CLIENT", "LIST", "TYPE", "NORMAL")).splitlines():
        fields = dict(part.partition("=")[::2] for part in line.split(" "))
        # A master that sends keys to the target by MIGRATE is listed there as an ordinary client, too.
        machinery = fields.get("name", "").startswith("reconciler") or fields.get("cmd", "").startswith("restore")
        if int(fields.get("idle", "0")) <= ACTIVE_IDLE_S and not machinery:
            found.add(split_port(fields.get("addr", ""), 0)[0])
    return found


def missing_clients(source: Connection, target: Connection) -> set[str]:
    """Addresses of clients of the source that have no connection to the target."""
    return clients(source) - clients(target)


def small_slots(source: Connection, slots: Sequence[int], most_keys: int) -> list[int]:
    """Slots of the source that have keys, at most `most_keys`, those with the fewest first."""
    counts = source.pipeline([("CLUSTER", "COUNTKEYSINSLOT", slot) for slot in slots])
    keys = {slot: integer(reply) for slot, reply in zip(slots, counts, strict=True)}
    small = sorted((slot for slot in slots if 0 < keys[slot] <= most_keys), key=lambda slot: keys[slot])
    return small[: sum(SLOTS_BY_ROUND)]


def wait_until_all_have_heard(
    network: Network, nodes: Sequence[Connection], target_id: str, stopped: Callable[[], bool]
) -> bool:
    """Wait until each of `nodes` says that the target owns slots; one that does not answer sends no client away. False
    when some have not heard within `HEARD_WAIT_S`."""
    start = network.now()
    while nodes := [node for node in nodes if _has_not_heard(node, target_id)]:
        if network.now() - start >= HEARD_WAIT_S or stopped():
            return False
        network.sleep(POLL_S)
    return True


def _has_not_heard(node: Connection, target_id: str) -> bool:
    try:
        entries = parse_cluster_nodes(text(node.call("CLUSTER", "NODES")))
    except (UnreachableError, ReplyError):
        return False
    return not any(entry.node_id == target_id and entry.slots for entry in entries)


def wait_for_clients(
    network: Network, source: Connection, target: Connection, stopped: Callable[[], bool], longest_s: float
) -> set[str]:
    """Wait until the source's clients are the target's too, and then as long again, because one address may stand for
    several clients. Addresses of those that have not come within `longest_s`."""
    start = network.now()
    while missing := missing_clients(source, target):
        if network.now() - start >= longest_s or stopped():
            return missing
        network.sleep(POLL_S)
    network.sleep(network.now() - start + POLL_S)
    return set()
