"""Rules that move slots between living nodes: evening out, draining nodes that will go, refusing what cannot fit."""

from __future__ import annotations

from reconciler.actions import Action, Decision, Failover, Forget, Move
from reconciler.picture import Picture
from reconciler.slots import SLOT_COUNT, count, describe, take
from reconciler.topology import MIN_MASTERS
from reconciler.views import View

BALANCE_TOLERANCE = 0.02
"""Part of an even share a shard may deviate by before slots move: redis-cli's own --cluster-threshold."""

CAPACITY_TOLERANCE = 0.02
"""A full cache moves to a pool of the same total: per-node overhead of some MB more is what LRU eviction is for."""


def leaving(picture: Picture) -> list[View]:
    """Answering members of the cluster that the topology does not have."""
    known = {node_id for view in picture.desired_views for node_id in view.table}
    return [
        view for view in picture.observed.views if view.node_id not in picture.desired_ids and view.node_id in known
    ]


def nothing_to_release(picture: Picture) -> Decision:
    if not picture.formed_before:
        return Decision(notes=("no node of this topology owns a slot: nothing to release",), finished=True)
    if not picture.desired_views:
        return Decision(notes=("no pod of this topology runs yet: nothing to release",), finished=True)
    if not leaving(picture) and not picture.observed.missing:
        return Decision(notes=("every node of the cluster stays: nothing to release",), finished=True)
    return Decision()


def _shares(targets: list[View]) -> dict[str, int]:
    """Even shares; the ones larger by one go to those that own most already."""
    base, extra = divmod(SLOT_COUNT, len(targets))
    order = sorted(targets, key=lambda view: -count(view.me.slots))
    return {view.node_id: base + (1 if index < extra else 0) for index, view in enumerate(order)}


def plan_moves(picture: Picture, sources: dict[str, int], targets: list[View], why: str) -> tuple[Action, ...]:
    """Slots the sources give (by node id), to the targets below their even share; few pairs, ranges kept together."""
    shares = _shares(targets)
    needs = {view.node_id: shares[view.node_id] - count(view.me.slots) for view in targets}
    total_given = sum(count(slots) for slots in sources.values())
    if sum(need for need in needs.values() if need > 0) < total_given:
        # More is given than the needy lack (a target outside its share stays so): spread the rest evenly.
        most = max(needs, key=lambda node_id: needs[node_id])
        needs[most] = max(needs[most], 0) + total_given - sum(need for need in needs.values() if need > 0)
    moves: list[Action] = []
    for source, slots in sorted(sources.items(), key=lambda item: item[1] & -item[1]):
        for target in needs:
            if needs[target] <= 0 or not slots or target == source:
                continue
            part = take(slots, needs[target])
            slots &= ~part
            needs[target] -= count(part)
            reason = f"{why}: {describe(part)} from {picture.name(source)} to {picture.name(target)}"
            moves.append(Move(source, target, part, picture.desired.move.mode, reason))
    return tuple(moves)


def does_not_fit(picture: Picture, moves: tuple[Action, ...]) -> str | None:
    """Why the targets cannot hold what is to be moved; None when they can."""
    incoming: dict[str, float] = {}
    for move in moves:
        if isinstance(move, Move):
            source = picture.views[move.source]
            part = count(move.slots) / max(1, count(source.me.slots))
            incoming[move.target] = incoming.get(move.target, 0) + source.dataset_bytes * part
    for node_id, more_bytes in incoming.items():
        target = picture.views[node_id]
        if target.max_bytes and target.used_bytes + more_bytes > target.max_bytes * (1 + CAPACITY_TOLERANCE):
            return (
                f"{target.name} uses {_mib(target.used_bytes)} of maxmemory {_mib(target.max_bytes)} and would get "
                f"{_mib(more_bytes)} more. Nothing was moved; give the pods more memory or keep more masters"
            )
    return None


def _mib(size_bytes: float) -> str:
    return f"{size_bytes / 2**20:,.0f} MiB"


