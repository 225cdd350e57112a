"""What is known of a node that does not answer: whether it may come back, and for how long it has been away.

Everything that drops data depends on these. A node that is only behind a broken network, or that Kubernetes is about to
start again, must not be given up.
"""

from __future__ import annotations

from reconciler.decide.state import ClusterState


def is_replaced(state: ClusterState, node_id: str) -> bool:
    """Whether the node can provably never come back, because another id answers where it lived.

    A StatefulSet runs at most one pod of a name. So if the pod's announced host name (or, without names, its address)
    leads to a node with another id, then the old process is no more.
    """
    entries = state.entries_about(node_id)
    for entry in entries:
        node = state.node_of_host(entry.hostname)
        if node is not None:
            return node.pod in state.by_pod
        if entry.ip and any((r.ip, r.port) == (entry.ip, entry.port) for r in state.desired_reports):
            return True
    # An address is lost when another id answers there. With every wanted pod answering, there is no pod left that the
    # node could have moved to.
    return not state.observation.missing and any(entry.address_lost for entry in entries)


def may_come_back(state: ClusterState, node_id: str) -> bool:
    """Whether the id may belong to a pod, of this topology or of another, that comes back with it."""
    entries = state.entries_about(node_id)
    if any(entry.hostname in state.observation.other_hosts for entry in entries):
        return True
    if not state.observation.missing or is_replaced(state, node_id):
        return False
    names = {entry.hostname for entry in entries} - {""}
    return not names or bool(names & state.missing_hosts)


def silent_ms(state: ClusterState, node_id: str) -> float:
    """For how long nobody has heard of the node; 0 when that is not known."""
    heard = [entry.silent_ms for entry in state.entries_about(node_id) if entry.silent_ms]
    return min(heard, default=0.0)


def is_suspected(state: ClusterState, node_id: str) -> bool:
    """Whether every node that knows it misses it."""
    return all(entry.suspected or entry.address_lost for entry in state.entries_about(node_id))


def is_agreed_failed(state: ClusterState, node_id: str) -> bool:
    """Whether every node that knows it has heard from a majority of masters that it failed, or has lost its address."""
    entries = state.entries_about(node_id)
    return bool(entries) and all(entry.failed or entry.address_lost for entry in entries)
