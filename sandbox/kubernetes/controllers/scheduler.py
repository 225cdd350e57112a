"""Where a pod may run: the Kubernetes scheduler's filters, as pure functions.

The real scheduler's scores are only approximated: preferences and soft spreads decide, then free memory. A test that
wants to know whether *every* choice it may make works asks `feasible_nodes` and tries them all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sandbox.kubernetes.manifests.metadata import LabelSelector
from sandbox.kubernetes.manifests.pod import PodAffinityTerm, PodSpec, Toleration, TopologySpread

ZONE_LABEL = "topology.kubernetes.io/zone"
HOSTNAME_LABEL = "kubernetes.io/hostname"


@dataclass(frozen=True)
class Taint:
    key: str
    value: str = ""
    effect: str = "NoSchedule"

    def __str__(self) -> str:
        return f"{self.key}={self.value}:{self.effect}"


@dataclass(frozen=True)
class Node:
    """A machine pods can be placed on; allocatable sizes are what is left after the system's own share."""

    name: str
    zone: str
    allocatable_memory_bytes: int
    allocatable_cpu_millicores: int
    max_pods: int = 110
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    cordoned: bool = False
    ready: bool = True

    @property
    def all_labels(self) -> dict[str, str]:
        return {ZONE_LABEL: self.zone, HOSTNAME_LABEL: self.name, "kubernetes.io/os": "linux", **self.labels}


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
    """The node for `pod`: most preferred, then fewest violated soft spreads, then most free memory, then name."""
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
            if spread.when_unsatisfiable == "ScheduleAnyway"
        )
        used = sum(other.spec.requested_memory_bytes for other in placed if other.node == node.name)
        count = sum(other.node == node.name for other in placed)
        return -_preference(pod, node, nodes, placed), soft, used - node.allocatable_memory_bytes, count, node.name

    return Placement(min(candidates, key=rank).name, reasons)


def _preference(pod: PlacedPod, node: Node, nodes: Sequence[Node], placed: Sequence[PlacedPod]) -> int:
    """Sum of the weights of the preferences `node` satisfies, less those of the anti-affinities it violates."""
    labels, labels_of = node.all_labels, {other.name: other.all_labels for other in nodes}

    def matches(term: PodAffinityTerm) -> int:
        value = labels.get(term.topology_key)
        return sum(
            value is not None
            and labels_of.get(other.node or "", {}).get(term.topology_key) == value
            and _term_selects(term, pod, other)
            for other in placed
        )

    affinity = pod.spec.affinity
    score = sum(
        item.weight
        for item in affinity.node_affinity.preferred
        if all(requirement.matches(labels) for requirement in item.preference.match_expressions)
    )
    score += sum(item.weight * matches(item.pod_affinity_term) for item in affinity.pod_affinity.preferred)
    return score - sum(item.weight * matches(item.pod_affinity_term) for item in affinity.pod_anti_affinity.preferred)


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
    return _why_not_affinity(pod, node, nodes, placed) or _why_not_spread(pod, node, nodes, placed)


def tolerates(tolerations: Iterable[Toleration], taint: Taint) -> bool:
    """PreferNoSchedule never forbids."""
    if taint.effect == "PreferNoSchedule":
        return True
    return any(
        (not toleration.effect or toleration.effect == taint.effect)
        and (
            (toleration.operator == "Exists" and toleration.key in ("", taint.key))
            or (toleration.operator == "Equal" and (toleration.key, toleration.value) == (taint.key, taint.value))
        )
        for toleration in tolerations
    )


def _node_matches(spec: PodSpec, node: Node) -> bool:
    labels = node.all_labels
    if any(labels.get(key) != value for key, value in spec.node_selector.items()):
        return False
    required = spec.affinity.node_affinity.required
    # Terms are alternatives; an empty term matches nothing, as in Kubernetes.
    return required is None or any(
        term.match_expressions and all(requirement.matches(labels) for requirement in term.match_expressions)
        for term in required.node_selector_terms
    )


