"""A replica copies its master's whole data set over a limited link: alone, under the full write load, out of memory."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sandbox.errors import SandboxError
from tests.faults.deployment import SHARDS, Deployment, Load, RunningLoad
from tests.faults.load import shard_keys
from tests.faults.scenarios import PATIENT, Limits, Outcome, under_load


@dataclass(frozen=True)
class Resync:
    """A replica's full resync, without load and under the full write load. None = it did not end in time."""

    quiet_s: float | None
    loaded_s: float | None
    full_syncs: int
    """Begun by the master while the load ran; one is enough."""
    peak_bytes: int
    """The most memory the master's pod used meanwhile, and its limit."""
    limit_bytes: int
    fork_us: int
    """How long the fork of the one without load stopped the master."""

    @property
    def ratio(self) -> float | None:
        return None if self.quiet_s is None or self.loaded_s is None else self.loaded_s / self.quiet_s


RESYNC_DATA_MB = 120
RESYNC_RATE = "160mbit"
"""The replica's link: data and link have the ratio of a full pod of 64 GB and one flow of 5 Gbps within a factor of
20, so that a resync takes seconds instead of milliseconds."""
RESYNC_WRITES = Load(requests_per_second=32, write_share=1.0, keys_per_shard=20)
"""100 kB each: a sixth of what the link carries, as 1,600 MB/s over 16 masters are of 5 Gbps."""
PLAIN_OUTPUT_LIMIT = "replica 1048576 262144 4"
"""Redis's default of 256 MB, 64 MB, 60 s, reduced as the pods are (1/256 of 64 GB) and as a resync's time is (1/15)."""
_FILLED_WITHIN_S = 10.0
_RESYNC_WITHIN_S = 45.0
_RESTARTED_WITHIN_S = 60.0


SMALL_MB = 30
_SMALL_RATE = "40mbit"
"""Six seconds of a resync, to be met in its middle."""
_MET_WITHIN_S = 30.0


@contextmanager
def filled(deployment: Deployment, shard: int, megabytes: int) -> Iterator[None]:
    """A shard's master and its replica have so many values of 1 MB more while the block runs. What else writes there
    adds no keys."""
    _fill(deployment, shard, megabytes)
    deployment.wait_whole()
    yield
    _as_application(deployment, shard, megabytes, "--drop")


def _fill(deployment: Deployment, shard: int, megabytes: int) -> None:
    """Raises SandboxError when the replica has not all keys in time."""
    _as_application(deployment, shard, megabytes)
    master, replicas = deployment.copies(shard)

    def keys() -> list[int]:
        return [int(_cli(deployment, pod, "DBSIZE")) for pod in (master, *replicas)]

    def have_all() -> bool:
        held = keys()
        return min(held) == max(held) >= megabytes

    if deployment.until(have_all, _FILLED_WITHIN_S) is None:
        raise SandboxError(f"{master} and {', '.join(replicas)} hold {keys()} keys; {megabytes} were written")


def _as_application(deployment: Deployment, shard: int, megabytes: int, *options: str) -> None:
    tag = shard_keys(shard, SHARDS, "resync", 1)[0]
    command = [sys.executable, "-m", "tests.faults.fill", deployment.endpoint, tag, str(megabytes), *options]
    deployment.run(command, timeout_s=120, env=deployment.login).check()


def _cli(deployment: Deployment, pod: str, *words: str) -> str:
    """What the pod's own user is answered. Raises SandboxError where Redis answers with an error."""
    return deployment.sandbox.exec(pod, ["redis-cli", "-e", *words], namespace=deployment.namespace).check().stdout


