"""Placement follows the Kubernetes scheduler's filters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sandbox.kubernetes.controllers.scheduler import PlacedPod, feasible_nodes, place, why_not
from sandbox.kubernetes.manifests.base import decode
from sandbox.kubernetes.manifests.pod import PodSpec
from sandbox.kubernetes.nodes import HOSTNAME_LABEL, ZONE_LABEL, Node, Taint

GI = 1024**3


def nodes(zones: int = 3, per_zone: int = 2, memory_gi: int = 8, **more: Any) -> list[Node]:
    return [
        Node(f"n{zone}{number}", f"z{zone}", memory_gi * GI, 8000, **more)
        for zone in range(zones)
        for number in range(per_zone)
    ]


def pod(name: str, labels: dict[str, str] | None = None, *, memory: str = "1Gi", **spec: Any) -> PlacedPod:
    container = {"name": "c", "image": "redis:7", "resources": {"requests": {"memory": memory, "cpu": "100m"}}}
    decoded = decode(PodSpec, {"containers": [container], **spec}, "Pod")
    return PlacedPod(name, "default", labels or {"app": "redis"}, decoded)


def place_all(pods: Sequence[PlacedPod], machines: Sequence[Node]) -> list[PlacedPod]:
    placed: list[PlacedPod] = []
    for item in pods:
        placed.append(replace(item, node=place(item, machines, placed).node))
    return placed


def anti(topology: str, labels: dict[str, str], *match_keys: str) -> dict[str, Any]:
    rule = {"topologyKey": topology, "labelSelector": {"matchLabels": labels}, "matchLabelKeys": list(match_keys)}
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [rule]}}


def spread(topology: str) -> dict[str, Any]:
    selector = {"matchLabels": {"app": "redis"}}
    rule = {"maxSkew": 1, "topologyKey": topology, "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": selector}
    return {"topologySpreadConstraints": [rule]}


@given(st.lists(st.integers(1, 6), max_size=40), st.integers(1, 4), st.integers(1, 3), st.integers(4, 12))
def test_no_node_is_ever_overcommitted(sizes: list[int], zones: int, per_zone: int, memory_gi: int) -> None:
    machines = nodes(zones, per_zone, memory_gi)
    placed = place_all([pod(f"p{i}", memory=f"{size}Gi") for i, size in enumerate(sizes)], machines)
    used: Counter[str | None] = Counter()
    for item in placed:
        used[item.node] += item.spec.requested_memory_bytes
    assert all(used[machine.name] <= memory_gi * GI for machine in machines)
    # A pod is left over only when it fits nowhere.
    for item in placed:
        if item.node is None:
            smallest_use = min(used[machine.name] for machine in machines)
            assert smallest_use + item.spec.requested_memory_bytes > memory_gi * GI


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 8))
def test_pairs_with_match_label_keys_never_share_a_zone(zones: int, per_zone: int, pairs: int) -> None:
    affinity = anti(ZONE_LABEL, {"app": "redis"}, "index")
    pods = [
        pod(f"{role}-{i}", {"app": "redis", "role": role, "index": str(i)}, affinity=affinity)
        for role in ("replica", "master")
        for i in range(pairs)
    ]
    machines = nodes(zones, per_zone, 64)
    placed = place_all(pods, machines)
    zone = {machine.name: machine.zone for machine in machines}
    for i in range(pairs):
        pair = [item.node for item in placed if item.labels["index"] == str(i) and item.node]
        assert len({zone[node] for node in pair}) == len(pair)
        assert len(pair) == min(2, zones)


@given(st.integers(1, 12), st.integers(1, 4))
def test_a_soft_spread_is_kept_where_it_can_be(count: int, zones: int) -> None:
    machines = nodes(zones, 3, 64)
    pods = [pod(f"p{i}", **spread(ZONE_LABEL)) for i in range(count)]
    zone = {machine.name: machine.zone for machine in machines}
    counts = Counter({machine.zone: 0 for machine in machines})
    for item in place_all(pods, machines):
        assert item.node is not None
        counts[zone[item.node]] += 1
        assert max(counts.values()) - min(counts.values()) <= 1


def test_a_soft_spread_gives_way_when_it_cannot_be_kept() -> None:
    machines = [machine for machine in nodes() if machine.zone == "z0"]
    far = [Node("far", "z1", 1, 8000)]
    pods = [pod(f"p{i}", **spread(ZONE_LABEL)) for i in range(3)]
    assert all(item.node for item in place_all(pods, [*machines, *far]))


def test_taints_need_a_toleration_of_key_value_and_effect() -> None:
    (machine,) = nodes(1, 1, taints=(Taint("dedicated", "redis", "NoSchedule"),))
    (stricter,) = nodes(1, 1, taints=(Taint("dedicated", "redis", "NoExecute"),))
    toleration = {"key": "dedicated", "value": "redis", "effect": "NoSchedule"}
    assert feasible_nodes(pod("p", tolerations=[toleration]), [machine], [])
    assert not feasible_nodes(pod("p", tolerations=[toleration]), [stricter], [])
    for other in ({"key": "other"}, {"value": "other"}):
        assert not feasible_nodes(pod("p", tolerations=[toleration | other]), [machine], [])
    assert why_not(pod("p"), machine, [machine], []) == "node(s) had untolerated taint {dedicated=redis:NoSchedule}"


def test_a_volume_binds_its_pod_to_its_zone() -> None:
    item = replace(pod("p"), volume_zones=frozenset({"z1"}))
    assert {n.zone for n in feasible_nodes(item, nodes(), [])} == {"z1"}
    elsewhere = replace(item, volume_zones=frozenset({"z9"}))
    assert (
        place(elsewhere, nodes(), []).message == "0/6 nodes are available: 6 node(s) had volume node affinity conflict"
    )


def test_anti_affinity_is_symmetric() -> None:
    lonely = replace(pod("lonely", {"app": "a"}, affinity=anti(HOSTNAME_LABEL, {"app": "b"})), node="n00")
    names = [n.name for n in feasible_nodes(pod("other", {"app": "b"}), nodes(), [lonely])]
    assert "n00" not in names
    assert len(names) == 5


def test_rules_look_at_their_own_namespace() -> None:
    there = replace(pod("there"), namespace="other", node="n00")
    own = pod("p", affinity=anti(HOSTNAME_LABEL, {"app": "redis"}))
    assert len(feasible_nodes(own, nodes(), [there])) == 6
    assert len(feasible_nodes(own, nodes(), [replace(there, namespace="default")])) == 5


def test_preferences_choose_but_never_forbid() -> None:
    term = {"topologyKey": ZONE_LABEL, "labelSelector": {"matchLabels": {"app": "redis"}}}
    preferred = [{"weight": 100, "podAffinityTerm": term}]
    affinity = {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}
    placed = place_all([pod(f"p{i}", affinity=affinity) for i in range(4)], nodes())
    assert len({item.node[1] for item in placed[:3] if item.node}) == 3
    assert placed[3].node is not None


def test_cordoned_and_lost_nodes_take_nothing() -> None:
    machines = [replace(nodes()[0], cordoned=True), replace(nodes()[1], ready=False)]
    assert place(pod("p"), machines, []).message == (
        "0/2 nodes are available: 1 node(s) were not ready, 1 node(s) were unschedulable"
    )
