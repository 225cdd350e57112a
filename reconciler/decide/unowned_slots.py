"""Rules about slots that nobody owns."""

from __future__ import annotations

from reconciler.decide.actions import Action, AssignSlots, RuleResult, TakeSlots
from reconciler.decide.agreement import disagreements
from reconciler.decide.state import ClusterState
from reconciler.slots import ALL_SLOTS, NO_SLOTS, count, describe, slot_set


def reclaim_disowned_slots(state: ClusterState) -> RuleResult:
    """Slots that every other master ascribes to a master that disowns them, so that nobody owns them: it takes them
    again, because Redis never settles that by itself. Such slots have no keys: a node drops what it does not own."""
    actions: list[Action] = []
    marked = slot_set(slot for r in state.masters for slot, _ in (*r.myself.importing, *r.myself.migrating))
    for report in state.masters:
        others = [other for other in state.masters if other is not report]
        slots = state.unowned_slots & ~marked
        for other in others:
            entry = other.known_nodes.get(report.node_id)
            slots &= NO_SLOTS if entry is None else entry.slots
        if others and slots:
            why = f"all others ascribe {describe(slots)} to {report.name}, which does not own them"
            actions.append(TakeSlots(report.node_id, slots, others[0].node_id, why))
    return RuleResult(tuple(actions))


def assign_unowned_slots(state: ClusterState) -> RuleResult:
    """In a cluster that is laid out as a new one is, each slot goes to the shard that has it in that layout; in any
    other cluster all go to the shard with the fewest slots."""
    unowned = state.unowned_slots
    if not unowned:
        return RuleResult()
    masters = state.shard_masters
    if state.observation.missing or len(masters) < state.desired.shard_count:
        return RuleResult(waiting=(f"nobody owns {describe(unowned)}; they are assigned when every pod answers",))
    if disagreements(state):
        return RuleResult(waiting=(f"nobody owns {describe(unowned)}; they are assigned when all nodes agree",))
    is_laid_out_evenly = set(state.slots_by_owner) <= state.desired_ids and all(
        not report.myself.slots & ~state.even_layout[shard] for shard, report in masters.items()
    )
    if is_laid_out_evenly:
        parts = {shard: state.even_layout[shard] & unowned for shard in masters}
    else:
        fewest = min(masters, key=lambda shard: (count(masters[shard].myself.slots), shard))
        parts = {fewest: unowned}
    # A node that was away may come back and claim such a slot by an old table, with a higher config epoch.
    outrank = unowned != ALL_SLOTS and not is_laid_out_evenly
    return RuleResult(
        tuple(
            AssignSlots(
                masters[shard].node_id,
                slots,
                outrank,
                f"nobody owns {describe(slots)}; {masters[shard].name} gets them",
            )
            for shard, slots in parts.items()
            if slots
        )
    )
