"""Rules that bring slots, shards and pairs back in order."""

from __future__ import annotations

from reconciler.actions import (
    Action,
    AssignSlots,
    Decision,
    Failover,
    Move,
    Replicate,
    Reset,
    Stabilise,
    TakeSlots,
)
from reconciler.picture import Picture
from reconciler.slots import ALL_SLOTS, NO_SLOTS, SLOT_COUNT, count, describe, slot_set
from reconciler.views import View

FAILOVER_PATIENCE = 4
"""Node timeouts a dead master's replicas have for their own election (redis-facts: about 1.7) before it is forced."""

FAILOVER_EXTRA_MS = 5_000


def nothing_formed(picture: Picture) -> Decision:
    if picture.formed_before:
        return Decision()
    if picture.observed.missing:
        return Decision(waiting=("no node that answers owns a slot",), finished=True)
    return Decision(notes=("no node owns a slot: the cluster is not formed yet, that is for form",), finished=True)


def missing_pods(picture: Picture) -> Decision:
    """Said, not waited for: a pod that is away is Kubernetes' to bring back."""
    missing = picture.observed.missing
    return Decision(notes=tuple(f"{pod.pod} does not answer: {pod.reason}" for pod in missing))


def dead_owners(picture: Picture) -> Decision:
    """Slots of masters that do not answer: promote a copy, or, when no copy lives, hand the slots to the shard's pod.

    Without a majority of masters nobody can vote and the other side of a partition may be serving: a copy takes over
    then only where every lost master is provably replaced, its pod answering with another id.
    """
    actions: list[Action] = []
    waiting: list[str] = []
    for dead, slots in picture.absent_owned.items():
        name = picture.name(dead)
        if not all(row.suspected or "noaddr" in row.flags for row in picture.rows_about(dead)):
            waiting.append(f"{name} owns {describe(slots)} and does not answer, but its peers do not miss it yet")
            continue
        copies = picture.copies_of(dead)
        step = _promote(picture, dead, copies[0]) if copies else _hand_over(picture, dead, slots)
        if isinstance(step, str):
            waiting.append(f"{name} owns {describe(slots)} and does not answer: {step}")
        else:
            actions.append(step)
    return Decision(tuple(actions), tuple(waiting))


def _promote(picture: Picture, dead: str, copy: View) -> Action | str:
    name = picture.name(dead)
    if picture.has_majority:
        patience_ms = FAILOVER_PATIENCE * picture.desired.node_timeout_ms + FAILOVER_EXTRA_MS
        if not picture.down(dead) or picture.silent_ms(dead) < patience_ms:
            return f"its replica {copy.name} is about to be elected"
        return Failover(copy.node_id, "FORCE", f"{name} has been down for long and {copy.name} has its data")
    if all(picture.replaced(owner) for owner in picture.absent_owned):
        return Failover(
            copy.node_id, "TAKEOVER", f"most masters are gone for good, {name} among them; {copy.name} has its data"
        )
    return (
        f"most masters do not answer, so no replica can be elected, and they may be alive behind a broken network; "
        f"{copy.name} has the data. When the masters are known to be dead: CLUSTER FAILOVER TAKEOVER there"
    )


def _hand_over(picture: Picture, dead: str, slots: int) -> Action | str:
    bound_ms = picture.desired.move.ttl_seconds * 1000
    for replica in picture.absent_ids:
        is_copy = any(row.master_id == dead for row in picture.rows_about(replica))
        if is_copy and not picture.replaced(replica) and picture.silent_ms(replica) < bound_ms:
            return f"its replica {picture.name(replica)} does not answer either, but may come back with the data"
    # `down` is what a majority of masters agreed on: on the smaller side of a broken network nothing is overdue.
    overdue = picture.down(dead) and picture.silent_ms(dead) >= bound_ms
    if not picture.replaced(dead) and not overdue:
        return f"it may come back; given up after {bound_ms // 1000} s, when all its keys are expired"
    shard = _shard_of(picture, dead, slots)
    if shard is None:
        return "no pod of this topology answers to take them"
    pods = picture.shard_views(shard)
    if len(pods) < len(picture.desired.shard(shard)) and not overdue:
        return f"shard {shard} waits for all its pods to take the slots, empty"
    taker = picture.shard_master(shard)
    if taker is None:
        return f"no pod of shard {shard} is a master that could take the slots"
    if taker.keys and not taker.me.slots:
        return f"{taker.name} should take the slots, but holds {taker.keys} keys although it owns no slot"
    # SETSLOT IMPORTING wants to be told a master; which one makes no difference to the outcome.
    known = sorted(node_id for node_id, row in taker.table.items() if row.is_master and node_id != taker.node_id)
    former = dead if dead in known else next(iter(known), None)
    if former is None:
        return f"{taker.name} does not know the cluster yet"
    why = f"no copy of the data of {picture.name(dead)} is left; {taker.name} takes its slots, empty"
    return TakeSlots(taker.node_id, slots, former, why)


