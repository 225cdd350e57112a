"""`get`, `describe`, `delete`, `top` and `logs`: what the runbook writes for kubectl does the same here."""

from __future__ import annotations

import json

import pytest

from sandbox.control.cli import main
from sandbox.control.client import Sandbox
from tests.sandbox.conftest import eventually
from tests.sandbox.manifests import container, pod_spec, resource, stateful_set

pytestmark = pytest.mark.sandbox

COUNTING = "i=0; while [ $i -lt 30 ]; do i=$((i+1)); echo line-$i; done; sleep 600"


class Shell:
    """Calls the command line, in this process, for one sandbox."""

    def __init__(self, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
        self._name, self._capsys = sandbox.name, capsys

    def __call__(self, *words: str, status: int = 0) -> str:
        self._capsys.readouterr()
        assert main(["--name", self._name, *words]) == status, self._capsys.readouterr().err
        written = self._capsys.readouterr()
        return written.out if status == 0 else written.err


@pytest.fixture
def kubectl(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> Shell:
    pod = pod_spec(container(COUNTING))
    job = {"backoffLimit": 0, "template": {"metadata": {"labels": {"phase": "form"}}}}
    job["template"]["spec"] = pod_spec(container("echo formed"), restartPolicy="Never")  # type: ignore[index]
    sandbox.apply(
        [
            stateful_set("web", pod, replicas=2, labels={"tier": "front"}),
            resource("Job", "form-1", job, metadata={"labels": {"phase": "form"}}),
        ]
    )
    return Shell(sandbox, capsys)


def test_get_lists_what_has_the_labels_and_only_that(kubectl: Shell) -> None:
    rows = kubectl("get", "pods", "-l", "app=web").splitlines()
    assert rows[0].split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert [row.split()[:3] for row in rows[1:]] == [["web-0", "1/1", "Running"], ["web-1", "1/1", "Running"]]
    assert {"IP", "NODE", "ZONE"} <= set(kubectl("get", "pods", "-l", "app=web", "-o", "wide").split())
    assert "form-1" in kubectl("get", "jobs", "-l", "phase=form")
    assert "form-1" in kubectl("get", "pods", "--field-selector", "status.phase=Succeeded")
    assert [item["name"] for item in json.loads(kubectl("get", "pod", "web-1", "-o", "json"))["items"]] == ["web-1"]
    assert "zone-a" in kubectl("get", "nodes", "-L", "topology.kubernetes.io/zone")
    assert "web-0" in kubectl("get", "events", "--field-selector", "reason=Created")


def test_a_namespace_before_or_after_the_verb_is_the_same_and_is_kept_to(kubectl: Shell) -> None:
    assert kubectl("-n", "default", "get", "sts").split()[2:4] == ["web", "2/2"]
    assert kubectl("get", "sts", "-n", "default").split()[2:4] == ["web", "2/2"]
    assert kubectl("-n", "another", "get", "sts") == ""


def test_describe_shows_restarts_and_events(kubectl: Shell) -> None:
    text = kubectl("describe", "pod", "web-0")
    assert "restarts: 0" in text
    assert "Created: by StatefulSet web" in text


def test_logs_of_all_pods_with_a_label_are_read_from_their_ends(kubectl: Shell) -> None:
    eventually(lambda: "line-30" in kubectl("logs", "web-0"), 10, "the pod has written")
    eventually(lambda: "line-30" in kubectl("logs", "web-1"), 10, "the other pod has written")
    assert kubectl("logs", "-l", "phase=form", "--tail=-1") == "formed\n"
    assert kubectl("logs", "-f", "-l", "phase=form") == "formed\n"
    assert len(kubectl("logs", "-l", "app=web").splitlines()) == 2 * 10
    assert kubectl("logs", "web-0", "--tail=2").splitlines() == ["line-29", "line-30"]
    assert "line-30" in kubectl("logs", "web-0", "--since=1h")


def test_top_measures_pods_that_run(kubectl: Shell) -> None:
    rows = [row.split() for row in kubectl("top", "pods", "-l", "app=web").splitlines()[1:]]
    assert [row[0] for row in rows] == ["web-0", "web-1"]
    assert all(row[1].endswith("m") and row[2][0] in "123456789" for row in rows)


def test_a_deleted_pod_comes_back_and_a_deleted_job_does_not(sandbox: Sandbox, kubectl: Shell) -> None:
    before = sandbox.pods()["web-0"]["uid"]
    assert kubectl("delete", "pod", "web-0", "--now") == 'pod "web-0" deleted\n'
    eventually(lambda: sandbox.pods().get("web-0", {}).get("uid") not in (None, before), 20, "a new pod is there")
    assert kubectl("delete", "job", "-l", "phase=form") == 'job.batch "form-1" deleted\n'
    eventually(lambda: not any(name.startswith("form-1") for name in sandbox.pods()), 20, "its pod goes too")
    assert kubectl("get", "jobs") == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["get", "secrets"], "the sandbox lists no 'secrets'; it lists: pod"),
        (["get", "pod", "nobody"], "there is no pods nobody; pods: "),
        (["get", "pods", "-l", "app!=web"], "give LABEL=VALUE"),
        (["get", "pods", "--field-selector", "spec.nodeName=a"], "of pods the sandbox compares metadata.name"),
        (["delete", "sts", "web"], "the sandbox deletes pods and Jobs"),
        (["delete", "job"], "delete needs either names or -l"),
        (["logs"], "logs needs either a pod or -l"),
    ],
)
def test_what_the_sandbox_does_not_know_is_said(kubectl: Shell, words: list[str], message: str) -> None:
    assert message in kubectl(*words, status=1)
