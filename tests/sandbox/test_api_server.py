"""What pods may ask the API server, and what it answers; asked by a pod with nothing but its token."""

from __future__ import annotations

import json
from typing import Any

import pytest

from preview.resources import Resource
from sandbox.control.client import Sandbox
from sandbox.errors import ApplyError
from tests.sandbox.manifests import SLEEP, container, job, pod_spec, resource, stateful_set

pytestmark = pytest.mark.sandbox

ASK = """
import json, ssl, sys, urllib.error, urllib.request, os
account = "/var/run/secrets/kubernetes.io/serviceaccount/"
trusted = ssl.create_default_context(cafile=account + "ca.crt")
token = open(account + "token").read() if len(sys.argv) < 3 else sys.argv[2]
host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
request = urllib.request.Request(f"https://{host}:{port}{sys.argv[1]}", headers={"Authorization": f"Bearer {token}"})
try:
    print("answer", json.dumps(json.load(urllib.request.urlopen(request, context=trusted, timeout=10))))
except urllib.error.HTTPError as error:
    print("answer", error.code, json.load(error)["message"])
"""
SETS = "/apis/apps/v1/namespaces/default/statefulsets/"
PODS = "/api/v1/namespaces/default/pods?labelSelector=app%3Dweb"


def rights(rules: list[dict[str, Any]]) -> list[Resource]:
    group = "rbac.authorization.k8s.io"
    return [
        resource("ServiceAccount", "reader"),
        resource("Role", "reader", rules=rules),
        resource(
            "RoleBinding",
            "reader",
            roleRef={"apiGroup": group, "kind": "Role", "name": "reader"},
            subjects=[{"kind": "ServiceAccount", "name": "reader", "namespace": "default"}],
        ),
    ]


READ = rights(
    [
        {"apiGroups": ["apps"], "resources": ["statefulsets"], "resourceNames": ["web"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
    ]
)


def asking(name: str, *arguments: str, **spec: Any) -> Resource:
    asker = {"name": "main", "image": "python:3.13-alpine", "command": ["python3", "-c", ASK, *arguments]}
    spec = {"serviceAccountName": "reader", "automountServiceAccountToken": True, **spec}
    return job(name, pod_spec(asker, **spec), backoffLimit=0)


def answer(sandbox: Sandbox, name: str, *others: Resource, arguments: tuple[str, ...]) -> str:
    """What a new Job of that name is told, which asks once everything else is there."""
    asker = asking(name, *arguments)
    sandbox.apply([*others])
    sandbox.apply([*others, asker])
    (pod,) = [pod for pod in sandbox.pods() if pod.startswith(f"{name}-")]
    return sandbox.logs(pod).strip().removeprefix("answer ")


def web(command: str = SLEEP) -> Resource:
    return stateful_set("web", pod_spec(container(command)), replicas=2)


def test_a_pod_reads_its_stateful_set_and_its_pods(sandbox: Sandbox) -> None:
    found = json.loads(answer(sandbox, "first", web(), *READ, arguments=(SETS + "web",)))
    assert found["metadata"]["generation"] == found["status"]["observedGeneration"] == 1
    assert (found["spec"]["replicas"], found["status"]["updatedReplicas"]) == (2, 2)

    edit = web("true; " + SLEEP)
    edited = json.loads(answer(sandbox, "second", edit, *READ, arguments=(SETS + "web",)))
    assert edited["metadata"]["generation"] == edited["status"]["observedGeneration"] == 2
    pods = json.loads(answer(sandbox, "third", edit, *READ, arguments=(PODS,)))["items"]
    assert sorted(pod["metadata"]["name"] for pod in pods) == ["web-0", "web-1"]
    revisions = {pod["metadata"]["labels"]["controller-revision-hash"] for pod in pods}
    assert revisions == {edited["status"]["updateRevision"]}


def test_why_a_pod_does_not_run_is_told_with_its_last_words(sandbox: Sandbox) -> None:
    broken = stateful_set(
        "web",
        pod_spec(container("echo no such directive; exit 3", terminationMessagePolicy="FallbackToLogsOnError")),
        annotations={"pulumi.com/skipAwait": "true"},
    )
    (pod,) = json.loads(answer(sandbox, "ask", broken, *READ, arguments=(PODS,)))["items"]
    (status,) = pod["status"]["containerStatuses"]
    ended = (status.get("lastState") or status["state"])["terminated"]
    assert (ended["exitCode"], ended["message"].strip().rpartition(" ")[2]) == (3, "directive")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (SETS + "other", '403 statefulsets "other" is forbidden'),
        ("/apis/apps/v1/namespaces/other/statefulsets/web", "403"),
        ("/api/v1/namespaces/other/pods", "403 pods is forbidden"),
        ("/api/v1/namespaces/default/secrets", "404 the sandbox's API server does not answer"),
    ],
)
def test_what_no_role_allows_is_forbidden(sandbox: Sandbox, path: str, message: str) -> None:
    assert answer(sandbox, "ask", web(), *READ, arguments=(path,)).startswith(message)


def test_a_token_that_nobody_was_given_opens_nothing(sandbox: Sandbox) -> None:
    assert answer(sandbox, "ask", web(), *READ, arguments=(SETS + "web", "guessed")).startswith("401 ")


def test_a_pod_that_does_not_ask_for_a_token_has_none(sandbox: Sandbox) -> None:
    with pytest.raises(ApplyError, match="FileNotFoundError"):
        sandbox.apply([*READ, asking("ask", SETS + "web", automountServiceAccountToken=False)])
