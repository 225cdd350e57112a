"""StatefulSets, Jobs, CronJobs and updates, with real processes."""

from __future__ import annotations

import time
from typing import Any

import pytest

from preview.resources import Resource
from sandbox.control.client import Sandbox
from sandbox.errors import ApplyError, InvalidError, UnsupportedError
from tests.sandbox.conftest import eventually
from tests.sandbox.manifests import (
    SLEEP,
    awaited,
    claim_template,
    container,
    headless,
    job,
    pod_spec,
    resource,
    stateful_set,
)

pytestmark = pytest.mark.sandbox


def versioned(version: str, replicas: int = 3, **more: Any) -> Resource:
    spec = pod_spec(container(SLEEP, env=[{"name": "VERSION", "value": version}]))
    return stateful_set("web", spec, replicas=replicas, **more)


def test_a_rolling_update_goes_from_the_highest_ordinal_down_one_pod_at_a_time(sandbox: Sandbox) -> None:
    sandbox.apply([versioned("1")])
    before = sandbox.pods()
    sandbox.apply([versioned("2")])
    after = sandbox.pods()
    assert [sandbox.exec(name, ["sh", "-c", "echo $VERSION"]).stdout for name in sorted(after)] == ["2\n"] * 3
    assert not {pod["ip"] for pod in before.values()} & {pod["ip"] for pod in after.values()}
    assert after["web-2"]["ageS"] >= after["web-1"]["ageS"] >= after["web-0"]["ageS"]
    # The next pod goes only once its successor is back.
    story = [(subject[-5:], reason) for _, subject, reason, _ in sandbox.events() if reason in ("Killing", "Created")]
    assert story[-6:] == [
        ("web-2", "Killing"),
        ("web-2", "Created"),
        ("web-1", "Killing"),
        ("web-1", "Created"),
        ("web-0", "Killing"),
        ("web-0", "Created"),
    ]


def test_an_edit_is_awaited_only_where_the_object_says_so(sandbox: Sandbox) -> None:
    """As the real provider: it reads the status before the controller has seen the edit, and finds ready pods."""
    sandbox.apply([versioned("1", annotations={})])
    sandbox.apply([versioned("2", annotations={})])
    # web-1 is replaced first, and may be on its way already.
    assert sandbox.exec("web-0", ["sh", "-c", "echo $VERSION"]).stdout.strip() == "1"


def test_a_condition_the_sandbox_cannot_wait_for_is_refused_before_anything_is_changed(sandbox: Sandbox) -> None:
    for text in ("condition=Ready", "jsonpath={.status.phase}=Running", "[", '["jsonpath={.status.replicas}=x"]'):
        with pytest.raises(InvalidError, match="waits for counts of a StatefulSet's status alone"):
            sandbox.apply([versioned("1", annotations={"pulumi.com/waitFor": text})])
    assert sandbox.pods() == {}


def test_ordered_ready_starts_a_pod_only_when_the_one_before_is_ready(sandbox: Sandbox) -> None:
    probe = {"exec": {"command": ["true"]}, "periodSeconds": 1}
    spec = pod_spec(container(SLEEP, readinessProbe=probe))
    sandbox.apply([stateful_set("row", spec, replicas=3, podManagementPolicy="OrderedReady")])
    created = {s[-5:]: at for at, s, reason, _ in sandbox.events() if reason == "Created" and "row-" in s}
    scheduled = {s[-5:]: at for at, s, reason, _ in sandbox.events() if reason == "Scheduled" and "row-" in s}
    assert scheduled["row-0"] < created["row-1"] < scheduled["row-1"] < created["row-2"]


def test_scaling_keeps_the_claims_of_pods_that_go_and_gives_them_back(sandbox: Sandbox) -> None:
    def disk(replicas: int, **more: Any) -> Resource:
        spec = pod_spec(container(SLEEP, volumeMounts=[{"name": "d", "mountPath": "/d"}]))
        return stateful_set("disk", spec, replicas=replicas, volumeClaimTemplates=[claim_template("d", "1Mi")], **more)

    sandbox.apply([disk(2)])
    sandbox.exec("disk-1", ["sh", "-c", "echo kept > /d/file"]).check()
    zone = sandbox.pods()["disk-1"]["zone"]
    sandbox.apply([disk(1)])
    assert sorted(sandbox.pods()) == ["disk-0"]
    assert [claim["name"] for claim in sandbox.status()["claims"]] == ["d-disk-0", "d-disk-1"]
    sandbox.apply([disk(2)])
    assert sandbox.exec("disk-1", ["cat", "/d/file"]).stdout == "kept\n"
    assert sandbox.pods()["disk-1"]["zone"] == zone
    sandbox.apply([disk(1, persistentVolumeClaimRetentionPolicy={"whenScaled": "Delete", "whenDeleted": "Delete"})])
    eventually(lambda: len(sandbox.status()["claims"]) == 1, 3, "whenScaled: Delete removes the claim")
    sandbox.apply([])
    assert sandbox.status()["claims"] == []


