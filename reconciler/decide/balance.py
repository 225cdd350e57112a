"""Slots move between masters that live, to even shares: few moves, and only what fits."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.decide.actions import Move, RuleResult
from reconciler.decide.agreement import reasons_not_to_move
from reconciler.decide.state import ClusterState
from reconciler.observe.observation import NodeReport
from reconciler.slots import SLOT_COUNT, count, describe, take

BALANCE_TOLERANCE = 0.02
"""Part of an even share that a shard may deviate by before slots move: the default of redis-cli's
--cluster-threshold."""

CAPACITY_TOLERANCE = 0.02
"""Part of maxmemory that a target may be asked to hold beyond it. A full cache moves to a pool of the same total size,
and what more its nodes use for themselves (some MB) is evicted, which is what a cache is for."""


def even_shares(masters: Sequence[NodeReport]) -> dict[str, int]:
    """Numbers of slots by node id. Those larger by one go to the masters that own most already, so that fewer move."""
    base, extra = divmod(SLOT_COUNT, len(masters))
    order = sorted(masters, key=lambda report: -count(report.myself.slots))
    return {report.node_id: base + (1 if index < extra else 0) for index, report in enumerate(order)}


def plan_moves(state: ClusterState, given: dict[str, int], targets: Sequence[NodeReport], why: str) -> tuple[Move, ...]:
    """Moves of the slots that sources give (slots by node id) to the targets below their even share. Together those
    lack at least as many as are given, since the shares come to all slots.

    Few pairs of source and target, and few ranges of slots, since each pair takes round trips of its own.
    """
    shares = even_shares(targets)
    needs = {report.node_id: max(0, shares[report.node_id] - count(report.myself.slots)) for report in targets}
    moves: list[Move] = []
    for source, slots in sorted(given.items(), key=lambda item: item[1] & -item[1]):
        for target in needs:
            if not needs[target] or not slots:
                continue
            part = take(slots, needs[target])
            slots &= ~part
            needs[target] -= count(part)
            text = f"{why}: {describe(part)} from {state.name(source)} to {state.name(target)}"
            moves.append(Move(source, target, part, state.desired.move.mode, text))
    return tuple(moves)


def reason_not_to_fit(state: ClusterState, moves: Sequence[Move]) -> str | None:
    """Why a target cannot hold what it would get beside what it uses now; None if all can."""
    incoming: dict[str, float] = {}
    for move in moves:
        source = state.reports[move.source]
        part = count(move.slots) / max(1, count(source.myself.slots))
        incoming[move.target] = incoming.get(move.target, 0) + source.dataset_bytes * part
    for node_id, more_bytes in incoming.items():
        target = state.reports[node_id]
        if target.max_bytes and target.used_bytes + more_bytes > target.max_bytes * (1 + CAPACITY_TOLERANCE):
            return (
                f"{target.name} uses {_mib(target.used_bytes)} of maxmemory {_mib(target.max_bytes)} and would get "
                f"{_mib(more_bytes)} more. Nothing was moved; give the pods more memory or keep more masters"
            )
    return None


def _mib(size_bytes: float) -> str:
    return f"{size_bytes / 2**20:,.0f} MiB"


def checked(state: ClusterState, moves: tuple[Move, ...]) -> RuleResult:
    """The moves, if they fit and may begin now."""
    if not moves:
        return RuleResult()
    refusal = reason_not_to_fit(state, moves)
    if refusal:
        return RuleResult(refused=refusal)
    waiting = reasons_not_to_move(state, {move.target for move in moves})
    return RuleResult(waiting=waiting) if waiting else RuleResult(moves)


def even_out_slots(state: ClusterState) -> RuleResult:
    """All slots to the topology's shards, in even shares. What is balanced within the tolerance stays where it is."""
    masters = list(state.shard_masters.values())
    target_ids = {report.node_id for report in masters}
    outside = {node_id: slots for node_id, slots in state.slots_by_owner.items() if node_id not in target_ids}
    shares = even_shares(masters)
    surplus = {report.node_id: count(report.myself.slots) - shares[report.node_id] for report in masters}
    tolerance = max(1, int(BALANCE_TOLERANCE * SLOT_COUNT / len(masters)))
    if not outside and all(abs(number) <= tolerance for number in surplus.values()):
        return RuleResult()
    given = outside | {
        node_id: _highest(state.slots_by_owner[node_id], number) for node_id, number in surplus.items() if number > 0
    }
    return checked(state, plan_moves(state, given, masters, "even shares"))


def _highest(slots: int, number: int) -> int:
    return slots & ~take(slots, count(slots) - number)
