"""What becomes of the slots of a master that does not answer.

Redis elects one of its replicas by itself. These rules are for what Redis cannot do: when an election does not come
about, when a majority of masters is gone for good, and when no replica is left.
"""

from __future__ import annotations

from reconciler.decide.actions import Action, Failover, RuleResult, TakeSlots
from reconciler.decide.state import ClusterState
from reconciler.decide.unreachable import is_agreed_failed, is_replaced, is_suspected, silent_ms
from reconciler.observe.observation import NodeReport
from reconciler.slots import SLOT_COUNT, count, describe

ELECTION_NODE_TIMEOUTS = 4
ELECTION_EXTRA_MS = 5_000
"""How long a master must be silent before an election is forced: so many node timeouts, and so much more. Redis's own
election is over after about 1.7 node timeouts (docs/reference/redis.md, "Failover"); to force one meanwhile would start
it anew."""


def replace_failed_owners(state: ClusterState) -> RuleResult:
    """Promote a replica, or, when no replica is left, give the slots to the shard's new pod.

    Without a majority of masters nobody can vote, and the other side of a broken network may be serving. A replica
    takes over then only if every lost master is provably replaced.
    """
    actions: list[Action] = []
    waiting: list[str] = []
    for owner, slots in state.slots_of_unreachable.items():
        name = state.name(owner)
        refusal = state.refusal_of(owner)
        if refusal is not None and not is_agreed_failed(state, owner):
            # An error is an answer: the node lives, its data is there, and its clients may well be served.
            waiting.append(f"{name} owns {describe(slots)} and lives, but answered with an error: {refusal}")
            continue
        if not is_suspected(state, owner):
            waiting.append(f"{name} owns {describe(slots)} and does not answer, but other nodes do not miss it yet")
            continue
        replicas = state.replicas_of(owner)
        step = _promote(state, owner, replicas[0]) if replicas else _give_up(state, owner, slots)
        if isinstance(step, str):
            waiting.append(f"{name} owns {describe(slots)} and does not answer: {step}")
        else:
            actions.append(step)
    return RuleResult(tuple(actions), tuple(waiting))


def _promote(state: ClusterState, owner: str, replica: NodeReport) -> Action | str:
    """How a replica becomes master, or the reason to wait."""
    name = state.name(owner)
    if state.has_majority:
        patience_ms = ELECTION_NODE_TIMEOUTS * state.desired.node_timeout_ms + ELECTION_EXTRA_MS
        if not is_agreed_failed(state, owner) or silent_ms(state, owner) < patience_ms:
            return f"its replica {replica.name} is about to be elected"
        return Failover(replica.node_id, "FORCE", f"{name} failed long ago, and {replica.name} has its data")
    if all(is_replaced(state, lost) for lost in state.slots_of_unreachable):
        why = f"most masters are gone for good, {name} among them, and {replica.name} has its data"
        return Failover(replica.node_id, "TAKEOVER", why)
    return (
        "most masters do not answer, so no replica can be elected, and they may be serving behind a broken network. "
        f"{replica.name} has the data. If the masters are known to be dead, run CLUSTER FAILOVER TAKEOVER there"
    )


def _give_up(state: ClusterState, owner: str, slots: int) -> Action | str:
    """Which node takes slots whose data is lost, or the reason to wait.

    The data is given up when its pods came back empty, or after the time-to-live of all keys: then they have expired.
    """
    ttl_ms = state.desired.move.ttl_seconds * 1000
    for replica in state.unreachable_ids:
        is_replica = any(entry.master_id == owner for entry in state.entries_about(replica))
        if is_replica and not is_replaced(state, replica) and silent_ms(state, replica) < ttl_ms:
            return f"its replica {state.name(replica)} does not answer either, but may come back with the data"
    # A majority of masters must have agreed. On the smaller side of a broken network a master may be silent for hours,
    # and go on serving the other side.
    expired = is_agreed_failed(state, owner) and silent_ms(state, owner) >= ttl_ms
    if not is_replaced(state, owner) and not expired:
        return f"it may come back; its slots are given up after {ttl_ms // 1000} s, when all its keys have expired"
    shard = _shard_of(state, owner, slots)
    if shard is None:
        return "no pod of this topology answers to take them"
    if len(state.shard_reports(shard)) < len(state.desired.shard(shard)) and not expired:
        return f"the slots are given to shard {shard}, empty, when all its pods answer"
    taker = state.shard_masters.get(shard)
    if taker is None:
        return f"no pod of shard {shard} is a master that could take the slots"
    if taker.keys and not taker.myself.slots:
        return f"{taker.name} should take the slots, but holds {taker.keys} keys although it owns no slot"
    known = sorted(node for node, entry in taker.known_nodes.items() if entry.is_master and node != taker.node_id)
    former = owner if owner in known else next(iter(known), None)
    if former is None:
        return f"{taker.name} does not know the cluster yet"
    why = f"no replica of {state.name(owner)} is left, and {taker.name} takes its slots, empty"
    return TakeSlots(taker.node_id, slots, former, why)


def _shard_of(state: ClusterState, owner: str, slots: int) -> int | None:
    """The shard a lost master belonged to; None when no pod answers that could take its slots."""
    for entry in state.entries_about(owner):
        node = state.node_of_host(entry.hostname)
        if node is not None:
            return node.shard
    # Nodes that do not announce names: it is the shard that lacks slots (all, or the rest when a run was cut off in
    # between), and among several the one that a new cluster would give these slots to.
    few = SLOT_COUNT // (2 * state.desired.shard_count)
    owned = {
        shard: sum(count(report.myself.slots) for report in state.shard_reports(shard))
        for shard in range(state.desired.shard_count)
        if state.shard_reports(shard)
    }
    lacking = [shard for shard, number in owned.items() if number < few] or list(owned)
    return max(lacking, key=lambda shard: (count(state.even_layout[shard] & slots), -owned[shard]), default=None)