def test_a_volume_survives_the_pod_and_a_lost_volume_does_not(sandbox: Sandbox) -> None:
    spec = pod_spec(container(SLEEP, volumeMounts=[{"name": "d", "mountPath": "/d"}]))
    sandbox.apply([stateful_set("vol", spec, volumeClaimTemplates=[claim_template("d", "1Mi")])])
    sandbox.exec("vol-0", ["sh", "-c", "echo data > /d/file"]).check()
    ip = sandbox.pods()["vol-0"]["ip"]

    def back(than: str) -> None:
        eventually(
            lambda: (pod := sandbox.pods().get("vol-0")) is not None and pod["ready"] and pod["ip"] != than, 6, "back"
        )

    sandbox.fault("kill-pod", pod="vol-0", now=True)
    back(ip)
    assert sandbox.exec("vol-0", ["cat", "/d/file"]).stdout == "data\n"
    ip = sandbox.pods()["vol-0"]["ip"]
    sandbox.fault("lose-volume", pod="vol-0")
    back(ip)
    assert sandbox.exec("vol-0", ["ls", "/d"]).stdout == ""


def test_an_immutable_field_is_refused_as_the_api_server_does(sandbox: Sandbox) -> None:
    # Pulumi would replace for most of them; a label selector in place is what only the API server refuses.
    first = versioned("1", replicas=1)
    sandbox.apply([first])
    changed = Resource(**{**first.__dict__, "urn": first.urn + "-other"})
    with pytest.raises(ApplyError, match="already exists"):
        sandbox.apply([first, changed])


def test_a_job_runs_to_completion_and_what_depends_on_it_waits(sandbox: Sandbox) -> None:
    work = job("work", pod_spec(container("sleep 0.3; echo done")))
    after = resource("ConfigMap", "after", data={"a": "b"}, depends_on=[work])
    lines: list[str] = []
    sandbox.apply([after, work], lines.append)
    steps = [line.partition("s  ")[2].rpartition(" in ")[0] for line in lines if "create" in line]
    assert steps == ["create Job work", "create ConfigMap after"]


def test_a_failed_job_ends_the_update_at_once_with_its_last_words(sandbox: Sandbox) -> None:
    work = job("work", pod_spec(container("echo could not reach the node >&2; exit 4")), backoffLimit=0)
    after = resource("ConfigMap", "after", data={"a": "b"}, depends_on=[work])
    with pytest.raises(
        ApplyError, match=r"Job work: BackoffLimitExceeded after 1 failures.*\ncould not reach the node"
    ):
        sandbox.apply([work, after])
    # A second attempt with the same program is refused the same way, not taken for done.
    with pytest.raises(ApplyError, match="could not reach the node"):
        sandbox.apply([work, after])


def test_a_job_tries_again_after_ten_seconds_up_to_its_backoff_limit(sandbox: Sandbox) -> None:
    work = job("flaky", pod_spec(container("exit 1")), backoffLimit=1, activeDeadlineSeconds=3)
    began = time.monotonic()
    with pytest.raises(ApplyError, match="DeadlineExceeded"):
        sandbox.apply([work])
    # The retry would come after 10 s; the deadline is sooner.
    assert 3 <= time.monotonic() - began < 8
    assert len([name for name in sandbox.pods() if name.startswith("flaky-")]) == 1


def test_a_job_whose_container_restarts_in_place_counts_its_failures(sandbox: Sandbox) -> None:
    spec = pod_spec(container("exit 1"), restartPolicy="OnFailure")
    with pytest.raises(ApplyError, match="BackoffLimitExceeded after 1"):
        sandbox.apply([job("inplace", spec, backoffLimit=0)])


def test_a_changed_job_template_replaces_the_job(sandbox: Sandbox) -> None:
    sandbox.apply([job("again", pod_spec(container("echo one")))])
    first = next(iter(sandbox.pods()))
    counts = sandbox.apply([job("again", pod_spec(container("echo two")))])
    assert counts == {"replace": 1, "delete": 1}
    (second,) = sandbox.pods()
    assert second != first
    assert sandbox.logs(second) == "two\n"


