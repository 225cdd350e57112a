"""What checkov, a linter of Kubernetes manifests, finds in whole stacks: nothing but what is named here, with a reason.

It runs from `.checkov`, which `make checkov` makes, and asks nobody: its policies are in its package.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.resources.stacks import manifest, stack

pytestmark = [pytest.mark.long, pytest.mark.second_look]

CHECKOV = Path(".checkov/bin/checkov")
DIGEST = f"@sha256:{'0123456789abcdef' * 4}"
PINNED = {
    "images__redis": f"redis:7.4-alpine{DIGEST}",
    "images__python": f"python:3.13-alpine{DIGEST}",
    "images__exporter": f"oliver006/redis_exporter:v1.92.1{DIGEST}",
}
STACKS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "prod": ("prod", PINNED),
    "everything": (
        "prod",
        {
            **PINNED,
            "monitoring__exporter": "true",
            "monitoring__prometheus": "operator",
            "validation__enabled": "true",
            "access__deliverTo": '["images"]',
            "tls__mode": "required",
            "tls__issuer": "redis-ca",
        },
    ),
    "annotations": ("prod", {**PINNED, "monitoring__exporter": "true"}),
    "local": ("local", {**PINNED, "validation__enabled": "true"}),
}
NO_PROXY_ANSWERS = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9")


@dataclass(frozen=True)
class Finding:
    """A check that an object fails, and the container that it is about, if any."""

    check: str
    name: str
    kind: str
    resource: str
    container: str


@dataclass(frozen=True)
class OnPurpose:
    """What is as it is on purpose: of which findings of the check, and why."""

    holds: Callable[[Finding], bool]
    reason: str


def anything(_: Finding) -> bool:
    return True


EXCEPTIONS: Mapping[str, OnPurpose] = {
    "CKV_K8S_11": OnPurpose(anything, "No CPU limit: throttling costs more latency than it protects (docs/adr/0016)."),
    "CKV_K8S_38": OnPurpose(
        lambda finding: finding.kind == "Job" and "-rollout-redis-" in finding.resource,
        "These Jobs ask the API server whether their StatefulSet has rolled; their role lets them read that alone.",
    ),
    "CKV_K8S_8": OnPurpose(
        lambda finding: finding.container == "exporter",
        "An exporter that does not answer is seen by Prometheus. Restarting a container says nothing more.",
    ),
    "CKV_K8S_9": OnPurpose(
        lambda finding: finding.container == "exporter",
        "A pod is ready when Redis is. Without metrics it serves images all the same.",
    ),
    "CKV_K8S_35": OnPurpose(
        lambda finding: finding.container in {"redis", "exporter", "reconciler"} and finding.kind != "CronJob",
        "redis-cli reads no file; the exporter reads one only as a map of addresses; the load generator is run by hand "
        "with the same variable.",
    ),
    "CKV_K8S_40": OnPurpose(
        lambda finding: finding.kind == "StatefulSet",
        "999 is the user redis of the official images, and owns what stands on living volumes.",
    ),
}


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> list[Finding]:
    assert CHECKOV.exists(), "run `make checkov`, which installs it"
    folder = tmp_path_factory.mktemp("manifests")
    for name, (stack_name, overrides) in STACKS.items():
        for body in objects(stack_name, overrides):
            # Pulumi names these from their content; a manifest must have a name.
            (folder / f"{name}-{body['kind']}-{body['metadata']['name']}.json").write_text(json.dumps(body))
    return list(found(run(folder), folder))


def objects(name: str, overrides: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    for resource in stack(name, **overrides).resources:
        # Checkov has no check for a volume claim, and there is one for each pod.
        if resource.is_kubernetes and not resource.type.endswith(":PersistentVolumeClaim"):
            body = manifest(resource)
            yield body | {"metadata": {"name": resource.name} | body["metadata"]}


def run(folder: Path) -> dict[str, Any]:
    options = ["--framework", "kubernetes", "--compact", "--quiet", "--skip-download", "--output", "json"]
    done = subprocess.run(
        [str(CHECKOV), "--directory", str(folder), *options],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, **NO_PROXY_ANSWERS},
        check=False,
    )
    report: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode in (0, 1), done.stderr
    return report


def found(report: Mapping[str, Any], folder: Path) -> Iterator[Finding]:
    assert report["summary"]["parsing_errors"] == 0
    assert report["summary"]["passed"] > 1000
    for failed in report["results"]["failed_checks"]:
        kind, _, resource = failed["resource"].partition(".")
        keys = " ".join(failed["check_result"].get("evaluated_keys") or ())
        index = re.search(r"containers/\[(\d+)\]", keys)
        container = ""
        if index:
            body = yaml.safe_load((folder / failed["file_path"].lstrip("/")).read_text())
            spec = body["spec"].get("jobTemplate", body)["spec"]
            container = spec.get("template", spec)["spec"]["containers"][int(index[1])]["name"]
        yield Finding(failed["check_id"], failed["check_name"], kind, resource, container)


def test_checkov_finds_nothing_but_what_is_named_here(findings: list[Finding]) -> None:
    unnamed = {
        finding
        for finding in findings
        if finding.check not in EXCEPTIONS or not EXCEPTIONS[finding.check].holds(finding)
    }
    assert unnamed == set()


def test_no_exception_stands_here_that_nothing_needs(findings: list[Finding]) -> None:
    assert {finding.check for finding in findings} == EXCEPTIONS.keys()


def test_a_pod_that_may_much_is_found(tmp_path: Path) -> None:
    context = {"privileged": True}
    spec = {"hostNetwork": True, "containers": [{"name": "x", "image": "redis", "securityContext": context}]}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "namespace": "y"}, "spec": spec}
    (tmp_path / "pod.json").write_text(json.dumps(body))
    failed = {item["check_id"] for item in run(tmp_path)["results"]["failed_checks"]}
    assert {"CKV_K8S_16", "CKV_K8S_19", "CKV_K8S_20", "CKV_K8S_43"} <= failed
