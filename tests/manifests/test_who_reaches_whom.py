"""Who reaches the pods, and whom they reach: asked of `reach`, which knows the rendered policies and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.manifests import names
from preview.evaluate import Evaluation
from tests.manifests.reach import End, Labels, Reach
from tests.resources.stacks import stack

BUS, REDIS, METRICS = names.BUS_PORT, names.REDIS_PORT, names.EXPORTER_PORT
PARTITIONED = {
    "monitoring__exporter": "true",
    "monitoring__allowFromNamespaces": '["watch"]',
    "validation__enabled": "true",
}
CLIENTS = {"access__allowFromNamespaces": '["web", "shop"]', "access__allowFromPods": '["mixed/app=front,tier=a"]'}
GUARDED = dict(names.CLUSTER_LABEL)
DNS = End("10.0.9.9", "kube-system", {"k8s-app": "kube-dns"})
NODE_DNS, API_SERVER, INTERNET = End("169.254.20.10"), End("10.0.0.7"), End("203.0.113.9")


class Cluster:
    """Rendered stacks in one Kubernetes cluster, among namespaces of other people."""

    def __init__(self, *evaluations: Evaluation) -> None:
        objects = [item for evaluation in evaluations for item in evaluation.resources if item.is_kubernetes]
        self.pools = [evaluation.plan.pool for evaluation in evaluations]
        self.namespaces: dict[str, Labels] = {
            name: {} for name in ("web", "shop", "mixed", "watch", "monitoring", "kube-system", "stranger")
        }
        self.namespaces |= {
            item.inputs["metadata"]["name"]: item.inputs["metadata"]["labels"]
            for item in objects
            if item.kind == "Namespace"
        }
        self.reach = Reach([item.inputs for item in objects if item.kind == "NetworkPolicy"], self.namespaces)
        self.pods: dict[str, list[End]] = {"redis": [], "job": [], "rollout": []}
        for item in objects:
            for template in _templates(item.inputs):
                labels = template["metadata"]["labels"]
                phase = labels.get("phase", "")
                kind = "rollout" if phase.startswith("rollout") else "job" if phase else "redis"
                ip = f"10.1.0.{sum(map(len, self.pods.values())) + 1}"
                self.pods[kind].append(End(ip, item.inputs["metadata"]["namespace"], labels))

    def redis_of(self, pool: str) -> list[End]:
        return [pod for pod in self.pods["redis"] if pod.namespace == pool]


def _templates(inputs: Any) -> Iterator[dict[str, Any]]:
    spec = inputs.get("spec") or {}
    if "template" in spec:
        yield spec["template"]
    elif "jobTemplate" in spec:
        yield spec["jobTemplate"]["spec"]["template"]


@cache
def prod() -> Cluster:
    return Cluster(stack("prod", **PARTITIONED, **CLIENTS))


@cache
def while_pools_change() -> Cluster:
    """Both pools of a change of podMemory, each rendered by an update that knows only its own."""
    return Cluster(*(stack("prod", podMemory=size, **PARTITIONED, **CLIENTS) for size in ("64GB", "128GB")))


OTHERS = [
    End("10.2.0.1", "stranger"),
    End("10.2.0.2", "stranger", {"app": "redis", "role": "master", "app.kubernetes.io/part-of": "redis-64gb"}),
    End("10.2.0.3", "stranger", {"app": "redis-reconciler", "phase": "form"}),
    End("10.2.0.4", "web", {"app": "redis"}),
    End("10.2.0.5", "monitoring", {"app": "prometheus"}),
    INTERNET,
]


@pytest.mark.parametrize("cluster", [prod, while_pools_change])
def test_pods_of_the_cluster_reach_each_other_in_all_pools_and_both_ways(cluster: Any) -> None:
    there = cluster()
    for one in there.pods["redis"]:
        for other in there.pods["redis"]:
            assert there.reach.can(one, other, REDIS)
            assert there.reach.can(one, other, BUS)
    assert {pod.namespace for pod in there.pods["redis"]} == set(there.pools)


@pytest.mark.parametrize("cluster", [prod, while_pools_change])
def test_the_jobs_of_any_pool_reach_redis_in_all_of_them_and_never_the_bus(cluster: Any) -> None:
    there = cluster()
    working = [job for job in there.pods["job"] if job.labels["phase"] != "check"]
    assert {job.labels["phase"] for job in working} == {"release", "form", "repair", "validation"}
    for job in working:
        for pod in there.pods["redis"]:
            assert there.reach.can(job, pod, REDIS)
            assert not there.reach.can(job, pod, BUS)
            assert not there.reach.can(job, pod, METRICS)
            assert not there.reach.can(pod, job, REDIS)


def test_the_jobs_reach_a_pushgateway_that_is_named_and_redis_never_does() -> None:
    gateway, beside = End("10.2.3.1", "watch", {"app": "pushgateway"}), End("10.2.3.2", "monitoring")
    told = Cluster(stack("prod", **PARTITIONED, monitoring__pushgateway="prometheus-pushgateway.watch:9091"))
    for there, reaches in ((told, True), (prod(), False)):
        for job in there.pods["job"]:
            is_told = reaches and job.labels["phase"] != "check"
            assert there.reach.can(job, gateway, 9091) is is_told, job
            assert not there.reach.can(job, gateway, 9090)
            assert not there.reach.can(job, beside, 9091)
        for pod in [*there.pods["redis"], *there.pods["rollout"]]:
            assert not there.reach.can(pod, gateway, 9091)


@pytest.mark.parametrize("cluster", [prod, while_pools_change])
def test_nobody_else_reaches_the_bus_whatever_labels_its_pods_have(cluster: Any) -> None:
    there = cluster()
    known = [End("10.2.1.1", "web"), End("10.2.1.2", "mixed", {"app": "front", "tier": "a"}), End("10.2.1.3", "watch")]
    for pod in there.pods["redis"]:
        for other in [*OTHERS, *known, *there.pods["job"], *there.pods["rollout"]]:
            assert not there.reach.can(other, pod, BUS), other


def test_clients_are_those_that_the_config_names() -> None:
    there = prod()
    let_in = [End("10.2.2.1", "web"), End("10.2.2.2", "shop", {"app": "x"})]
    let_in.append(End("10.2.2.3", "mixed", {"app": "front", "tier": "a", "version": "7"}))
    kept_out = [End("10.2.2.4", "mixed", {"app": "front"}), End("10.2.2.5", "mixed", {"tier": "a"})]
    kept_out += [other for other in OTHERS if other.namespace != "web"]
    for pod in there.pods["redis"]:
        assert all(there.reach.can(client, pod, REDIS) for client in let_in)
        assert not [other for other in kept_out if there.reach.can(other, pod, REDIS)]


def test_where_a_test_stack_names_nobody_every_pod_reaches_redis_and_still_nobody_the_bus() -> None:
    there = Cluster(stack("local"))
    for pod in there.pods["redis"]:
        assert there.reach.can(INTERNET, pod, REDIS)
        assert there.reach.can(OTHERS[0], pod, REDIS)
        assert not [other for other in OTHERS if there.reach.can(other, pod, BUS)]


def test_metrics_are_read_from_the_namespaces_of_monitoring_alone() -> None:
    there = prod()
    for pod in there.pods["redis"]:
        assert there.reach.can(End("10.2.3.1", "watch"), pod, METRICS)
        assert not [other for other in [*OTHERS, End("10.2.3.2", "web")] if there.reach.can(other, pod, METRICS)]
        assert not there.reach.can(End("10.2.3.1", "watch"), pod, REDIS)


def test_who_resolves_names_reaches_dns_by_both_protocols_and_nothing_else_of_its_namespace() -> None:
    there = prod()
    for pod in [*there.pods["redis"], *(job for job in there.pods["job"] if job.labels["phase"] != "check")]:
        for server in (DNS, NODE_DNS):
            assert there.reach.can(pod, server, 53, "UDP")
            assert there.reach.can(pod, server, 53, "TCP")
            assert not there.reach.can(pod, server, 443)
        assert not there.reach.can(pod, End("10.0.9.8", "kube-system", {"k8s-app": "metrics-server"}), 53, "UDP")


def test_no_pod_speaks_to_the_outside_but_a_rollout_to_the_api_server() -> None:
    there = prod()
    for kind, pods in there.pods.items():
        for pod in pods:
            assert not there.reach.can(pod, INTERNET, 80)
            assert not there.reach.can(pod, End("169.254.169.254"), 80), "the node's credentials"
            assert not there.reach.can(pod, OTHERS[0], REDIS)
            assert there.reach.can(pod, API_SERVER, 443) == (kind == "rollout")


def test_a_pod_that_is_none_of_ours_is_shut_off_in_a_pools_namespace() -> None:
    there = prod()
    (pool,) = there.pools
    visitor = End("10.2.4.1", pool, {"app": "debug"})
    for pod in there.pods["redis"]:
        assert not there.reach.can(visitor, pod, REDIS)
        assert not there.reach.can(pod, visitor, REDIS)
    assert not there.reach.can(visitor, DNS, 53, "UDP")


LABELS = st.dictionaries(
    st.sampled_from(["app", "role", "phase", "app.kubernetes.io/part-of", "kubernetes.io/metadata.name", "pool"]),
    st.sampled_from(["redis", "redis-reconciler", "master", "form", "redis-image-cache", "redis-64gb", "kube-system"]),
)


@settings(max_examples=50)
@given(st.sampled_from(["intruder", "redis-32gb", "default"]), LABELS, LABELS)
def test_no_labels_of_a_pod_or_of_its_namespace_open_anything_but_the_guarded_one(
    namespace: str, of_namespace: dict[str, str], of_pod: dict[str, str]
) -> None:
    evaluations = [stack("prod", podMemory=size, **PARTITIONED, **CLIENTS) for size in ("64GB", "128GB")]
    there = while_pools_change()
    policies = [item.inputs for one in evaluations for item in one.resources if item.kind == "NetworkPolicy"]
    reach = Reach(policies, {**there.namespaces, namespace: of_namespace})
    intruder = End("10.3.0.1", namespace, of_pod)
    for pod in there.pods["redis"]:
        assert not any(reach.can(intruder, pod, port) for port in (REDIS, BUS, METRICS))
        assert not any(reach.can(pod, intruder, port) for port in (REDIS, BUS, 80))
    marked = Reach(policies, {**there.namespaces, namespace: {**of_namespace, **GUARDED}})
    assert marked.can(End("10.3.0.2", namespace, names.APP_LABEL), there.pods["redis"][0], BUS), "what the guard is for"


def test_who_may_mark_a_namespace_is_asked_of_the_api_server() -> None:
    found = {item.kind: item.inputs["spec"] for item in stack("prod").resources if "ValidatingAdmission" in item.type}
    policy, binding = found["ValidatingAdmissionPolicy"], found["ValidatingAdmissionPolicyBinding"]
    (rule,) = policy["matchConstraints"]["resourceRules"]
    assert (rule["resources"], rule["operations"]) == (["namespaces"], ["CREATE", "UPDATE"])
    ((label, value),) = GUARDED.items()
    (condition,) = policy["matchConditions"]
    assert f"object.metadata.labels['{label}'] == '{value}'" in condition["expression"]
    assert policy["failurePolicy"] == "Fail"
    assert binding["validationActions"] == ["Deny"]
    (name,) = (
        item.inputs["metadata"]["name"] for item in stack("prod").resources if item.kind == "ValidatingAdmissionPolicy"
    )
    assert binding["policyName"] == name
