"""Edits of stack `local` that cannot work, and clusters that refuse them: the table of docs/failures.md."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

from components.config.settings import Images
from tests.e2e.harness.images import other_redis
from tests.e2e.harness.kube import ApiError, Kube, Object
from tests.e2e.harness.local import OTHER_PASSWORD, POOL

_EFFECTIVE_WITHIN_S = 30.0
_ADMISSION = "/apis/admissionregistration.k8s.io/v1"
_NAMESPACE = f"/api/v1/namespaces/{POOL}"
NEXT_REPLICA = "redis-replica-2"
"""The first pod of a roll."""


class Broken(Protocol):
    """Makes the cluster refuse something for as long as it is entered."""

    def __call__(self, kube: Kube) -> AbstractContextManager[None]: ...


@dataclass(frozen=True)
class Mistake:
    """One row. `name` and each of `reads` stand in docs/failures.md, word for word."""

    name: str
    reads: tuple[str, ...]
    """What `pulumi up` prints."""
    settings: Mapping[str, Any] = field(default_factory=lambda: {"images": {"redis": other_redis()}})
    """The edit; without a mistake of its own it is one that rolls the pods."""
    broken: Broken = lambda kube: nullcontext()
    touched: tuple[str, ...] = ()
    """Pods that are not as they were before."""
    needs_refresh: bool = False
    """A hand changed what the state does not know of."""


@contextmanager
def _object(kube: Kube, path: str, body: Object) -> Iterator[None]:
    kube.create(path, body)
    try:
        yield
    finally:
        kube.delete(f"{path}/{body['metadata']['name']}")


@contextmanager
def _small_containers_only(kube: Kube) -> Iterator[None]:
    """Jobs' containers are allowed, those of Redis are not."""
    limits = [{"type": "Container", "max": {"memory": "300Mi"}}]
    body = {"metadata": {"name": "e2e-small"}, "spec": {"limits": limits}}
    with _object(kube, f"{_NAMESPACE}/limitranges", body):
        yield


@contextmanager
def _no_more_pods(kube: Kube) -> Iterator[None]:
    body = {"metadata": {"name": "e2e-full"}, "spec": {"hard": {"pods": "1"}}}
    with _object(kube, f"{_NAMESPACE}/resourcequotas", body):
        yield


@contextmanager
def _policy_against_redis(kube: Kube) -> Iterator[None]:
    name = "e2e-refuses"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    policy = {
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [
                {
                    "expression": "!has(object.metadata.labels) || !('app' in object.metadata.labels) "
                    "|| object.metadata.labels['app'] != 'redis'",
                    "message": "a scanner has not seen this image",
                }
            ],
        },
    }
    binding = {"metadata": {"name": name}, "spec": {"policyName": name, "validationActions": ["Deny"]}}
    with (
        _object(kube, f"{_ADMISSION}/validatingadmissionpolicies", policy),
        _object(kube, f"{_ADMISSION}/validatingadmissionpolicybindings", binding),
    ):
        _await_refusal(kube)
        yield


def _await_refusal(kube: Kube) -> None:
    """A policy takes a moment until the API server holds to it."""
    pod = {
        "metadata": {"name": "e2e-asks", "labels": {"app": "redis"}},
        "spec": {"containers": [{"name": "asks", "image": "none"}]},
    }
    deadline = time.monotonic() + _EFFECTIVE_WITHIN_S
    while time.monotonic() < deadline:
        try:
            kube.create("/api/v1/namespaces/default/pods?dryRun=All", pod)
        except ApiError as error:
            if "has not seen" in str(error):
                return
        time.sleep(0.3)
    raise TimeoutError("the policy refuses nothing")


@contextmanager
def _secret_without_its_key(kube: Kube) -> Iterator[None]:
    (secret,) = [item for item in kube.items(f"{_NAMESPACE}/secrets") if "auth" in item["metadata"]["name"]]
    kube.patch(f"{_NAMESPACE}/secrets/{secret['metadata']['name']}", {"data": {"credentials.json": None}})
    yield


MISTAKES = (
    Mistake(
        "an image without Redis",
        ("redis-replica-2 holds up the rollout of redis-replica: its container ended 3 times with an error",),
        {"images": {"redis": Images().python}},
        touched=(NEXT_REPLICA,),
    ),
    Mistake(
        "a limit of the namespace below a Redis pod",
        ("redis-replica-2 holds up the rollout", "Kubernetes refuses to make it", "maximum memory usage per Container"),
        broken=_small_containers_only,
        touched=(NEXT_REPLICA,),
    ),
    Mistake(
        "an admission policy or webhook that refuses the pod",
        ("redis-replica-2 holds up the rollout", "Kubernetes refuses to make it", "a scanner has not seen this image"),
        broken=_policy_against_redis,
        touched=(NEXT_REPLICA,),
    ),
    Mistake(
        "a Secret without its key",
        ("DeadlineExceeded",),
        broken=_secret_without_its_key,
        needs_refresh=True,
    ),
    Mistake(
        "an image of Python that does not exist",
        ("ErrImagePull",),
        {"images": {"python": "python:3.13-alpien"}},
    ),
    Mistake(
        "a quota that leaves no room for a Job's pod",
        ("FailedCreate", "exceeded quota: e2e-full", "DeadlineExceeded"),
        broken=_no_more_pods,
    ),
    Mistake(
        "an operator's kinds that the cluster does not have",
        (
            "redis-image-cache:monitoring.prometheus = operator: the cluster does not show the kind",
            "install the Prometheus operator first, or set monitoring.prometheus: annotations",
        ),
        {"monitoring": {"exporter": True, "prometheus": "operator"}},
    ),
    Mistake(
        "another password in one edit",
        ("release: refused", "WRONGPASS", "Put the old one back into access.password"),
        {"access": {"password": OTHER_PASSWORD}},
    ),
)
