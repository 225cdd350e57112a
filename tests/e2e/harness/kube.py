"""A small client of the Kubernetes API: what a kubeconfig with a token or a client certificate lets it do."""

from __future__ import annotations

import base64
import copy
import json
import ssl
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

Object = dict[str, Any]
MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
"""Server-side apply; JSON is YAML too."""
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
_TIMEOUT_S = 30.0
_WATCH_S = 600
_RETRY_AFTER_S = 0.5


class ApiError(Exception):
    """The API server refused; `code` is the HTTP status."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code


class Kube:
    """The API server of a kubeconfig's context (the current one unless given)."""

    def __init__(self, kubeconfig: Path, context: str | None = None) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        self.context: str = context or config["current-context"]
        chosen = _named(config["contexts"], self.context)["context"]
        cluster = _named(config["clusters"], chosen["cluster"])["cluster"]
        user = _named(config["users"], chosen["user"])["user"]
        self.server: str = cluster["server"]
        self.authority = _bytes_of(cluster, "certificate-authority")
        self._tls = ssl.create_default_context(cadata=self.authority.decode())
        self._headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
        if certificate := _bytes_of(user, "client-certificate"):
            with tempfile.NamedTemporaryFile() as both:
                both.write(certificate + b"\n" + _bytes_of(user, "client-key"))
                both.flush()
                self._tls.load_cert_chain(both.name)

    def acting_as(self, user: str) -> Kube:
        """The same API server, asked as another user, whose rights alone count."""
        other = copy.copy(self)
        other._headers = {**self._headers, "Impersonate-User": user}
        return other

    def _open(self, method: str, path: str, body: Object | None, content_type: str, timeout_s: float) -> Any:
        request = urllib.request.Request(  # noqa: S310 (the scheme is the kubeconfig's https)
            self.server + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={**self._headers, "Content-Type": content_type},
        )
        try:
            return urllib.request.urlopen(request, context=self._tls, timeout=timeout_s)  # noqa: S310
        except urllib.error.HTTPError as error:
            with error:
                raise ApiError(error.code, error.read().decode(errors="replace")) from None

    def text(self, path: str, method: str = "GET", timeout_s: float = _TIMEOUT_S) -> str:
        """Answer of a path that does not speak JSON (logs, a pod behind the proxy)."""
        with self._open(method, path, None, "application/json", timeout_s) as answer:
            return str(answer.read().decode(errors="replace"))

    def get(self, path: str) -> Object:
        with self._open("GET", path, None, "application/json", _TIMEOUT_S) as answer:
            return dict(json.load(answer))

    def find(self, path: str) -> Object | None:
        """The object, None when there is none."""
        try:
            return self.get(path)
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    def items(self, path: str) -> list[Object]:
        return list(self.get(path)["items"])

    def create(self, path: str, body: Object) -> Object:
        with self._open("POST", path, body, "application/json", _TIMEOUT_S) as answer:
            return dict(json.load(answer))

    def ensure(self, path: str, body: Object) -> None:
        """Creates an object unless one of its name is there."""
        try:
            self.create(path, body)
        except ApiError as error:
            if error.code != 409:
                raise

    def patch(self, path: str, body: Object, content_type: str = MERGE_PATCH) -> None:
        with self._open("PATCH", path, body, content_type, _TIMEOUT_S):
            pass

    def delete(self, path: str, body: Object | None = None) -> None:
        """Deletes an object; that it is gone already is no error."""
        try:
            with self._open("DELETE", path, body, "application/json", _TIMEOUT_S):
                pass
        except ApiError as error:
            if error.code != 404:
                raise

    def evict(self, namespace: str, pod: str) -> None:
        """Evicts a pod as a drain does. Raises ApiError: 429 when a disruption budget does not allow it now."""
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": namespace}}
        self.create(f"/api/v1/namespaces/{namespace}/pods/{pod}/eviction", body)

    def watch(self, path: str, version: str) -> Iterator[tuple[str, Object]]:
        """Changes after `version` as (ADDED, MODIFIED or DELETED, object), until the server ends the stream."""
        query = f"?watch=1&resourceVersion={version}&timeoutSeconds={_WATCH_S}"
        with self._open("GET", path + query, None, "application/json", _WATCH_S + 30) as stream:
            for line in stream:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return
                yield event["type"], event["object"]


class Mirror:
    """All objects of one kind, kept up to date by a thread: (namespace, name) -> object."""

    def __init__(self, kube: Kube, path: str, changed: Callable[[], None] = lambda: None) -> None:
        self.objects: dict[tuple[str, str], Object] = {}
        self._kube, self._path, self._changed = kube, path, changed
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self) -> None:
        while True:
            try:
                listed = self._kube.get(self._path)
                self.objects = {_key(item): item for item in listed["items"]}
                self._changed()
                for kind, item in self._kube.watch(self._path, listed["metadata"]["resourceVersion"]):
                    if kind == "DELETED":
                        self.objects.pop(_key(item), None)
                    else:
                        self.objects[_key(item)] = item
                    self._changed()
            except (OSError, ApiError, ValueError) as error:
                print(f"{self._path}: {error!r}, listing again", flush=True)
            time.sleep(_RETRY_AFTER_S)


def _key(item: Object) -> tuple[str, str]:
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]


def _named(entries: list[Object], name: str) -> Object:
    return next(entry for entry in entries if entry["name"] == name)


def _bytes_of(section: Object, key: str) -> bytes:
    """A certificate or key of a kubeconfig, which stands there itself or is a file's name."""
    if f"{key}-data" in section:
        return base64.b64decode(section[f"{key}-data"])
    return Path(section[key]).read_bytes() if key in section else b""
