"""What is measured of one cluster in a sandbox. Each function gives what a report holds, as JSON has it."""

from __future__ import annotations

import json
import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from sandbox.control.client import Completed
from sandbox.control.place import ON_A_NODE
from sandbox.errors import SandboxError
from tests.bench import servers
from tests.faults import planned
from tests.faults.deployment import SHARDS, Deployment
from tests.faults.load import shard_keys
from tests.faults.resync import RESYNC_DATA_MB, RESYNC_RATE, RESYNC_WRITES, full_resync
from tests.faults.stacks import another_tag, local_stack

Report = dict[str, Any]
IMAGE_BYTES = 1_000_000
TAG = shard_keys(0, SHARDS, "bench", 1)[0]
"""Keys that have it lie in the first shard."""
TTL_S = 8
EXPIRING_BYTES = 100_000
QUIET_S = 4.0
_WHOLE_WITHIN_S = 400.0


def environment(deployment: Deployment) -> dict[str, str]:
    """As an application is given it; the document's deployment lets everybody in."""
    return {"REDIS_USER": deployment.user, "REDISCLI_AUTH": deployment.password} if deployment.password else {}


def load(deployment: Deployment, *given: str, timeout_s: float = 400) -> Report:
    """The load generator's report. Raises SandboxError with its own words."""
    command = [sys.executable, "-m", "loadgen", deployment.endpoint, "--json", *given]
    done = deployment.run(command, timeout_s=timeout_s, env=environment(deployment))
    report: Report = json.loads(done.check().stdout)
    return report


def gets(deployment: Deployment, kind: str, host: str, port: int, seconds: float) -> Report:
    """One simple client's GETs of the same bytes."""
    command = [sys.executable, "-m", "tests.bench.client", kind, host, str(port), str(seconds), TAG]
    # On a node: the pool's policies would let no client in to a server that is no Redis.
    done = deployment.sandbox.run(command, place=ON_A_NODE, timeout_s=seconds + 120, env=environment(deployment))
    report: Report = json.loads(done.check().stdout)
    return report


def side_by_side(deployment: Deployment, seconds: float) -> Report:
    """Redis, and over the same link one core that only sends, memcached and nginx."""
    master, _ = deployment.copies(0)
    host, network = deployment.pods()[master]["ip"], servers.network_of(deployment, master)
    found = {"redis": gets(deployment, "redis", host, 6379, seconds)}
    with servers.nginx(TAG) as nginx:
        for name, kind, port, command in (
            ("one core that only sends", "copy", servers.COPY_PORT, servers.copying()),
            ("memcached", "memcached", servers.MEMCACHED_PORT, servers.memcached()),
            ("nginx", "http", servers.NGINX_PORT, nginx),
        ):
            with servers.serving(network, command) as server:
                servers.until_up(deployment, host, port, server)
                found[name] = gets(deployment, kind, host, port, seconds)
    return found


def redis_benchmark(deployment: Deployment, requests: int) -> float:
    """GETs per second of `redis-benchmark -d 1000000` on the first shard's master."""
    master, _ = deployment.copies(0)
    host = deployment.pods()[master]["ip"]
    key = f"{{{TAG}}}:benchmark"
    # In the pod, so that the image stands in no argument.
    made = f"head -c {IMAGE_BYTES} /dev/urandom | redis-cli -x SET {key}"
    deployment.sandbox.exec(master, ["sh", "-c", made], namespace=deployment.namespace).check()
    words = ["redis-benchmark", "-h", host, "-c", "8", "-n", str(requests), "--csv", "GET", key]
    done = deployment.run(words, timeout_s=300, env=environment(deployment)).check()
    return float(done.stdout.splitlines()[-1].split(",")[1].strip('"'))


def info(deployment: Deployment, pod: str, section: str) -> dict[str, str]:
    command = ["redis-cli", "INFO", section]
    text = deployment.sandbox.exec(pod, command, namespace=deployment.namespace).check().stdout
    return dict(line.strip().split(":", 1) for line in text.splitlines() if ":" in line)


def flush(deployment: Deployment) -> None:
    """Takes every key. No user of the stack may do that at once, so an application does it key by key."""
    command = [sys.executable, "-m", "tests.bench.flush", deployment.endpoint]
    deployment.run(command, timeout_s=120, env=environment(deployment)).check()