def _checked(picture: Picture, moves: tuple[Action, ...]) -> Decision:
    if moves and picture.other_movers:
        return Decision(refused="another run is moving slots; a second change cannot start before that one has ended")
    refusal = does_not_fit(picture, moves)
    if refusal:
        return Decision(refused=refusal)
    waiting = picture.cannot_receive({move.target for move in moves if isinstance(move, Move)}) if moves else ()
    if waiting:
        return Decision(waiting=waiting)
    return Decision(moves)


def even_out(picture: Picture) -> Decision:
    """All slots to the topology's shards, in even shares; what is balanced within reason stays where it is."""
    masters = list(picture.shard_masters.values())
    targets = {view.node_id for view in masters}
    outside = {node_id: slots for node_id, slots in picture.owned.items() if node_id not in targets}
    shares = _shares(masters)
    surplus = {
        view.node_id: count(view.me.slots) - shares[view.node_id]
        for view in masters
        if count(view.me.slots) > shares[view.node_id]
    }
    tolerance = max(1, int(BALANCE_TOLERANCE * SLOT_COUNT / len(masters)))
    if not outside and all(abs(count(view.me.slots) - shares[view.node_id]) <= tolerance for view in masters):
        return Decision()
    sources = outside | {node_id: _highest(picture.owned[node_id], number) for node_id, number in surplus.items()}
    return _checked(picture, plan_moves(picture, sources, masters, "even shares"))


def _highest(slots: int, number: int) -> int:
    return slots & ~take(slots, count(slots) - number)


def hand_to_heirs(picture: Picture) -> Decision:
    """Slots of nodes that will go, to a replica of theirs that stays: by failover, no key moves."""
    actions: list[Action] = []
    waiting: list[str] = []
    for view in leaving(picture):
        if not (view.is_master and view.me.slots) or (heir := _heir(picture, view)) is None:
            continue
        if picture.in_step(heir):
            actions.append(Failover(heir.node_id, "", f"{view.name} will go, {heir.name} has its data and stays"))
        else:
            waiting.append(f"{view.name} will go, and {heir.name}, which has its data, is not in step yet")
    return Decision(tuple(actions), tuple(waiting))


def drain_leaving(picture: Picture) -> Decision:
    """Slots of nodes that will go, with their keys, to the masters that stay."""
    sources = {view.node_id: view.me.slots for view in leaving(picture) if view.is_master and view.me.slots}
    # A shard that does not own slots yet is form's to fill: its replicas are not paired.
    staying = [view for view in picture.shard_masters.values() if view.me.slots]
    extra = {
        view.node_id: view.me.slots
        for view in picture.desired_views
        if view.is_master and view.me.slots and view not in staying
    }
    if not sources:
        return Decision()
    if len(staying) < MIN_MASTERS:
        return Decision(
            refused=f"only {len(staying)} of the masters that stay own slots; a Redis Cluster needs {MIN_MASTERS}. "
            "Nothing was moved; form the topology first, or keep more masters"
        )
    return _checked(picture, plan_moves(picture, sources | extra, staying, "leaving"))


def _heir(picture: Picture, going: View) -> View | None:
    """A replica in sync that stays, of a shard that has no owner of slots yet."""
    for copy in picture.copies_of(going.node_id):
        if copy.node_id in picture.desired_ids and copy.link_up:
            shard = picture.desired.node(copy.pod or "").shard
            if not any(view.me.slots for view in picture.shard_views(shard)):
                return copy
    return None


def forget_leaving(picture: Picture) -> Decision:
    """Nodes without slots that will go leave every table of those that stay. They keep their own: until their pods
    are deleted they send clients to the right nodes.

    Not the replicas of masters that stay: until it is deleted, such a pod is in sync, and a master that rolls may hand
    over to it. Nobody would believe a node that everybody has forgotten. They are forgotten when they are dead."""
    staying = picture.desired_views
    actions: list[Action] = []
    for view in leaving(picture):
        knowing = tuple(stayer.node_id for stayer in staying if view.node_id in stayer.table)
        follows_a_stayer = not view.is_master and view.me.master_id in picture.desired_ids
        if knowing and not view.me.slots and not follows_a_stayer:
            actions.append(Forget(view.node_id, knowing, f"{view.name} will go and owns nothing"))
    return Decision(tuple(actions))
