"""Runs the program of rollout Jobs on this machine, as the Job's own service account.

On nodes without a kubelet a Job's pod would end well at once, and an update would not wait for its pods.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

from reconciler.rollout import api
from tests.e2e.harness.engine import CHECKOUT
from tests.e2e.harness.kube import Kube, Object

_LAST_WORDS_BYTES = 2048
"""What a kubelet keeps of a failed container's log as its message."""
_ACCOUNT = api._ACCOUNT


@dataclass(frozen=True)
class Ended:
    """How a Job's container ended."""

    status: int
    last_words: str


def is_rollout(pod: Object) -> bool:
    """Whether the pod waits for a StatefulSet."""
    return str(pod["metadata"].get("labels", {}).get("phase", "")).startswith("rollout-")


class RolloutPods:
    """Their processes, by the pod's id."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._running: dict[str, tuple[subprocess.Popen[bytes], Path]] = {}
        _ACCOUNT.mkdir(parents=True, exist_ok=True)

    def ended(self, pod: Object) -> Ended | None:
        """None while it runs; the first call starts it."""
        uid = pod["metadata"]["uid"]
        if uid not in self._running:
            self._running[uid] = self._start(pod)
        process, directory = self._running[uid]
        status = process.poll()
        if status is None:
            return None
        return Ended(abs(status), (directory / "log").read_text()[-_LAST_WORDS_BYTES:] if status else "")

    def _start(self, pod: Object) -> tuple[subprocess.Popen[bytes], Path]:
        directory = Path(tempfile.mkdtemp(prefix="rollout-"))
        namespace, account = pod["metadata"]["namespace"], pod["spec"]["serviceAccountName"]
        token = self._kube.create(f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token", {"spec": {}})
        (directory / "token").write_text(token["status"]["token"])
        (directory / "ca.crt").write_bytes(self._kube.authority)
        server = urllib.parse.urlsplit(self._kube.server)
        command = pod["spec"]["containers"][0]["command"]
        assert command[0] == "python3", command
        # The account's files lie at one place in every pod, so each gets a mount namespace of its own.
        mount = f"mount --bind {directory} {_ACCOUNT}; exec {shlex.join([sys.executable, *command[1:]])}"
        with (directory / "log").open("wb") as log:
            process = subprocess.Popen(
                ["unshare", "--mount", "sh", "-ec", mount],
                env={
                    "PATH": os.environ["PATH"],
                    "PYTHONPATH": str(CHECKOUT),
                    "KUBERNETES_SERVICE_HOST": str(server.hostname),
                    "KUBERNETES_SERVICE_PORT": str(server.port or 443),
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return process, directory