def expiry(deployment: Deployment, writes_per_s: float) -> Report:
    """Writes with a TTL, for five TTLs: how many keys there are, and how long the last of them outlive the load."""
    flush(deployment)
    masters = [deployment.copies(shard)[0] for shard in range(SHARDS)]

    def keys() -> int:
        found = [info(deployment, pod, "keyspace").get("db0", "keys=0") for pod in masters]
        return sum(int(text.partition("keys=")[2].partition(",")[0]) for text in found)

    def used() -> int:
        return sum(int(info(deployment, pod, "memory")["used_memory"]) for pod in masters)

    empty = used()
    given = ["--rate", str(writes_per_s), "--hit-rate", "0", "--images", "1", "--ttl", str(TTL_S)]
    given += ["--sizes", str(EXPIRING_BYTES), "--warm-up", "0", "--duration", str(5 * TTL_S)]
    samples: list[tuple[float, int, int]] = []
    with running(deployment, *given) as load_:
        began = time.monotonic()
        while not load_.has_ended:
            samples.append((time.monotonic() - began, keys(), used() - empty))
            time.sleep(0.5)
    ended = time.monotonic()
    gone = deployment.until(lambda: keys() == 0, 4 * TTL_S)
    report = load_.report()
    # The way up and the way down are shorter than the plateau, so its middle is the median of all that is not low.
    most = max((count for _, count, _ in samples), default=0)
    high = [sample for sample in samples if sample[1] > most / 2]
    return {
        "ttl_s": TTL_S,
        "image_bytes": EXPIRING_BYTES,
        "wanted_writes_per_s": writes_per_s,
        "writes_per_s": report["latency"]["set"]["count"] / report["measured_s"],
        "samples": samples,
        "keys_on_the_plateau": median(count for _, count, _ in high) if high else 0,
        "bytes_on_the_plateau": median(size for _, _, size in high) if high else 0,
        "gone_after_s": None if gone is None else time.monotonic() - ended,
        "failed": report["failed"],
    }


def eviction(deployment: Deployment) -> Report:
    """Images of mixed sizes, of which twice as many are written as fit."""
    flush(deployment)
    masters = [deployment.copies(shard)[0] for shard in range(SHARDS)]
    maxmemory = int(info(deployment, masters[0], "memory")["maxmemory"])
    images = 2 * SHARDS * maxmemory // 800_000
    report = load(
        deployment,
        *("--sizes", "lognormal:700000:0.5", "--images", str(images), "--hit-rate", "0.8"),
        *("--popularity", "zipf:1.0", "--duration", "6", "--warm-up", "0"),
    )
    memory = [info(deployment, pod, "memory") for pod in masters]
    return {
        "images": images,
        "evicted_keys": sum(int(info(deployment, pod, "stats")["evicted_keys"]) for pod in masters),
        "failed": report["failed"],
        "maxmemory_bytes": maxmemory,
        "used_of_maxmemory": max(int(found["used_memory"]) for found in memory) / maxmemory,
        "rss_of_maxmemory": max(int(found["used_memory_rss"]) for found in memory) / maxmemory,
        "limit_of_maxmemory": deployment.pods()[masters[0]]["memoryLimitBytes"] / maxmemory,
        "latency": report["latency"],
    }


def resync(deployment: Deployment) -> tuple[Report, Report]:
    """(a full resync over a slow link, the fork that it took)."""
    found = full_resync(deployment)
    megabits = int(RESYNC_RATE.removesuffix("mbit"))
    data = RESYNC_DATA_MB * 1_000_000
    return (
        {
            "bytes": data,
            "link_bytes_per_s": megabits * 1e6 / 8,
            "writes_per_s": RESYNC_WRITES.requests_per_second * RESYNC_WRITES.write_share,
            "write_bytes": RESYNC_WRITES.value_bytes,
            "s": found.quiet_s,
            "under_load_s": found.loaded_s,
            "full_syncs_under_load": found.full_syncs,
            "peak_of_limit": found.peak_bytes / found.limit_bytes,
        },
        {"bytes": data, "ms": found.fork_us / 1000},
    )