def _selects(
    selector: LabelSelector | None,
    match_keys: Iterable[str],
    owner: PlacedPod,
    other: PlacedPod,
    mismatch_keys: Iterable[str] = (),
) -> bool:
    """A null selector selects nothing. A match key the owner lacks is ignored (KEP-3633)."""
    if selector is None:
        return False
    return (
        selector.matches(other.labels)
        and all(other.labels.get(key) == owner.labels[key] for key in match_keys if key in owner.labels)
        and all(other.labels.get(key) != owner.labels[key] for key in mismatch_keys if key in owner.labels)
    )


def _term_selects(term: PodAffinityTerm, owner: PlacedPod, other: PlacedPod) -> bool:
    if term.namespace_selector is not None:
        # Namespaces carry only the label Kubernetes gives them itself; an empty selector takes all.
        in_namespace = (
            term.namespace_selector.matches({"kubernetes.io/metadata.name": other.namespace})
            or other.namespace in term.namespaces
        )
    else:
        in_namespace = other.namespace in (term.namespaces or (owner.namespace,))
    return in_namespace and _selects(term.label_selector, term.match_label_keys, owner, other, term.mismatch_label_keys)


def _why_not_affinity(pod: PlacedPod, node: Node, nodes: Sequence[Node], placed: Sequence[PlacedPod]) -> str | None:
    labels_of = {other.name: other.all_labels for other in nodes}
    labels = node.all_labels

    def shares(other: PlacedPod, key: str) -> bool:
        return key in labels and labels_of.get(other.node or "", {}).get(key) == labels[key]

    for term in pod.spec.affinity.pod_anti_affinity.required:
        if any(_term_selects(term, pod, other) and shares(other, term.topology_key) for other in placed):
            return "node(s) didn't match pod anti-affinity rules"
    for other in placed:
        for term in other.spec.affinity.pod_anti_affinity.required:
            if _term_selects(term, other, pod) and shares(other, term.topology_key):
                return "node(s) didn't satisfy existing pods anti-affinity rules"
    for term in pod.spec.affinity.pod_affinity.required:
        matching = [other for other in placed if _term_selects(term, pod, other)]
        if any(shares(other, term.topology_key) for other in matching):
            continue
        # The first pod of a group that selects itself may go anywhere, or no group could ever start.
        if not matching and _term_selects(term, pod, pod) and term.topology_key in labels:
            continue
        return "node(s) didn't match pod affinity rules"
    return None


def _domains(pod: PlacedPod, spread: TopologySpread, nodes: Sequence[Node]) -> dict[str, set[str]]:
    """Topology value -> names of the nodes that count for this constraint."""
    domains: dict[str, set[str]] = {}
    for node in nodes:
        value = node.all_labels.get(spread.topology_key)
        if value is None:
            continue
        if spread.node_affinity_policy == "Honor" and not _node_matches(pod.spec, node):
            continue
        if spread.node_taints_policy == "Honor" and not all(tolerates(pod.spec.tolerations, t) for t in node.taints):
            continue
        domains.setdefault(value, set()).add(node.name)
    return domains


def _skew_after(
    pod: PlacedPod, spread: TopologySpread, node: Node, nodes: Sequence[Node], placed: Sequence[PlacedPod]
) -> int:
    """Skew of `node`'s domain if the pod were placed there: its matching pods minus the smallest domain's."""
    domains = _domains(pod, spread, nodes)
    counts = {
        value: sum(
            other.node in names
            and other.namespace == pod.namespace
            and _selects(spread.label_selector, spread.match_label_keys, pod, other)
            for other in placed
        )
        for value, names in domains.items()
    }
    here = counts.get(node.all_labels.get(spread.topology_key, ""), 0)
    smallest = min(counts.values(), default=0)
    if spread.min_domains is not None and len(counts) < spread.min_domains:
        smallest = 0
    itself = _selects(spread.label_selector, spread.match_label_keys, pod, pod)
    return here + int(itself) - smallest


def _why_not_spread(pod: PlacedPod, node: Node, nodes: Sequence[Node], placed: Sequence[PlacedPod]) -> str | None:
    for spread in pod.spec.topology_spread_constraints:
        if spread.when_unsatisfiable != "DoNotSchedule":
            continue
        if spread.topology_key not in node.all_labels:
            return "node(s) didn't match pod topology spread constraints (missing required label)"
        if _skew_after(pod, spread, node, nodes, placed) > spread.max_skew:
            return "node(s) didn't match pod topology spread constraints"
    return None