def test_a_cron_job_can_be_triggered_and_keeps_its_history_limits(sandbox: Sandbox) -> None:
    template = {"spec": {"template": {"spec": {"restartPolicy": "Never", **pod_spec(container("echo mended"))}}}}
    spec = {
        "schedule": "0 0 1 1 *",
        "concurrencyPolicy": "Forbid",
        "jobTemplate": template,
        "successfulJobsHistoryLimit": 1,
    }
    sandbox.apply([resource("CronJob", "repair", spec)])
    results = [sandbox.trigger("repair", wait=True) for _ in range(2)]
    assert [(r["condition"], r["log"]) for r in results] == [("Complete", "mended")] * 2
    eventually(lambda: len(sandbox.status()["jobs"]) == 1, 4, "only the latest Job is kept")
    eventually(lambda: len(sandbox.pods()) == 1, 4, "and its pod")


def test_nothing_is_started_when_one_manifest_has_an_unsupported_field(sandbox: Sandbox) -> None:
    good = stateful_set("good", pod_spec(container(SLEEP)))
    bad = stateful_set("bad", pod_spec(container(SLEEP), hostPID=True))
    with pytest.raises(
        (InvalidError, UnsupportedError), match=r"StatefulSet default/bad: spec.template.spec.hostPID is not supported"
    ):
        sandbox.apply([good, bad])
    assert sandbox.pods() == {}


def test_an_unknown_image_is_an_error_that_lists_the_known_ones(sandbox: Sandbox) -> None:
    spec = pod_spec({"name": "main", "image": "nginx:1"})
    with pytest.raises(InvalidError, match="image 'nginx:1' is not known; the sandbox has: busybox, ") as refused:
        sandbox.apply([stateful_set("web", spec)])
    assert str(refused.value).endswith("busybox, oliver006/redis_exporter, python, redis, valkey/valkey")


def test_a_roll_to_an_image_that_does_not_exist_holds_at_its_first_pod_until_it_is_corrected(sandbox: Sandbox) -> None:
    def redis(tag: str, **annotations: str) -> Resource:
        main = {"name": "redis", "image": f"redis:{tag}", "command": ["redis-server"]}
        return stateful_set("web", pod_spec(main), replicas=3, annotations=awaited(3, **annotations))

    sandbox.apply([redis("7.4-alpine")])
    before = {name: pod["uid"] for name, pod in sandbox.pods().items()}
    with pytest.raises(ApplyError) as caught:
        sandbox.apply([redis("7.4-alpne", **{"pulumi.com/timeoutSeconds": "4"})])
    text = str(caught.value)
    assert "StatefulSet web: not all pods were ready and current within 4 s" in text
    assert "web-2: container redis: ImagePullBackOff: Back-off pulling image 'redis:7.4-alpne'" in text
    assert "redis has no tag '7.4-alpne': not found" in text
    pods = sandbox.pods()
    assert {name for name, pod in pods.items() if pod["uid"] == before[name] and pod["ready"]} == {"web-0", "web-1"}
    assert (pods["web-2"]["state"], pods["web-2"]["ready"]) == ("ImagePullBackOff", False)
    told = [reason for _, subject, reason, _ in sandbox.events() if subject == "Pod default/web-2"]
    assert told[-2:] == ["Failed", "BackOff"]
    sandbox.apply([redis("7.4-alpine")])
    assert {(pod["image"], pod["ready"]) for pod in sandbox.pods().values()} == {("redis:7.4-alpine", True)}


def test_a_job_whose_image_does_not_exist_ends_at_its_deadline(sandbox: Sandbox) -> None:
    spec = pod_spec({"name": "main", "image": "python:3.31-alpine", "command": ["python3"]})
    with pytest.raises(ApplyError, match="DeadlineExceeded"):
        sandbox.apply([job("work", spec, activeDeadlineSeconds=3)])
    assert any(reason == "Failed" and "'3.31-alpine'" in message for _, _, reason, message in sandbox.events())


def test_a_pod_that_fits_nowhere_stays_pending_with_the_reason(sandbox: Sandbox) -> None:
    spec = pod_spec(container(SLEEP, resources={"requests": {"memory": "1Ti"}}))
    with pytest.raises(ApplyError, match="6 Insufficient memory"):
        sandbox.apply([stateful_set("huge", spec, annotations={"pulumi.com/timeoutSeconds": "1"})])
    assert sandbox.pods()["huge-0"]["state"] == "Pending"


