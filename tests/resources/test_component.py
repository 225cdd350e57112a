"""What the component registers: the order that keeps a living cache alive, and the rules that hold for any size."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.plan.placement import pods_per_zone, zone_of
from preview.evaluate import Evaluation
from preview.resources import Resource
from tests.resources.stacks import of_type, only, stack

ZONES = st.lists(st.sampled_from([f"us-east-1{letter}" for letter in "abcdef"]), min_size=1, unique=True).map(tuple)


def before(evaluation: Evaluation, resource: Resource) -> set[str]:
    """Names of everything that exists before a resource is made."""
    by_urn = {item.urn: item for item in evaluation.resources}
    found: set[str] = set()
    waiting = list(resource.depends_on)
    while waiting:
        urn = waiting.pop()
        if urn not in found:
            found.add(urn)
            waiting += by_urn[urn].depends_on
    return {by_urn[urn].name for urn in found}


def test_nothing_is_made_before_what_it_needs(prod: Evaluation) -> None:
    groups = set(of_type(prod, ":NodeGroup"))
    namespace = only(prod, ":Namespace", f"{prod.plan.pool}-namespace")
    check, release, form = (only(prod, ":Job", phase) for phase in ("check", "release", "form"))
    replica, master = only(prod, ":StatefulSet", "redis-replica"), only(prod, ":StatefulSet", "redis-master")
    client = only(prod, ":Service", "images-client")

    order = [*sorted(groups), namespace.name, check.name, release.name, replica.name, master.name, form.name]
    assert set(order) <= before(prod, client)
    for position, step in enumerate(order[3:], start=3):
        resource = next(item for item in prod.resources if item.name == step)
        earlier = set(order[:position]) - (groups if step in groups else set())
        assert earlier <= before(prod, resource), step


def test_nothing_goes_on_before_the_last_pod_of_a_stateful_set_runs_its_edit(prod: Evaluation) -> None:
    """The provider does not wait (docs/reference/engine.md), so a Job does: anything later depends on it, and it runs
    anew whenever the set or what its pods mount changes."""
    replica, master = only(prod, ":StatefulSet", "redis-replica"), only(prod, ":StatefulSet", "redis-master")
    waits = {item.name: only(prod, ":Job", f"rollout-{item.inputs['metadata']['name']}") for item in (replica, master)}

    for item in (replica, master):
        assert item.inputs["metadata"]["annotations"]["pulumi.com/skipAwait"] == "true"
        job = waits[item.name]
        assert item.name in before(prod, job)
        (container,) = job.inputs["spec"]["template"]["spec"]["containers"]
        assert f"--stateful-set={item.inputs['metadata']['name']}" in container["command"]
        named = {entry["value"] for entry in container["env"]}
        pod = item.inputs["spec"]["template"]["spec"]
        assert {volume["configMap"]["name"] for volume in pod["volumes"] if "configMap" in volume} <= named
        assert pod["priorityClassName"] in named
    assert waits[replica.name].name in before(prod, master)
    assert {job.name for job in waits.values()} <= before(prod, only(prod, ":Job", "form"))


@pytest.mark.parametrize(
    "edit",
    [
        {"images__redis": "redis:7.2-alpine"},
        {"workload__requestsPerSecond": "4000"},
        {"access__alsoAccepted": "battery-staple-horse"},
        {"totalMemory": "768GB"},
        {"monitoring__exporter": "true"},
    ],
    ids=lambda edit: next(iter(edit)),
)
def test_the_rollout_of_any_edit_of_pods_is_waited_for_anew(edit: dict[str, str]) -> None:
    now, after = stack("prod"), stack("prod", **edit)
    for name in ("redis-replica", "redis-master"):
        changed = only(now, ":StatefulSet", name).inputs != only(after, ":StatefulSet", name).inputs
        old, new = only(now, ":Job", f"rollout-{name}"), only(after, ":Job", f"rollout-{name}")
        assert changed
        assert old.inputs["spec"]["template"] != new.inputs["spec"]["template"]
    assert_checked_anew(now, after)


def assert_checked_anew(now: Evaluation, after: Evaluation) -> None:
    old, new = only(now, ":Job", "check"), only(after, ":Job", "check")
    assert old.inputs["spec"]["template"] != new.inputs["spec"]["template"]


@pytest.mark.parametrize(
    "edit", [{"images__python": "python:3.12-alpine"}, {"resize__maxMibPerSecond": "100"}], ids=str
)
def test_whether_jobs_can_start_is_checked_anew_before_any_of_them_runs_anew(edit: dict[str, str]) -> None:
    assert_checked_anew(stack("prod"), stack("prod", **edit))


def test_jobs_that_cannot_start_are_an_error_within_two_minutes(prod: Evaluation) -> None:
    """A Job that may run for hours waits as long for a pod that cannot be made."""
    check, form = only(prod, ":Job", "check"), only(prod, ":Job", "form")
    assert check.inputs["spec"]["activeDeadlineSeconds"] <= 120 < form.inputs["spec"]["activeDeadlineSeconds"]

    def needs(job: Resource) -> dict[str, object]:
        (container,) = job.inputs["spec"]["template"]["spec"]["containers"]
        return {key: container[key] for key in ("image", "resources", "volumeMounts", "securityContext")} | {
            "env": container["env"][: len(needed_env)]
        }

    (container,) = form.inputs["spec"]["template"]["spec"]["containers"]
    needed_env = container["env"]
    assert needs(check) == needs(form)


def test_the_rollout_jobs_may_read_their_sets_and_list_pods_and_events_and_nothing_else(prod: Evaluation) -> None:
    (role,) = of_type(prod, "rbac.authorization.k8s.io/v1:Role").values()
    granted = {
        (group, resource, verb, tuple(rule.get("resourceNames", ())))
        for rule in role.inputs["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert granted == {
        ("apps", "statefulsets", "get", ("redis-replica", "redis-master")),
        ("", "pods", "list", ()),
        ("", "events", "list", ()),
    }
    (binding,) = of_type(prod, ":RoleBinding").values()
    (account,) = of_type(prod, ":ServiceAccount").values()
    assert binding.inputs["roleRef"]["name"] == role.inputs["metadata"]["name"]
    assert [subject["name"] for subject in binding.inputs["subjects"]] == [account.inputs["metadata"]["name"]]
    with_token = [
        item.name
        for item in prod.resources
        if item.kind in ("Job", "CronJob", "StatefulSet")
        and '"automountServiceAccountToken": true' in json.dumps(dict(item.inputs))
    ]
    assert sorted(with_token) == [
        f"images-{prod.plan.pool}-rollout-{name}" for name in ("redis-master", "redis-replica")
    ]


def test_a_job_that_refuses_fails_at_once_and_its_last_words_reach_the_reader(prod: Evaluation) -> None:
    """Measured: the provider does not take the end by a podFailurePolicy for one, and shows a failed pod's message."""
    jobs = [item.inputs["spec"] for item in of_type(prod, ":Job").values()]
    jobs += [item.inputs["spec"]["jobTemplate"]["spec"] for item in of_type(prod, ":CronJob").values()]
    assert len(jobs) == 6
    for spec in jobs:
        assert spec["backoffLimit"] == 0
        for rule in spec.get("podFailurePolicy", {}).get("rules", ()):
            assert rule["action"] == "Ignore"
        for container in spec["template"]["spec"]["containers"]:
            assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"