class Running:
    """A load under way; `report` gives what it measured, after `end`."""

    def __init__(self, deployment: Deployment, folder: Path, *given: str) -> None:
        self._stop = folder / "stop"
        self._done: Completed | Exception | None = None
        command = [
            sys.executable,
            "-m",
            "loadgen",
            deployment.endpoint,
            "--json",
            "--stop-file",
            str(self._stop),
            *given,
        ]

        def work() -> None:
            try:
                self._done = deployment.run(command, timeout_s=1800, env=environment(deployment))
            except (SandboxError, TimeoutError, OSError) as error:
                self._done = error

        self._thread = threading.Thread(target=work, daemon=True)
        self._thread.start()

    @property
    def has_ended(self) -> bool:
        return self._done is not None

    def end(self) -> None:
        self._stop.touch()
        self._thread.join(120)

    def report(self) -> Report:
        if not isinstance(self._done, Completed):
            raise SandboxError(f"the load left no report: {self._done}")
        found: Report = json.loads(self._done.check().stdout)
        return found


@contextmanager
def running(deployment: Deployment, *given: str) -> Iterator[Running]:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        found = Running(deployment, Path(folder), *given)
        try:
            yield found
        finally:
            found.end()


def changes(deployment: Deployment, rate: float) -> Report:
    """One load through planned changes and faults, with the moment of each."""
    marks: list[dict[str, Any]] = []

    def during(name: str, cause: Callable[[], object]) -> None:
        time.sleep(QUIET_S)
        mark = {"name": name, "from": time.time()}
        told = cause()
        deployment.wait_whole(_WHOLE_WITHIN_S)
        marks.append({**mark, "until": time.time()} | (told if isinstance(told, dict) else {}))

    def lost() -> dict[str, float | None]:
        master, (replica, *_) = deployment.copies(0)
        deployment.fault("lose-pod", pod=master)

        def is_promoted() -> bool:
            view = deployment.view(replica)
            return view is not None and view.is_master

        took = deployment.until(is_promoted, 30)
        time.sleep(QUIET_S)
        deployment.fault("restore", pod=master)
        return {"promotion_s": took}

    def crashed() -> None:
        deployment.fault("kill-process", pod=deployment.copies(1)[1][0])

    def resized() -> dict[str, float]:
        evaluation = local_stack(("podMemory", "512MB"), ("totalMemory", "1536MB"))
        moved = sum(int(info(deployment, deployment.copies(n)[0], "memory")["used_memory"]) for n in range(SHARDS))
        said: list[str] = []
        deployment.sandbox.apply(evaluation.resources, said.append)
        deployment.namespace = evaluation.plan.pool
        deployment.services = list(evaluation.outputs["discoveryAddresses"])
        # The old pool's nodes are forgotten by the repair: now, instead of at the next full minute.
        deployment.sandbox.trigger("redis-repair", namespace=deployment.namespace, wait=True)
        found = re.search(r"Job \S+-form-\S+ in ([\d.]+)s", "\n".join(said))
        return {"sources": SHARDS, "moved_bytes": moved, "form_s": float(found[1]) if found else 0.0}

    def rolled() -> None:
        deployment.sandbox.apply(local_stack(another_tag()).resources)

    with running(deployment, "--rate", str(rate), "--images", "150", "--duration", "1500") as load_:
        time.sleep(QUIET_S)
        during("master's pod deleted", lambda: deployment.fault("kill-pod", pod=deployment.copies(0)[0]))
        during("full resync of a replica", crashed)
        during("rolling update of all pods", rolled)
        during("master's machine lost, and back", lost)
        planned.go_home(deployment)
        during("podMemory doubled", resized)
        time.sleep(QUIET_S)
    report = load_.report()
    acks = [second["at"] for second in report["seconds"]]
    for mark in marks:
        inside = [second for second in report["seconds"] if mark["from"] <= second["at"] <= mark["until"]]
        mark["failed"] = sum(second["failed"] for second in inside)
        mark["max_ms"] = max((second["max_ms"] or 0 for second in inside), default=None)
    return {"rate": rate, "marks": marks, "began": min(acks, default=0), **report}
