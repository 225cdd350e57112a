"""Stack `local` on real pods, and what a test asks about it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from components.manifests import names
from tests.e2e.harness.engine import Run, Stack
from tests.e2e.harness.given import Ground
from tests.e2e.harness.kube import Object
from tests.e2e.harness.load import Load
from tests.e2e.stand_in.scripts import make_account, write_scripts

PASSWORD = "the-first-password-of-e2e"  # noqa: S105 (of a cluster that lives for minutes)
OTHER_PASSWORD = "the-second-password-of-e2e"  # noqa: S105
ENDPOINT = f"{names.service_host(names.CLIENT_SERVICE, names.CLIENT_NAMESPACE, 'cluster.local')}:{names.REDIS_PORT}"
POOL = "redis-256mb"


class LocalStack:
    """The stack, the cluster it is on, and its load."""

    def __init__(self, ground: Ground, home: Path) -> None:
        self.ground, self.kube = ground, ground.kube
        settings = {"access": {"password": PASSWORD}, "kubeContext": ground.kube.context}
        path = os.environ["PATH"]
        if ground.is_own:
            # The password that nobody gave is made by the random provider, and kept even while one is given.
            make_account(home)
            path = f"{write_scripts(home)}:{path}"
        self.engine = Stack(home, "local", path, ground.kubeconfig, settings)
        self._committed = dict(settings)
        self._is_up = False

    def as_committed(self) -> None:
        """`up` with the config of the first one, unless nothing was edited since."""
        if not self._is_up or self.engine.settings != self._committed:
            self.engine.settings = dict(self._committed)
            self.engine.up().ok()
            self._is_up = True

    def edit(self, **settings: Any) -> Run:
        """Changes config keys, then `up`."""
        self.engine.set(**settings)
        return self.engine.up()

    def load(self, shards: int = 3, value_bytes: int = 20_000) -> Load:
        """500 keys for each of `shards` parts of the slots."""
        return Load(self.kube, ENDPOINT, PASSWORD, shards, value_bytes)

    def pods(self, pool: str = POOL) -> dict[str, Object]:
        """Name -> pod, of the pool's Redis pods."""
        found = self.kube.items(f"/api/v1/namespaces/{pool}/pods?labelSelector=app%3Dredis")
        return {pod["metadata"]["name"]: pod for pod in found}

    def images(self, pool: str = POOL) -> dict[str, str]:
        """Pod -> the image of its Redis."""
        return {name: str(pod["spec"]["containers"][0]["image"]) for name, pod in self.pods(pool).items()}

    def jobs(self, phase: str, pool: str = POOL) -> list[str]:
        """Names of a phase's Jobs."""
        found = self.kube.items(f"/apis/batch/v1/namespaces/{pool}/jobs?labelSelector=phase%3D{phase}")
        return [job["metadata"]["name"] for job in found]

    def job_log(self, phase: str, pool: str = POOL) -> str:
        """What the pods of a phase's Jobs have said until now."""
        pods = self.kube.items(f"/api/v1/namespaces/{pool}/pods?labelSelector=phase%3D{phase}")
        started = [pod for pod in pods if pod["status"]["phase"] != "Pending"]
        return "".join(
            self.kube.text(f"/api/v1/namespaces/{pool}/pods/{pod['metadata']['name']}/log") for pod in started
        )

    def pools(self) -> list[str]:
        """Namespaces that the stack made."""
        label = f"app.kubernetes.io%2Fpart-of%3D{names.CLIENT_NAMESPACE}"
        return sorted(item["metadata"]["name"] for item in self.kube.items(f"/api/v1/namespaces?labelSelector={label}"))


def eventually(what: str, is_so: Callable[[], bool], within_s: float) -> None:
    """Waits for a condition; fails the test when it does not come true."""
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline, f"not within {within_s:.0f} s: {what}"
        time.sleep(0.3)


def assert_masters_roll_after_replicas(run: Run) -> None:
    """The masters are not touched before the last replica runs the edit and is in sync."""
    rolled = run.of_any(("create", "create-replacement"), f"Job::images-{POOL}-rollout-redis-replica")
    masters = run.of("update", f"StatefulSet::images-{POOL}-redis-master")
    assert rolled.ended is not None
    assert masters.began > rolled.ended
