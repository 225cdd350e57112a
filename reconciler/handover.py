"""*expire*: slots change owner without their keys, paced so that the extra misses stay within a budget."""

from __future__ import annotations

from collections.abc import Callable

from reconciler.act import take_slots
from reconciler.link import Link, Network, Reply, ReplyError, integer, text
from reconciler.pace import Bound, Progress
from reconciler.slots import NO_SLOTS, count, describe, members, slot_set
from reconciler.views import parse_cluster_nodes

SLOTS_AT_ONCE = 512
LEARN_TIMEOUT_S = 15.0
LEARN_INTERVAL_S = 0.02


def count_keys(source: Link, slots: list[int]) -> dict[int, int]:
    """Keys per slot on a node."""
    replies = source.pipeline([("CLUSTER", "COUNTKEYSINSLOT", slot) for slot in slots])
    return {slot: integer(reply) for slot, reply in zip(slots, replies, strict=True)}


def tell(node: Link, slots: int, owner: str) -> list[Reply | ReplyError]:
    """Tell a master who owns slots now. A former owner that still has keys refuses; it learns by gossip instead."""
    return node.pipeline([("CLUSTER", "SETSLOT", slot, "NODE", owner) for slot in members(slots)])


def own_slots(node: Link) -> int:
    rows = parse_cluster_nodes(text(node.call("CLUSTER", "NODES")))
    return next((row.slots for row in rows if "myself" in row.flags), NO_SLOTS)


def hand_over(
    network: Network,
    source: tuple[str, Link],
    target: tuple[str, Link],
    others: list[Link],
    slots: int,
    misses: Bound,
    progress: Progress,
    stopped: Callable[[], bool],
) -> None:
    """Hand `slots` from source to target (each: id, link). At most each key of a slot becomes one extra miss, so the
    keys per second are the budget. Raises `ReplyError` or `LinkError`; every slot then has its old or new owner."""
    source_id, source_link = source
    target_id, target_link = target
    waiting = list(members(slots & own_slots(source_link)))
    while waiting and not stopped():
        look, waiting = waiting[:SLOTS_AT_ONCE], waiting[SLOTS_AT_ONCE:]
        keys = count_keys(source_link, look)
        empty = [slot for slot in look if not keys[slot]]
        for part in [empty, *([slot] for slot in look if keys[slot])]:
            if not part:
                continue
            if stopped():
                return
            cost = sum(keys[slot] for slot in part)
            misses.spend(cost)
            taken = slot_set(part)
            take_slots(target_link, target_id, source_id, taken)
            tell(source_link, taken, target_id)
            for other in others:
                tell(other, taken, target_id)
            _until_given_up(network, source_link, taken)
            progress.add(slots=count(taken), keys=cost)


def _until_given_up(network: Network, source: Link, slots: int) -> None:
    """Until the source knows it has lost the slots: only then are its keys gone and do its clients go to the target."""
    end = network.now() + LEARN_TIMEOUT_S
    while own_slots(source) & slots:
        if network.now() >= end:
            raise ReplyError(f"the former owner still claims {describe(slots)} after {LEARN_TIMEOUT_S:g} s")
        network.sleep(LEARN_INTERVAL_S)