def _shard_of(picture: Picture, dead: str, slots: int) -> int | None:
    for row in picture.rows_about(dead):
        node = picture.node_of_host(row.hostname)
        if node is not None:
            return node.shard
    # Without announced names: the shard that lacks slots (all, or the rest when a run was cut off in between).
    few = SLOT_COUNT // (2 * picture.desired.shard_count)
    owned = {
        shard: sum(count(view.me.slots) for view in picture.shard_views(shard))
        for shard in range(picture.desired.shard_count)
        if picture.shard_views(shard)
    }
    lacking = [shard for shard, number in owned.items() if number < few] or list(owned)
    return max(lacking, key=lambda shard: (count(picture.splits[shard] & slots), -owned[shard]), default=None)


def open_slots(picture: Picture) -> Decision:
    """Half-moved slots are finished towards the side that has keys; a mark nobody follows is taken away."""
    slots = sorted({slot for view in picture.observed.views for slot, _ in (*view.me.migrating, *view.me.importing)})
    if not slots:
        return Decision()
    if picture.other_movers:
        return Decision(waiting=(f"another run is moving slots ({len(slots)} in flight)",))
    actions: list[Action] = []
    waiting: list[str] = []
    moves: dict[tuple[str, str], int] = {}
    for slot in slots:
        step = _open_slot(picture, slot)
        if isinstance(step, str):
            waiting.append(f"slot {slot} is half moved: {step}")
        elif isinstance(step, tuple):
            moves[step] = moves.get(step, 0) | 1 << slot
        else:
            actions.append(step)
    not_yet = picture.cannot_receive({target for _, target in moves}) if moves else ()
    if not_yet:
        return Decision(tuple(actions), (*waiting, *not_yet))
    actions += [
        Move(source, target, slots_, "copy", f"{describe(slots_)} half moved to {picture.name(target)}")
        for (source, target), slots_ in moves.items()
    ]
    return Decision(tuple(actions), tuple(waiting))


def _keys(view: View, slot: int) -> int:
    return dict(view.open_slot_keys).get(slot, 0)


def _open_slot(picture: Picture, slot: int) -> Action | tuple[str, str] | str:
    """What to do about one: an action, or (owner, target) of a move to be finished, or a reason to wait."""
    bit = 1 << slot
    masters = [view for view in picture.observed.views if view.is_master]
    marked = [view for view in picture.observed.views if slot in dict(view.me.migrating + view.me.importing)]
    owner = next((view for view in masters if view.me.slots & bit), None)
    if picture.disputed & bit:
        return "two nodes own it"
    if not marked[0].is_master:
        return Stabilise(marked[0].node_id, slot, f"{marked[0].name} is a replica and still marks slot {slot}")
    importers = sorted(
        (view for view in marked if slot in dict(view.me.importing)), key=lambda view: -_keys(view, slot)
    )
    if owner is None:
        former = next((node for node, slots in picture.absent_owned.items() if slots & bit), None)
        if not importers:
            return "nobody owns it"
        if former is not None and (picture.copies_of(former) or not picture.down(former)):
            return f"its owner {picture.name(former)} does not answer yet"
        taker = importers[0]
        source = former or dict(taker.me.importing)[slot]
        return TakeSlots(taker.node_id, bit, source, f"{taker.name} has what is left of slot {slot}, which nobody owns")
    stale = [view for view in marked if (view is owner) == (slot in dict(view.me.importing))]
    if stale:
        return Stabilise(stale[0].node_id, slot, f"{stale[0].name} still marks slot {slot}, which {owner.name} owns")
    keyed = sorted((view for view in masters if view is not owner), key=lambda view: -_keys(view, slot))
    if keyed and _keys(keyed[0], slot):
        return owner.node_id, keyed[0].node_id
    towards = dict(owner.me.migrating).get(slot)
    if towards is not None and any(view.node_id == towards for view in importers):
        return owner.node_id, towards
    return Stabilise(marked[0].node_id, slot, f"slot {slot} was marked on {marked[0].name}, but no key has moved")


