"""Rules about members of the cluster that are no pods of it.

The cluster bus knows no password: whoever reaches it can join, and by a high config epoch claim every slot. A member
belongs to a pod if and only if it announces a host name of the kind that pods of this cluster have, in whatever pool,
and DNS leads from that name to it. What DNS does not answer proves nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from reconciler.decide.actions import Action, Forget, RuleResult, TakeSlots
from reconciler.decide.state import ClusterState
from reconciler.decide.unreachable import is_suspected
from reconciler.observe.cluster_nodes import NodeEntry
from reconciler.slots import NO_SLOTS, describe

PATIENCE_S = 10.0
"""How long a member must look like a stranger where a pod could for a moment: DNS goes on giving an old answer for 5 s
(the TTL of CoreDNS), and a node's name comes with its first pings."""


@dataclass(frozen=True)
class Suspicion:
    """Why a member seems to be no pod. `patience_s` is for how long it must seem so."""

    reason: str
    patience_s: float = PATIENCE_S


def suspects(state: ClusterState) -> dict[str, Suspicion]:
    """Members that seem to be no pods, by node id."""
    if state.desired.pod_hosts is None:
        return {}
    members = {node_id for report in state.desired_reports for node_id in report.known_nodes}
    found = {node_id: _suspicion(state, node_id) for node_id in sorted(members - state.desired_ids)}
    return {node_id: suspicion for node_id, suspicion in found.items() if suspicion is not None}


def turn_strangers_out(state: ClusterState) -> RuleResult:
    """Their slots go back to those who still claim them, else to the shards that have them in a new cluster: a master
    that was talked out of a slot has dropped its keys. Then every node forgets them."""
    actions: list[Action] = []
    waiting: list[str] = []
    for node_id, suspicion in suspects(state).items():
        name = state.name(node_id)
        if state.observation.suspected_s.get(node_id, 0.0) < suspicion.patience_s:
            waiting.append(f"{name} seems to be no pod of this cluster: {suspicion.reason}")
            continue
        why = f"{name} is no pod of this cluster ({suspicion.reason})"
        actions += _take_back(state, node_id, why)
        knowing = [report for report in state.observation.reports if node_id in report.known_nodes]
        # Redis refuses to forget the master of a replica.
        telling = tuple(report.node_id for report in knowing if report.myself.master_id != node_id)
        actions.append(Forget(node_id, telling, f"{why} and is forgotten"))
    return RuleResult(tuple(actions), tuple(waiting))


def _suspicion(state: ClusterState, node_id: str) -> Suspicion | None:
    entries = state.entries_about(node_id)
    owns = any(entry.slots for entry in entries)
    lives = not is_suspected(state, node_id)
    if not lives and not owns:
        # Gone and harmless: it is forgotten as any failed node is.
        return None
    names = {entry.hostname for entry in entries} - {""}
    at_once = 0.0 if owns else PATIENCE_S
    if not names:
        return Suspicion("it announces no host name", at_once)
    ours = {name for name in names if re.fullmatch(state.desired.pod_hosts or "", name)}
    if not ours:
        return Suspicion(f"it announces {sorted(names)[0]}, which no pod has", at_once)
    reasons = [_contradiction(state, name, entries, lives) for name in sorted(ours)]
    # It may have had another name, or another pod's for a moment: one that holds is enough.
    return None if None in reasons else Suspicion(str(reasons[0]))


def _contradiction(state: ClusterState, name: str, entries: list[NodeEntry], lives: bool) -> str | None:
    """What speaks against a node being the pod whose name it announces."""
    node = state.node_of_host(name)
    if node is not None:
        # A StatefulSet runs at most one pod of a name. If it is dead, it is the pod as it was before.
        bearer = state.by_pod.get(node.pod)
        return f"it announces {name}, where {bearer.node_id[:8]} answers" if bearer is not None and lives else None
    addresses = state.observation.other_names.get(name)
    if addresses is None or any(entry.ip in addresses for entry in entries):
        return None
    if not addresses:
        return f"it announces {name}, which DNS does not know"
    bearers = [r for r in state.observation.reports if r.myself.hostname == name and r.ip in addresses]
    if lives and bearers:
        return f"it announces {name}, where {bearers[0].node_id[:8]} answers"
    # DNS may lead to where the pod was a moment ago.
    return None


def _take_back(state: ClusterState, stranger: str, why: str) -> list[Action]:
    taken = NO_SLOTS
    for entry in state.entries_about(stranger):
        taken |= entry.slots
    parts: dict[str, int] = {}
    for report in state.masters:
        claimed = report.myself.slots & taken
        if claimed and report.node_id != stranger:
            parts[report.node_id] = claimed
            taken &= ~claimed
    for shard, master in state.shard_masters.items():
        part = state.even_layout[shard] & taken
        if part:
            parts[master.node_id] = parts.get(master.node_id, NO_SLOTS) | part
    actions: list[Action] = []
    for taker, slots in parts.items():
        former = _master_known_to(state, taker, stranger)
        if former is not None:
            text = f"{why}: {state.name(taker)} takes {describe(slots)} back"
            actions.append(TakeSlots(taker, slots, former, text))
    return actions


def _master_known_to(state: ClusterState, taker: str, stranger: str) -> str | None:
    """Redis wants a master to be named that slots are imported from, and takes any that it knows."""
    known = [node_id for node_id, entry in state.reports[taker].known_nodes.items() if entry.is_master]
    others = sorted(node_id for node_id in known if node_id != taker)
    return stranger if stranger in others else next(iter(others), None)