def test_everything_belongs_to_the_component_and_to_the_stack_s_own_cluster(prod: Evaluation) -> None:
    (component,) = of_type(prod, ":RedisImageCacheCluster").values()
    by_urn = {item.urn: item for item in prod.resources}

    def ancestors(resource: Resource) -> Iterator[str]:
        while resource.parent in by_urn:
            resource = by_urn[resource.parent]
            yield resource.urn

    assert component.type == "redis-image-cache:index:RedisImageCacheCluster"
    for resource in prod.resources:
        if resource.type.startswith("pulumi:providers") or resource is component:
            continue
        assert component.urn in ancestors(resource), resource.name
        if resource.is_kubernetes:
            assert (resource.provider or "").endswith("::kubernetes"), f"{resource.name} would use an ambient cluster"


def test_the_local_stack_makes_nothing_of_aws() -> None:
    assert not [resource.type for resource in stack("local").resources if resource.type.startswith("aws:")]


def test_each_pod_finds_its_volume_pinned_to_the_zone_that_the_ring_gives_it(prod: Evaluation) -> None:
    claims = {claim.inputs["metadata"]["name"]: claim for claim in of_type(prod, ":PersistentVolumeClaim").values()}
    classes = {item.inputs["metadata"]["name"]: item for item in of_type(prod, ":StorageClass").values()}
    masters = prod.plan.sizing.masters

    assert len(claims) == 2 * masters
    for ordinal in range(masters):
        zones = []
        for set_ in of_type(prod, ":StatefulSet").values():
            spec = set_.inputs["spec"]
            claim = claims[f"{spec['volumeClaimTemplates'][0]['metadata']['name']}-{spec['serviceName']}-{ordinal}"]
            assert claim.inputs["spec"]["resources"] == spec["volumeClaimTemplates"][0]["spec"]["resources"]
            (term,) = classes[claim.inputs["spec"]["storageClassName"]].inputs["allowedTopologies"]
            (expression,) = term["matchLabelExpressions"]
            zones += expression["values"]
        assert len(set(zones)) == 2, f"both copies of shard {ordinal} are pinned to {zones[0]}"