def denied_slots(picture: Picture) -> Decision:
    """Slots that every master gives to one that does not own them, and nobody does: Redis never settles that. It takes
    them again."""
    actions: list[Action] = []
    masters = [view for view in picture.observed.views if view.is_master]
    marked = slot_set(slot for view in masters for slot, _ in (*view.me.importing, *view.me.migrating))
    for view in masters:
        others = [other for other in masters if other is not view]
        slots = picture.holes & ~marked
        for other in others:
            row = other.table.get(view.node_id)
            slots &= NO_SLOTS if row is None else row.slots
        if others and slots:
            why = f"all others give {describe(slots)} to {view.name}, which does not own it"
            actions.append(TakeSlots(view.node_id, slots, others[0].node_id, why))
    return Decision(tuple(actions))


def holes(picture: Picture) -> Decision:
    """Slots nobody owns, in any table: to the shard they fall to in an even split while that is how the cluster is laid
    out, else to the shards with the fewest."""
    free = picture.holes
    if not free:
        return Decision()
    masters = picture.shard_masters
    if picture.observed.missing or len(masters) < picture.desired.shard_count:
        return Decision(waiting=(f"nobody owns {describe(free)}; they are assigned when every pod answers",))
    if picture.disagreements:
        return Decision(waiting=(f"nobody owns {describe(free)}; they are assigned when all nodes agree",))
    outrank = free != ALL_SLOTS
    laid_out_evenly = set(picture.owned) <= picture.desired_ids and all(
        not view.me.slots & ~picture.splits[shard] for shard, view in masters.items()
    )
    outrank = outrank and not laid_out_evenly
    if laid_out_evenly:
        parts = {shard: picture.splits[shard] & free for shard in masters}
    else:
        smallest = min(masters, key=lambda shard: (masters[shard].me.slots.bit_count(), shard))
        parts = {smallest: free}
    return Decision(
        tuple(
            AssignSlots(
                masters[shard].node_id, slots, outrank, f"nobody owns {describe(slots)}: to {masters[shard].name}"
            )
            for shard, slots in parts.items()
            if slots
        )
    )


def shards_without_master(picture: Picture) -> Decision:
    """A shard all of whose pods replicate somebody else's data (after a shrink and a growth, say) gets a master."""
    actions: list[Action] = []
    for shard in range(picture.desired.shard_count):
        views = picture.shard_views(shard)
        if shard in picture.shard_masters or not views:
            continue
        view = views[0]
        theirs = picture.views.get(view.me.master_id or "")
        if theirs is not None and theirs.is_master and theirs not in views and not view.syncing:
            actions.append(
                Reset(view.node_id, f"shard {shard} has no master; {view.name} only copies {theirs.name}, which lives")
            )
    return Decision(tuple(actions))


def pairing(picture: Picture) -> Decision:
    """Every other pod of a shard replicates the shard's master. A running sync is never interrupted (redis-facts 14),
    and a copy of a dead master is never thrown away."""
    actions: list[Action] = []
    waiting: list[str] = []
    if picture.disputed:
        return Decision(waiting=(f"more than one node owns {describe(picture.disputed)}",))
    for shard, master in picture.shard_masters.items():
        for view in picture.shard_views(shard):
            if view is master or (not view.is_master and view.me.master_id == master.node_id):
                continue
            row = view.table.get(master.node_id)
            if row is None or not row.is_master:
                waiting.append(f"{view.name} does not know {master.name} as a master yet")
            elif view.is_master and view.me.slots:
                waiting.append(f"{view.name} owns {describe(view.me.slots)} beside its shard's master {master.name}")
            elif view.is_master and view.keys:
                waiting.append(f"{view.name} owns no slot but holds {view.keys} keys; it cannot follow {master.name}")
            elif view.syncing:
                waiting.append(f"{view.name} is syncing with another master; that is not interrupted")
            elif not view.is_master and (view.me.master_id or "") in picture.absent_owned:
                waiting.append(f"{view.name} has the data of a master that does not answer")
            else:
                actions.append(
                    Replicate(view.node_id, master.node_id, f"shard {shard}: {view.name} is to follow {master.name}")
                )
    return Decision(tuple(actions), tuple(waiting))


def bring_home(picture: Picture) -> Decision:
    """After failovers the initial masters become masters again, one at a time, in an otherwise healthy cluster."""
    if not picture.desired.bring_home or picture.observed.missing or picture.absent_owned or picture.disagreements:
        return Decision()
    if picture.holes or not all(view.cluster_ok and (view.is_master or view.link_up) for view in picture.desired_views):
        return Decision()
    for shard, master in sorted(picture.shard_masters.items()):
        home = picture.by_pod[picture.desired.shard(shard)[0].pod]
        if home is master or home.me.master_id != master.node_id or home.syncing:
            continue
        if not picture.in_step(home):
            return Decision(waiting=(f"shard {shard}: {home.name} is to be master again, and is not in step yet",))
        return Decision((Failover(home.node_id, "", f"shard {shard}: {home.name} is in step and is its home"),))
    return Decision()
