"""How long a master answers nobody during a full resync under load, with a CPU limit of one core and without any:
`make bench-cpu-limit`.

A limit is a quota of the kernel: what the container's processes and threads have used together within a period of
100 ms. The fork that writes the snapshot, the thread that frees memory and the probes use it up along with Redis's own
thread, and then all of them stand still until the period ends.

Both cases are measured in turns in one run, so that their ratio holds on a busy machine too. It needs root and the
control group `cpu` of version 1, starts two real redis-servers on loopback, and removes the group that it makes.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path
from subprocess import DEVNULL, Popen

import redis

from tests.reconciler.servers import die_with_parent

ROUNDS = 5
IMAGES = 400
IMAGE = b"x" * 1_000_000
RESYNC_TIMEOUT_S = 60.0
PERIOD_US = 100_000
"""What the kubelet uses (cpuCFSQuotaPeriod)."""
CASES = {"limit of 1 core": PERIOD_US, "no limit": -1}
_CPU_GROUPS = Path("/sys/fs/cgroup/cpu")
_MASTER, _REPLICA = 17379, 17380
_PING_EVERY_S = 0.005
_LOAD_BEFORE_S = 1.0


@dataclass(frozen=True)
class Round:
    """What one full resync did to those who asked meanwhile."""

    longest_ms: float
    p99_ms: float
    resync_s: float
    throttled_ms: float
    """How long the kernel kept the server and its fork from running because the quota was used up."""


@contextmanager
def cpu_group(quota_us: int) -> Iterator[Path]:
    """A control group with that quota (-1: none); gone afterwards."""
    group = _CPU_GROUPS / f"redis-image-cache-bench-{os.getpid()}"
    group.mkdir()
    try:
        (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
        (group / "cpu.cfs_quota_us").write_text(str(quota_us))
        # The server goes before everything else on this machine, as on a node with cores to spare.
        (group / "cpu.shares").write_text("262144")
        yield group
    finally:
        # The kernel forgets the processes of a group a moment after they have ended.
        for _ in range(100):
            try:
                group.rmdir()
                break
            except OSError:
                time.sleep(0.05)
        else:
            raise RuntimeError(f"{group} still has processes")


@contextmanager
def server(port: int, directory: str, group: Path | None = None) -> Iterator[redis.Redis]:
    def enter() -> None:
        die_with_parent()
        if group is not None:
            (group / "cgroup.procs").write_text(str(os.getpid()))

    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", directory]
    command += ["--maxmemory", "1gb", "--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0"]
    command += ["--client-output-buffer-limit", "replica 0 0 0"]
    process = Popen(command, stdin=DEVNULL, stdout=DEVNULL, preexec_fn=enter)
    try:
        client = redis.Redis("127.0.0.1", port, socket_timeout=30)
        _eventually(lambda: _answers(client), RESYNC_TIMEOUT_S)
        yield client
    finally:
        process.kill()
        process.wait()


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def _eventually(holds: object, seconds: float) -> None:
    assert callable(holds)
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds:g} s")
        time.sleep(0.02)


@contextmanager
def load() -> Iterator[None]:
    """Reads and writes images as fast as the server and two connections can."""
    command = ["redis-benchmark", "-p", str(_MASTER), "-c", "2", "-n", "1000000000", "-d", str(len(IMAGE))]
    process = Popen(
        [*command, "-r", str(IMAGES), "-t", "set"], stdout=DEVNULL, stderr=DEVNULL, preexec_fn=die_with_parent
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _pings(stop: Event, found: multiprocessing.Queue[list[float]]) -> None:
    # Who asks must not wait for a processor himself.
    os.nice(-20)
    client = redis.Redis("127.0.0.1", _MASTER, socket_timeout=30)
    taken = []
    while not stop.is_set():
        began = time.perf_counter()
        client.ping()
        taken.append(1000 * (time.perf_counter() - began))
        time.sleep(_PING_EVERY_S)
    found.put(taken)


def measured(quota_us: int) -> Round:
    """One full resync of 400 images of 1 MB, under load."""
    with (
        tempfile.TemporaryDirectory() as directory,
        cpu_group(quota_us) as group,
        server(_MASTER, directory, group) as master,
        server(_REPLICA, directory) as replica,
    ):
        for number in range(IMAGES):
            master.set(f"key:{number:012}", IMAGE)
        stop = multiprocessing.Event()
        found: multiprocessing.Queue[list[float]] = multiprocessing.Queue()
        asking = multiprocessing.Process(target=_pings, args=(stop, found), daemon=True)
        with load():
            time.sleep(_LOAD_BEFORE_S)
            before = _throttled_ms(group)
            asking.start()
            began = time.monotonic()
            replica.replicaof("127.0.0.1", _MASTER)
            _eventually(lambda: replica.info("replication")["master_link_status"] == "up", RESYNC_TIMEOUT_S)
            resync_s = time.monotonic() - began
            throttled_ms = _throttled_ms(group) - before
            stop.set()
            pings = found.get(timeout=RESYNC_TIMEOUT_S)
            asking.join()
        return Round(max(pings), statistics.quantiles(pings, n=100)[-1], resync_s, throttled_ms)


def _throttled_ms(group: Path) -> float:
    figures = dict(line.split() for line in (group / "cpu.stat").read_text().splitlines())
    return int(figures["throttled_time"]) / 1e6


def main() -> None:
    rounds = {name: list[Round]() for name in CASES}
    for _ in range(ROUNDS):
        for name, quota_us in CASES.items():
            rounds[name].append(measured(quota_us))
    print(f"a full resync of {IMAGES} images of 1 MB under load, medians of {ROUNDS} rounds in turns")
    medians = {}
    for name, found in rounds.items():
        medians[name] = [
            statistics.median(getattr(item, field) for item in found)
            for field in ("longest_ms", "p99_ms", "resync_s", "throttled_ms")
        ]
        longest, p99, resync, throttled = medians[name]
        print(
            f"{name:16} longest PING {longest:6.0f} ms   p99 {p99:6.0f} ms   resync {resync:5.1f} s   "
            f"throttled {throttled:6.0f} ms"
        )
    limited, free = medians.values()
    ratios = [of_limited / of_free for of_limited, of_free in zip(limited[:3], free[:3], strict=True)]
    print("with the limit: longest {:.1f}x, p99 {:.1f}x, resync {:.1f}x".format(*ratios))


if __name__ == "__main__":
    main()