@contextmanager
def sending(deployment: Deployment, master: str, replica: str) -> Iterator[None]:
    """The block runs while the master sends its replica, which crashed, a full resync over a slow link."""

    def sends() -> bool:
        """The process that writes the snapshot is there. Before, the master waits a while for other replicas."""
        return "rdb_bgsave_in_progress:1" in _cli(deployment, master, "INFO", "persistence")

    deployment.fault("slow-link", pod=replica, rate=_SMALL_RATE)
    try:
        deployment.fault("kill-process", pod=replica)
        if deployment.until(sends, _MET_WITHIN_S) is None:
            raise SandboxError(f"{replica} did not begin a full resync within {_MET_WITHIN_S:.0f} s")
        yield
    finally:
        deployment.fault("slow-link", pod=replica)


def out_of_memory(
    deployment: Deployment, limits: Limits = PATIENT, *, together: bool = False, shard: int = 1
) -> Outcome:
    """A master's memory runs out while it sends a full resync, when its replica has no copy of the data.

    `together`: all processes of its container are killed, not the one that the kernel scores highest.
    """
    master, (replica, *_) = deployment.copies(shard)

    def cause(running: RunningLoad) -> str:
        with sending(deployment, master, replica):
            running.mark()
            return deployment.fault("out-of-memory", pod=master, together=together)

    with filled(deployment, shard, SMALL_MB):
        return under_load(deployment, cause, limits=limits, hit_shards=(shard,), until=deployment.is_whole)


def full_resync(deployment: Deployment, *, shard: int = 2, scaled_default_limit: bool = False) -> Resync:
    """Makes a replica copy its master's whole data set over a limited link, twice: alone, and under writes.

    `scaled_default_limit` sets the plain deployment's output limit (a default nobody set) to the scale of its pods.
    """
    master, (replica, *_) = deployment.copies(shard)
    with filled(deployment, shard, RESYNC_DATA_MB):
        if scaled_default_limit:
            _cli(deployment, master, "CONFIG", "SET", "client-output-buffer-limit", PLAIN_OUTPUT_LIMIT)
        quiet_s, _, _ = resync(deployment, master, replica)
        fork_us = _count(deployment, master, "latest_fork_usec")
        with deployment.load(RESYNC_WRITES) as running:
            loaded_s, syncs, peak = resync(deployment, master, replica)
            running.end()
        limit = deployment.pods()[master]["memoryLimitBytes"]
        deployment.until(deployment.is_whole, _RESYNC_WITHIN_S)
    return Resync(quiet_s, loaded_s, syncs, peak, limit, fork_us)


def _count(deployment: Deployment, pod: str, name: str) -> int:
    """A figure of `INFO stats`."""
    lines = _cli(deployment, pod, "INFO", "stats").splitlines()
    return next(int(line.split(":")[1]) for line in lines if line.startswith(f"{name}:"))


def resync(deployment: Deployment, master: str, replica: str) -> tuple[float | None, int, int]:
    """Seconds from the first full sync after a crash of the replica to its end; full syncs begun; master's peak."""

    def full_syncs() -> int:
        return _count(deployment, master, "sync_full")

    before = full_syncs()
    deployment.fault("slow-link", pod=replica, rate=RESYNC_RATE)
    try:
        deployment.fault("kill-process", pod=replica)
        return _watched(deployment, master, replica, full_syncs, before)
    finally:
        deployment.fault("slow-link", pod=replica)


def _watched(
    deployment: Deployment, master: str, replica: str, full_syncs: Callable[[], int], before: int
) -> tuple[float | None, int, int]:
    # A container that crashes again within minutes is held back by the kubelet; that is no part of the resync.
    if deployment.until(lambda: full_syncs() > before, _RESTARTED_WITHIN_S) is None:
        raise SandboxError(f"{replica} did not ask {master} for a full resync within {_RESTARTED_WITHIN_S:.0f} s")
    began, peak = time.monotonic(), 0
    while time.monotonic() - began < _RESYNC_WITHIN_S:
        peak = max(peak, deployment.pods()[master]["memoryBytes"])
        view = deployment.view(replica)
        if view and view.info.get("role") == "slave" and view.info.get("master_link_status") == "up":
            return time.monotonic() - began, full_syncs() - before, peak
        time.sleep(0.1)
    return None, full_syncs() - before, peak
