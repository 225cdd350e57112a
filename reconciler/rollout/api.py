"""Asks the API server for a StatefulSet and its pods, with the Job's own service account. Standard library only."""

from __future__ import annotations

import json
import os
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler.rollout.state import (
    Pod,
    StatefulSet,
    read_pod,
    read_stateful_set,
    read_warnings,
    with_warnings,
)

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TIMEOUT_S = 10.0


class ApiUnreachable(Exception):
    """The API server gave no usable answer this time; the text says what happened."""


class ApiForbidden(ApiUnreachable):
    """The service account may not ask this; rights that were just granted need a moment."""


@dataclass(frozen=True)
class Api:
    """The API server of the cluster the Job runs in, for one namespace."""

    host: str
    port: int
    namespace: str
    account: Path = _ACCOUNT

    @classmethod
    def of_this_pod(cls, namespace: str) -> Api:
        """From the environment that every pod has. Raises ApiUnreachable outside of a pod."""
        try:
            return cls(os.environ["KUBERNETES_SERVICE_HOST"], int(os.environ["KUBERNETES_SERVICE_PORT"]), namespace)
        except (KeyError, ValueError) as error:
            raise ApiUnreachable(f"the environment does not say where the API server is: {error}") from None

    def stateful_set(self, name: str) -> tuple[StatefulSet, tuple[Pod, ...]]:
        """The StatefulSet, its pods, and those that are wanted and not there. Raises ApiUnreachable."""
        found = read_stateful_set(self._get(f"/apis/apps/v1/namespaces/{self.namespace}/statefulsets/{name}"))
        labels = urllib.parse.quote(",".join(f"{key}={value}" for key, value in sorted(found.selector.items())))
        namespace = f"/api/v1/namespaces/{self.namespace}"
        pods = self._get(f"{namespace}/pods?labelSelector={labels}").get("items", ())
        events = self._get(f"{namespace}/events?fieldSelector=type%3DWarning").get("items", ())
        return found, with_warnings(found, tuple(read_pod(pod) for pod in pods), read_warnings(events))

    def _get(self, path: str) -> Mapping[str, Any]:
        # The token is renewed in its file while the Job runs.
        try:
            token = (self.account / "token").read_text()
            trusted = ssl.create_default_context(cafile=str(self.account / "ca.crt"))
        except OSError as error:
            raise ApiUnreachable(f"the service account's files cannot be read: {error}") from None
        host = f"[{self.host}]" if ":" in self.host else self.host
        request = urllib.request.Request(
            f"https://{host}:{self.port}{path}", headers={"Authorization": f"Bearer {token}"}
        )
        try:
            # S310 warns of schemes such as file:. The address above begins with https.
            with urllib.request.urlopen(request, timeout=TIMEOUT_S, context=trusted) as answer:  # noqa: S310
                content: Mapping[str, Any] = json.load(answer)
                return content
        except urllib.error.HTTPError as error:
            kind = ApiForbidden if error.code in (401, 403) else ApiUnreachable
            raise kind(f"the API server answers {error.code} to {path}: {_message(error)}") from None
        except (OSError, ValueError) as error:
            raise ApiUnreachable(f"the API server does not answer {path}: {error}") from None


def _message(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error).get("message", error.reason))
    except (OSError, ValueError, AttributeError):
        return str(error.reason)
