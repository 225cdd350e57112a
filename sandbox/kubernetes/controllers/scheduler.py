"""Where a pod may run: the Kubernetes scheduler's filters, as pure functions.

The real scheduler's scores are only approximated: preferences and soft spreads decide, then free memory. A test that
wants to know whether *every* choice it may make works asks `feasible_nodes` and tries them all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sandbox.kubernetes.manifests.metadata import LabelSelector
from sandbox.kubernetes.manifests.pod import PodAffinityTerm, PodSpec, Toleration, TopologySpread
from sandbox.kubernetes.nodes import Node, Taint


@dataclass(frozen=True)
class PlacedPod:
    """A pod as the scheduler sees it; `node` is None until it is placed. `volume_zones` are the zones its existing
    volumes are bound to."""

    name: str
    namespace: str
    labels: Mapping[str, str]
    spec: PodSpec
    node: str | None = None
    volume_zones: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Placement:
    """`node`, or the reasons why none fits: reason -> number of nodes it rules out."""

    node: str | None
    rejected: Mapping[str, int]

    @property
    def message(self) -> str:
        total = sum(self.rejected.values())
        return f"0/{total} nodes are available: " + ", ".join(
            f"{count} {reason}" for reason, count in sorted(self.rejected.items())
        )


def place(pod: PlacedPod, nodes: Sequence[Node], pods: Iterable[PlacedPod]) -> Placement:
    """The node for `pod`: fewest violated preferences and spreads, then most free memory, then name."""
    placed = [other for other in pods if other.node is not None]
    reasons: dict[str, int] = {}
    candidates: list[Node] = []
    for node in nodes:
        reason = why_not(pod, node, nodes, placed)
        if reason is None:
            candidates.append(node)
        else:
            reasons[reason] = reasons.get(reason, 0) + 1
    if not candidates:
        return Placement(None, reasons)

    def rank(node: Node) -> tuple[int, int, int, int, str]:
        soft = sum(
            _skew_after(pod, spread, node, nodes, placed) > spread.max_skew
            for spread in pod.spec.topology_spread_constraints
        )
        used = sum(other.spec.requested_memory_bytes for other in placed if other.node == node.name)
        count = sum(other.node == node.name for other in placed)
        return _violated(pod, node, nodes, placed), soft, used - node.allocatable_memory_bytes, count, node.name

    return Placement(min(candidates, key=rank).name, reasons)


def _violated(pod: PlacedPod, node: Node, nodes: Sequence[Node], placed: Sequence[PlacedPod]) -> int:
    """Sum of the weights of the preferred anti-affinities `node` violates, once for each pod to stay away from."""
    labels, labels_of = node.all_labels, {item.name: item.all_labels for item in nodes}
    return sum(
        item.weight
        for item in pod.spec.affinity.pod_anti_affinity.preferred
        for other in placed
        if _conflicts(item.pod_affinity_term, pod, other, labels, labels_of.get(other.node or "", {}))
    )


def feasible_nodes(pod: PlacedPod, nodes: Sequence[Node], pods: Iterable[PlacedPod]) -> list[Node]:
    """Every node the real scheduler may pick for `pod`."""
    placed = [other for other in pods if other.node is not None]
    return [node for node in nodes if why_not(pod, node, nodes, placed) is None]


def why_not(pod: PlacedPod, node: Node, nodes: Sequence[Node], placed: Sequence[PlacedPod]) -> str | None:
    """The first rule that keeps `pod` off `node`, in the scheduler's words; None if it fits."""
    if not node.ready:
        return "node(s) were not ready"
    if node.cordoned:
        return "node(s) were unschedulable"
    if not _node_matches(pod.spec, node):
        return "node(s) didn't match Pod's node affinity/selector"
    untolerated = next((taint for taint in node.taints if not tolerates(pod.spec.tolerations, taint)), None)
    if untolerated is not None:
        return f"node(s) had untolerated taint {{{untolerated}}}"
    if pod.volume_zones and node.zone not in pod.volume_zones:
        return "node(s) had volume node affinity conflict"
    here = [other for other in placed if other.node == node.name]
    if len(here) >= node.max_pods:
        return "Too many pods"
    memory = sum(other.spec.requested_memory_bytes for other in here) + pod.spec.requested_memory_bytes
    if memory > node.allocatable_memory_bytes:
        return "Insufficient memory"
    cpu = sum(other.spec.requested_cpu_millicores for other in here) + pod.spec.requested_cpu_millicores
    if cpu > node.allocatable_cpu_millicores:
        return "Insufficient cpu"
    return _why_not_affinity(pod, node, nodes, placed)


def tolerates(tolerations: Iterable[Toleration], taint: Taint) -> bool:
    """PreferNoSchedule never forbids."""
    return taint.effect == "PreferNoSchedule" or any(
        (toleration.key, toleration.effect) == (taint.key, taint.effect)
        and (toleration.operator == "Exists" or toleration.value == taint.value)
        for toleration in tolerations
    )


def _node_matches(spec: PodSpec, node: Node) -> bool:
    return spec.node_selector.items() <= node.all_labels.items()


def _selects(selector: LabelSelector | None, owner: PlacedPod, other: PlacedPod, keys: Iterable[str] = ()) -> bool:
    """A null selector selects nothing. A match key the owner lacks is ignored (KEP-3633)."""
    return (
        selector is not None
        and owner.namespace == other.namespace
        and selector.matches(other.labels)
        and all(other.labels.get(key) == owner.labels[key] for key in keys if key in owner.labels)
    )


def _conflicts(
    term: PodAffinityTerm, owner: PlacedPod, other: PlacedPod, labels: Mapping[str, str], there: Mapping[str, str]
) -> bool:
    """Whether `term` of `owner` speaks of `other`, and the two nodes, given by their labels, are one topology."""
    key = term.topology_key
    return (
        key in labels
        and there.get(key) == labels[key]
        and _selects(term.label_selector, owner, other, term.match_label_keys)
    )


def _why_not_affinity(pod: PlacedPod, node: Node, nodes: Sequence[Node], placed: Sequence[PlacedPod]) -> str | None:
    """Anti-affinity holds in both directions: also a placed pod's rule keeps others away."""
    labels, labels_of = node.all_labels, {item.name: item.all_labels for item in nodes}
    for other in placed:
        there = labels_of.get(other.node or "", {})
        if any(_conflicts(term, pod, other, labels, there) for term in pod.spec.affinity.pod_anti_affinity.required):
            return "node(s) didn't match pod anti-affinity rules"
    for other in placed:
        there = labels_of.get(other.node or "", {})
        if any(_conflicts(term, other, pod, labels, there) for term in other.spec.affinity.pod_anti_affinity.required):
            return "node(s) didn't satisfy existing pods anti-affinity rules"
    return None


def _skew_after(
    pod: PlacedPod, spread: TopologySpread, node: Node, nodes: Sequence[Node], placed: Sequence[PlacedPod]
) -> int:
    """Skew of `node`'s domain if the pod were placed there: its matching pods minus the smallest domain's."""
    domain_of = {
        other.name: other.all_labels[spread.topology_key]
        for other in nodes
        if spread.topology_key in other.all_labels and _node_matches(pod.spec, other)
    }
    counts = dict.fromkeys(domain_of.values(), 0)
    for other in placed:
        if other.node in domain_of and _selects(spread.label_selector, pod, other):
            counts[domain_of[other.node]] += 1
    here = counts.get(node.all_labels.get(spread.topology_key, ""), 0)
    return here + int(_selects(spread.label_selector, pod, pod)) - min(counts.values(), default=0)
