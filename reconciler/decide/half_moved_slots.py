"""What becomes of slots that a run left half moved: marked as migrating or importing, or with keys on both sides."""

from __future__ import annotations

from reconciler.decide.actions import Action, Move, RuleResult, SetSlotStable, TakeSlots
from reconciler.decide.agreement import reasons_not_to_move
from reconciler.decide.state import ClusterState
from reconciler.decide.unreachable import is_agreed_failed
from reconciler.observe.observation import NodeReport
from reconciler.slots import describe


def _marks(report: NodeReport) -> dict[int, str]:
    return dict((*report.myself.migrating, *report.myself.importing))


def finish_half_moved_slots(state: ClusterState) -> RuleResult:
    """A half-moved slot is moved on to the side that has keys already; a mark that no move stands behind goes."""
    slots = sorted({slot for report in state.observation.reports for slot in _marks(report)})
    actions: list[Action] = []
    waiting: list[str] = []
    moves: dict[tuple[str, str], int] = {}
    for slot in slots:
        step = _finish(state, slot)
        if isinstance(step, str):
            waiting.append(f"slot {slot} is half moved: {step}")
        elif isinstance(step, tuple):
            moves[step] = moves.get(step, 0) | 1 << slot
        else:
            actions.append(step)
    not_yet = reasons_not_to_move(state, {target for _, target in moves}) if moves else ()
    if not_yet:
        return RuleResult(tuple(actions), (*waiting, *not_yet))
    # Always with their keys, whatever mode the topology asks for: some keys are on the target already.
    actions += [
        Move(source, target, moved, "copy", f"half moved to {state.name(target)}: {describe(moved)}")
        for (source, target), moved in moves.items()
    ]
    return RuleResult(tuple(actions), tuple(waiting))


def _keys(report: NodeReport, slot: int) -> int:
    return dict(report.half_moved_keys).get(slot, 0)


def _finish(state: ClusterState, slot: int) -> Action | tuple[str, str] | str:
    """What is to be done about one slot: an action, or (owner, target) of a move to finish, or a reason to wait."""
    bit = 1 << slot
    if state.disputed_slots & bit:
        return "two nodes own it"
    everywhere = [report for report in state.observation.reports if slot in _marks(report)]
    # A Valkey tells its replicas of its marks, and of their end. They say nothing of their own.
    marking = [report for report in everywhere if report.is_master]
    if not marking:
        return _clear_at_replica(state, slot, everywhere[0])
    importing = [report for report in marking if slot in dict(report.myself.importing)]
    importing.sort(key=lambda report: -_keys(report, slot))
    owner = next((report for report in state.masters if report.myself.slots & bit), None)
    if owner is None:
        return _finish_without_owner(state, slot, importing)
    # The owner migrates, all others import. Every other mark is left from an earlier time.
    stale = [report for report in marking if (report is owner) == (slot in dict(report.myself.importing))]
    if stale:
        why = f"{stale[0].name} still marks slot {slot} as moving, which {owner.name} owns"
        return SetSlotStable(stale[0].node_id, slot, why)
    others = [report for report in state.masters if report is not owner]
    target = max(others, key=lambda report: _keys(report, slot), default=None)
    if target is not None and _keys(target, slot):
        return owner.node_id, target.node_id
    towards = dict(owner.myself.migrating).get(slot)
    if any(report.node_id == towards for report in importing):
        return owner.node_id, str(towards)
    return SetSlotStable(
        marking[0].node_id, slot, f"slot {slot} is marked as moving on {marking[0].name}, but no key has moved"
    )


def _clear_at_replica(state: ClusterState, slot: int, replica: NodeReport) -> Action | str:
    """No server takes SETSLOT as a replica. One that has marks has a master that passes the end of them on."""
    master = next((report for report in state.masters if report.node_id == replica.myself.master_id), None)
    if master is None:
        return f"only the replica {replica.name} marks it, and its master does not answer"
    why = f"{replica.name} is a replica of {master.name} and alone still marks slot {slot} as moving"
    return SetSlotStable(master.node_id, slot, why)


def _finish_without_owner(state: ClusterState, slot: int, importing: list[NodeReport]) -> Action | str:
    """The owner does not answer, or the slot was on its way when a run was killed. What is left of it is with the node
    that imports it (the one with most keys, if several do)."""
    if not importing:
        return "nobody owns it"
    former = next((node for node, slots in state.slots_of_unreachable.items() if slots >> slot & 1), None)
    if former is not None and (state.replicas_of(former) or not is_agreed_failed(state, former)):
        return f"its owner {state.name(former)} does not answer yet"
    taker = importing[0]
    source = former or dict(taker.myself.importing)[slot]
    why = f"{taker.name} has what is left of slot {slot}, which nobody owns"
    return TakeSlots(taker.node_id, 1 << slot, source, why)