@given(st.integers(1, 4), st.integers(1, 200), ZONES)
def test_the_ring_keeps_copies_apart_and_zones_even(copies: int, shards: int, zones: tuple[str, ...]) -> None:
    counts = pods_per_zone(copies, shards, zones)

    for ordinal in range(min(shards, 50)):
        used = {zone_of(copy, ordinal, zones) for copy in range(copies)}
        assert len(used) == min(copies, len(zones))
    for copy in range(copies):
        per_zone = [counts[zone][copy] for zone in zones]
        assert max(per_zone) - min(per_zone) <= 1
        assert sum(per_zone) == shards


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 400), st.integers(3, 24), st.integers(1, 2))
def test_for_any_size_each_shard_has_all_its_copies_and_their_figures_agree(
    pod_memory_gib: int, masters: int, replicas: int
) -> None:
    evaluation = stack(
        "local",
        podMemory=f"{pod_memory_gib}GB",
        totalMemory=f"{pod_memory_gib * masters}GB",
        replicasPerMaster=str(replicas),
        workload__requestsPerSecond="10",
    )

    sets = [resource.inputs["spec"] for resource in of_type(evaluation, ":StatefulSet").values()]
    assert [spec["replicas"] for spec in sets] == [masters] * (replicas + 1)
    for spec in sets:
        template = spec["template"]
        assert spec["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
        (container,) = template["spec"]["containers"]
        assert container["resources"]["requests"]["cpu"] == f"{evaluation.settings.pod_cpu_millicores}m"
    selectors = [tuple(sorted(spec["selector"]["matchLabels"].items())) for spec in sets]
    assert len(set(selectors)) == len(selectors), "two StatefulSets would fight over the same pods"


def test_a_pod_has_a_cpu_limit_only_where_it_shares_its_node_with_others() -> None:
    for name, limit in (("prod", None), ("local", "1000m")):
        for item in of_type(stack(name), ":StatefulSet").values():
            (container,) = item.inputs["spec"]["template"]["spec"]["containers"]
            assert container["resources"]["limits"].get("cpu") == limit
            assert "memory" in container["resources"]["limits"]


KEPT_BY_PROTECT = ["images-client", "images-namespace", "images-password", "images-service-secret"]


def protected(evaluation: Evaluation) -> list[str]:
    return sorted(item.name for item in evaluation.resources if item.options.get("protect"))


@pytest.mark.parametrize("edit", [{}, {"podMemory": "128GB"}, {"access__password": "correct-horse-battery"}], ids=str)
def test_production_protects_the_clients_name_and_the_password_whatever_pool_it_has(edit: dict[str, str]) -> None:
    """The list is the same after every edit: what leaves the program while it is protected fails the update."""
    assert protected(stack("prod", **edit)) == KEPT_BY_PROTECT


def test_a_destroy_would_have_to_begin_with_the_protected_client_service(prod: Evaluation) -> None:
    """Of what it may delete first (nothing depends on it), everything but components and providers is protected."""
    needed = {urn for item in prod.resources for urn in item.depends_on}
    first = [item for item in prod.resources if item.urn not in needed and item.inputs]
    assert [item.name for item in first if not item.type.startswith("pulumi:")] == ["images-client"]
    assert "images-client" in protected(prod)


def test_without_protect_nothing_is_protected() -> None:
    assert protected(stack("prod", protect="false")) == []
    assert protected(stack("local")) == []


def test_outputs_tell_applications_where_to_connect(prod: Evaluation) -> None:
    assert prod.outputs["endpoint"] == "redis.redis-image-cache.svc.cluster.local:6380"
    assert prod.outputs["discoveryAddresses"][0].startswith(f"redis-master.{prod.plan.pool}.svc.")
    client = only(prod, ":Service", "images-client")
    assert client.inputs["spec"]["externalName"] == f"redis.{prod.plan.pool}.svc.cluster.local"


def test_no_name_is_left_in_another_domain_than_the_clusters() -> None:
    other = stack("prod", clusterDomain="k8s.example.com")

    assert "cluster.local" not in json.dumps([dict(item.inputs) for item in other.resources if item.is_kubernetes])
    assert "cluster.local" not in json.dumps(dict(other.outputs))
    (topology,) = (
        json.loads(item.inputs["data"]["topology.json"])
        for item in other.resources
        if item.kind == "ConfigMap" and "topology.json" in (item.inputs.get("data") or {})
    )
    names_of_all = [*topology["seeds"], *(node["host"] for node in topology["nodes"])]
    names_of_all.append(only(other, ":Service", "images-client").inputs["spec"]["externalName"])
    names_of_all += [address.removesuffix(":6380") for address in other.outputs["discoveryAddresses"]]
    names_of_all.append(other.outputs["endpoint"].removesuffix(":6380"))
    assert [name for name in names_of_all if not name.endswith(".svc.k8s.example.com")] == []
