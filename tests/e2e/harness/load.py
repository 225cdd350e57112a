"""An application in the cluster: a pod with an ordinary redis-py client under constant load."""

from __future__ import annotations

import json
import time
import urllib.error
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from components.config.settings import Images
from components.manifests.bundle import package_zip_base64
from components.manifests.users import APP
from tests.e2e.harness.engine import CHECKOUT
from tests.e2e.harness.kube import ApiError, Kube
from tests.e2e.harness.report import say

NAMESPACE = "e2e-load"
_POD = "load"
_SOURCES = {"load.py": CHECKOUT / "tests/faults/load.py", "main.py": Path(__file__).with_name("load_pod.py")}
_READY_WITHIN_S = 90.0
_ACCOUNT_WITHIN_S = 120.0


@dataclass(frozen=True)
class Account:
    """What became of every request and every key of a load."""

    requests: int
    failed: dict[str, int]
    """`get miss`, `set TimeoutError`, … -> how often."""
    longest_s: float
    keys: int
    lost: list[str]
    unreadable: list[str]
    tracebacks: list[str]

    def is_whole(self) -> None:
        """Fails the test unless every key is there and every request was answered."""
        assert not self.lost, f"{len(self.lost)} of {self.keys} keys are lost: {self.lost[:5]}"
        assert not self.unreadable, f"{len(self.unreadable)} of {self.keys} keys cannot be read: {self.unreadable[:5]}"
        assert not self.failed, f"of {self.requests} requests failed: {self.failed} {self.tracebacks[:1]}"
        assert self.requests > 0


class Load:
    """`with Load(…) as load: …; load.end().is_whole()`. It runs from the first line of the block on."""

    def __init__(self, kube: Kube, endpoint: str, password: str, shards: int, value_bytes: int) -> None:
        self._kube = kube
        self._config = {
            "endpoint": endpoint,
            "shards": shards,
            "value_bytes": value_bytes,
            "seed": 1,
            "keys_per_shard": 250,
            "prefix": "",
            "requests_per_second_per_shard": 20,
            "write_share": 0.3,
        }
        self._password = password

    def __enter__(self) -> Self:
        began = time.monotonic()
        self._kube.ensure("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        self._kube.ensure(
            f"/api/v1/namespaces/{NAMESPACE}/configmaps",
            {
                "metadata": {"name": _POD},
                "data": {name: path.read_text() for name, path in _SOURCES.items()},
                "binaryData": {"redis.zip": package_zip_base64("redis")},
            },
        )
        self._remove()
        self._kube.create(f"/api/v1/namespaces/{NAMESPACE}/pods", self._pod())
        while not self._is_running():
            if time.monotonic() - began > _READY_WITHIN_S:
                raise TimeoutError(f"the load does not run: {self._log()}")
            time.sleep(0.3)
        say(f"load runs, filled within {time.monotonic() - began:.0f} s")
        return self

    def __exit__(self, *_: object) -> None:
        self._remove()

    def end(self) -> Account:
        """Stops the load and reads every key anew."""
        try:
            answer = self._kube.text(self._proxy("stop"), timeout_s=_ACCOUNT_WITHIN_S)
        except (ApiError, OSError) as error:
            raise AssertionError(f"the load gave no account: {error}; {self._log()}") from error
        account = Account(**json.loads(answer))
        say(
            f"load: {account.requests} requests, failed {account.failed or 'none'}, longest {account.longest_s:.1f} s; "
            f"{len(account.lost)} of {account.keys} keys lost"
        )
        return account

    def _is_running(self) -> bool:
        try:
            self._kube.text(self._proxy("ready"), timeout_s=5)
        except (ApiError, urllib.error.URLError, TimeoutError):
            return False
        return True

    def _proxy(self, path: str) -> str:
        return f"/api/v1/namespaces/{NAMESPACE}/pods/{_POD}:8080/proxy/{path}"

    def _log(self) -> str:
        try:
            return self._kube.text(f"/api/v1/namespaces/{NAMESPACE}/pods/{_POD}/log?tailLines=20")
        except ApiError as error:
            return f"no log: {error}"

    def _remove(self) -> None:
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{_POD}"
        self._kube.delete(f"{path}?gracePeriodSeconds=0")
        while self._kube.find(path) is not None:
            time.sleep(0.2)

    def _pod(self) -> dict[str, object]:
        env = {"PYTHONPATH": "/load:/load/redis.zip", "PYTHONUNBUFFERED": "1"}
        env |= {"REDIS_USER": APP, "REDIS_PASSWORD": self._password}
        env["LOAD"] = json.dumps(self._config)
        container = {
            "name": "load",
            "image": Images().python,
            "command": ["python3", "/load/main.py"],
            "env": [{"name": name, "value": value} for name, value in env.items()],
            "volumeMounts": [{"name": "load", "mountPath": "/load"}],
        }
        return {
            "metadata": {"name": _POD},
            "spec": {
                "containers": [container],
                "volumes": [{"name": "load", "configMap": {"name": _POD}}],
                "restartPolicy": "Never",
                "terminationGracePeriodSeconds": 1,
            },
        }
