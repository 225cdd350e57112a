"""The little of an API server that pods ask: StatefulSets and pods, over TLS, for whoever a Role lets read them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

from sandbox.host import http
from sandbox.kubernetes.accounts import Accounts
from sandbox.kubernetes.cluster import Cluster
from sandbox.kubernetes.controllers import statefulset
from sandbox.kubernetes.controllers.workloads import Workloads
from sandbox.kubernetes.kubelet.environment import API_PORT
from sandbox.kubernetes.manifests.objects import StatefulSet
from sandbox.kubernetes.manifests.rights import Role, RoleBinding
from sandbox.kubernetes.pods import ContainerStatus, Pod

_MESSAGE_BYTES_MAX = 2048
"""As much of a failed container's log as a kubelet keeps for its message."""

Answer = tuple[HTTPStatus, Mapping[str, Any]]


class ApiServer:
    """Answers what its pods may ask; everything else is refused by name."""

    def __init__(self, cluster: Cluster, workloads: Workloads, accounts: Accounts) -> None:
        self._cluster, self._workloads, self._accounts = cluster, workloads, accounts

    async def serve(self, host: str) -> asyncio.Server:
        """Listens where pods reach it."""
        return await http.serve(host, API_PORT, self._response, self._accounts.server_context(host))

    def _response(self, request: http.Request) -> http.Answer:
        status, body = self._answer(request)
        return http.Answer(status, json.dumps(body).encode())

    def _answer(self, request: http.Request) -> Answer:
        account = self._accounts.owner(request.fields.get("authorization", "").removeprefix("Bearer "))
        if account is None:
            return _refused(HTTPStatus.UNAUTHORIZED, "Unauthorized")
        url = urlsplit(request.target)
        match [request.method, *url.path.strip("/").split("/")]:
            case ["GET", "apis", "apps", "v1", "namespaces", namespace, "statefulsets", name]:
                refusal = self._refusal(account, "get", "apps", "statefulsets", namespace, name)
                return refusal or self._set(namespace, name)
            case ["GET", "api", "v1", "namespaces", namespace, "pods"]:
                return self._refusal(account, "list", "", "pods", namespace) or self._pods(namespace, url.query)
            case ["GET", "api", "v1", "namespaces", namespace, "events"]:
                # The sandbox writes none.
                return self._refusal(account, "list", "", "events", namespace) or (HTTPStatus.OK, {"items": []})
        return _refused(HTTPStatus.NOT_FOUND, f"the sandbox's API server does not answer {request.method} {url.path}")

    def _refusal(
        self, account: tuple[str, str], verb: str, group: str, resource: str, namespace: str, name: str = ""
    ) -> Answer | None:
        """None where a Role that is bound to the account allows it."""
        if any(role.allows(verb, group, resource, name) for role in self._roles(account, namespace)):
            return None
        who = "system:serviceaccount:" + ":".join(account)
        what = f'{resource} "{name}"' if name else resource
        where = f'in API group "{group}" in the namespace "{namespace}"'
        message = f'{what} is forbidden: User "{who}" cannot {verb} resource "{resource}" {where}'
        return _refused(HTTPStatus.FORBIDDEN, message)

    def _roles(self, account: tuple[str, str], namespace: str) -> Iterator[Role]:
        for binding in self._cluster.all(RoleBinding):
            if binding.metadata.namespace == namespace and binding.binds(*account):
                role = self._cluster.get(Role, namespace, binding.role_ref.name)
                if role is not None:
                    yield role

    def _set(self, namespace: str, name: str) -> Answer:
        item = self._cluster.get(StatefulSet, namespace, name)
        if item is None:
            return _refused(HTTPStatus.NOT_FOUND, f'statefulsets.apps "{name}" not found')
        revision = f"{name}-{statefulset.revision_of(item.spec)}"
        generation, observed = self._workloads.generations(item)
        status = {**self._workloads.status_of(item), "observedGeneration": observed, "updateRevision": revision}
        spec = {"replicas": item.spec.replicas, "selector": {"matchLabels": dict(item.spec.selector.match_labels)}}
        metadata = {"name": name, "namespace": namespace, "generation": generation}
        return HTTPStatus.OK, {"metadata": metadata, "spec": spec, "status": status}

    def _pods(self, namespace: str, query: str) -> Answer:
        wanted = dict(part.split("=", 1) for part in parse_qs(query).get("labelSelector", [""])[0].split(",") if part)
        found = [pod for pod in self._cluster.pods_in(namespace) if wanted.items() <= pod.labels.items()]
        return HTTPStatus.OK, {"items": [_pod(pod) for pod in found]}


def _refused(status: HTTPStatus, message: str) -> Answer:
    return status, {"kind": "Status", "status": "Failure", "message": message, "code": status}


def _pod(pod: Pod) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid, "labels": pod.labels}
    if pod.deleting:
        metadata["deletionTimestamp"] = "2000-01-01T00:00:00Z"
    scheduled: dict[str, str] = {"type": "PodScheduled", "status": str(pod.node is not None)}
    if pod.node is None:
        scheduled |= {"reason": "Unschedulable", "message": pod.message}
    conditions = [scheduled, {"type": "Ready", "status": str(pod.ready)}]
    containers = [] if pod.node is None else [_container(name, status) for name, status in pod.statuses.items()]
    status = {"phase": pod.phase, "conditions": conditions, "containerStatuses": containers}
    return {"metadata": metadata, "status": status}


def _container(name: str, status: ContainerStatus) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": name, "ready": status.ready, "restartCount": status.restarts}
    shown["state"] = {status.state: {"reason": status.reason, "message": status.message}}
    if status.last is not None:
        ended = {"exitCode": status.last.exit_code, "reason": status.last.reason, "message": _last_words(status)}
        shown["state" if status.state == "terminated" else "lastState"] = {"terminated": ended}
    return shown


def _last_words(status: ContainerStatus) -> str:
    """The end of the log of the run that failed, where the container asks for that."""
    log = status.log if status.state == "terminated" else status.previous_log or status.log
    wanted = status.spec.termination_message_policy == "FallbackToLogsOnError"
    failed = status.last is not None and status.last.exit_code != 0
    if log is None or not wanted or not failed:
        return ""
    return log.tail(80).encode()[-_MESSAGE_BYTES_MAX:].decode(errors="ignore")