def test_drain_moves_pods_one_by_one_within_the_disruption_budget(sandbox: Sandbox) -> None:
    probe = {"exec": {"command": ["sh", "-c", "sleep 0.3"]}, "periodSeconds": 1}
    budget = resource("PodDisruptionBudget", "web", {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "web"}}})
    spec = pod_spec(container(SLEEP, readinessProbe=probe), nodeSelector={"topology.kubernetes.io/zone": "zone-a"})
    sandbox.apply([budget, stateful_set("web", spec, replicas=4)])
    on_node = [name for name, pod in sandbox.pods().items() if pod["node"] == "node-a1"]
    assert len(on_node) == 2
    assert "drained node-a1" in sandbox.fault("drain", node="node-a1", timeout_s=20)
    eventually(lambda: all(pod["ready"] for pod in sandbox.pods().values()), 6, "all ready")
    assert {pod["node"] for pod in sandbox.pods().values()} == {"node-a2"}
    evicted = [at for at, _, reason, _ in sandbox.events() if reason == "Evicted"]
    assert len(evicted) == 2
    # The second eviction had to wait for the first pod's successor to be ready.
    assert evicted[1] - evicted[0] > 0.3
    sandbox.fault("uncordon", node="node-a1")


def test_a_namespace_takes_everything_in_it_along(sandbox: Sandbox) -> None:
    namespace = resource("Namespace", "pool")
    spec = pod_spec(container(SLEEP, volumeMounts=[{"name": "d", "mountPath": "/d"}]))
    inside = stateful_set("db", spec, volumeClaimTemplates=[claim_template("d", "1Mi")])
    metadata = {**inside.inputs["metadata"], "namespace": "pool"}
    inside = Resource(
        **{**inside.__dict__, "inputs": {**inside.inputs, "metadata": metadata}, "depends_on": (namespace.urn,)}
    )
    sandbox.apply([namespace, inside])
    assert sandbox.exec("db-0", ["hostname"], namespace="pool").stdout == "db-0\n"
    sandbox.apply([])
    claims = [claim for claim in sandbox.status()["claims"] if claim["namespace"] == "pool"]
    assert (sandbox.pods(), claims) == ({}, [])
    with pytest.raises(ApplyError, match="namespaces 'pool' not found"):
        sandbox.apply([Resource(**{**inside.__dict__, "depends_on": ()})])


def test_a_namespace_goes_once_no_pod_is_left_also_of_a_cron_job(sandbox: Sandbox) -> None:
    namespace = resource("Namespace", "pool")
    stubborn = pod_spec(container("trap '' TERM; sleep 60 & wait; sleep 60"), terminationGracePeriodSeconds=2)
    template = {"spec": {"template": {"spec": {"restartPolicy": "Never", **stubborn}}}}
    cron = resource(
        "CronJob",
        "look",
        {"schedule": "0 0 1 1 *", "jobTemplate": template},
        metadata={"namespace": "pool"},
        depends_on=[namespace],
    )
    sandbox.apply([namespace, cron])
    sandbox.trigger("look")
    eventually(lambda: any(pod["state"] == "Running" for pod in sandbox.pods().values()), 6, "its pod runs")
    sandbox.apply([])
    assert sandbox.pods() == {}


def test_a_changed_config_map_is_no_fault_because_a_pod_misses_another(sandbox: Sandbox) -> None:
    def config_map(name: str, text: str) -> Resource:
        return resource("ConfigMap", name, data={f"{name}.txt": text})

    names = ("other", "one")
    spec = pod_spec(
        container("sleep 60", volumeMounts=[{"name": name, "mountPath": f"/{name}"} for name in names]),
        volumes=[{"name": name, "configMap": {"name": name}} for name in names],
    )
    pods = stateful_set("db", spec)
    sandbox.apply([config_map("one", "1"), config_map("other", "2"), pods])
    sandbox.apply([config_map("one", "1"), pods])
    sandbox.apply([config_map("one", "new"), pods])
    # What is missing keeps its files, and does not keep the other from changing.
    assert sandbox.exec("db-0", ["cat", "/other/other.txt", "/one/one.txt"]).stdout == "2new"
    assert any(reason == "FailedMount" for _, _, reason, _ in sandbox.events())
    sandbox.apply([config_map("one", "new"), config_map("other", "3"), pods])
    assert sandbox.exec("db-0", ["cat", "/other/other.txt"]).stdout == "3"


def test_a_service_needs_no_pods_to_exist(sandbox: Sandbox) -> None:
    sandbox.apply([headless("web")])
    assert sandbox.status()["services"][0]["endpoints"] == []
