"""Constant load on a Redis Cluster, and a raw prober for each shard: `python load.py CONFIG.json`.

Runs inside the sandbox's network, as an application's pod would. User and password are taken from REDIS_USER and
REDIS_PASSWORD; where REDIS_CA_FILE is set, it speaks TLS and trusts that authority alone. It writes what happened, with
times of CLOCK_MONOTONIC, to the report file named in the config; `tests.faults.measure` reads it.

Each shard has a worker with a client of its own, so that an outage of one shard cannot hide behind requests waiting
for another.
"""

from __future__ import annotations

import json
import os
import random
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.crc import key_slot
from redis.exceptions import MovedError, RedisClusterException, RedisError, ResponseError
from redis.retry import Retry

SLOTS = 16384
_SLOTS_AROUND_MIDDLE = 1000
_TTL_S = 3600
_PROBE_EVERY_S = 0.02
_PROBE_CONNECT_TIMEOUT_S = 0.1
_PROBE_TIMEOUT_S = 0.3
_CHECK_DEADLINE_S = 15.0
"""Without any key that could be read. A busy machine may take longer for all of them."""
_SENT_AGAIN_S = 0.1
_UNKNOWN_NODE = "'NoneType' object has no attribute 'redis_connection'"
_TRACEBACKS_KEPT = 5
_WAITS = 5
_TICK_S = 0.01
_STALL_S = 0.05


def cluster_client(endpoint: str) -> Any:
    """An ordinary cluster client: redis-py's own retries, and the settings its documentation advises for a name that
    stays while addresses change (`dynamic_startup_nodes`), with time limits of an application."""
    host, _, port = endpoint.rpartition(":")
    return RedisCluster(
        host=host,
        port=int(port),
        username=os.environ.get("REDIS_USER") or None,
        password=os.environ.get("REDIS_PASSWORD") or None,
        dynamic_startup_nodes=False,
        socket_connect_timeout=1,
        socket_timeout=2,
        **_tls(by_name=True),
    )


def _tls(*, by_name: bool) -> dict[str, Any]:
    """What a client of redis-py takes beside. `by_name`: nodes are reached by names, which their certificate must
    have; the prober asks for addresses, which it has not."""
    authority = os.environ.get("REDIS_CA_FILE")
    return {"ssl": True, "ssl_ca_certs": authority, "ssl_check_hostname": by_name} if authority else {}


def shard_keys(shard: int, shards: int, prefix: str, count: int) -> list[str]:
    """Keys whose slots lie about the middle of a shard's part of an even split."""
    middle = (2 * shard + 1) * SLOTS // (2 * shards)
    found: list[str] = []
    number = 0
    while len(found) < count:
        key = f"{prefix}:{number}"
        if abs(key_slot(key.encode()) - middle) < _SLOTS_AROUND_MIDDLE:
            found.append(key)
        number += 1
    return found


def value_of(key: str, version: int, size_bytes: int) -> bytes:
    """`key version …`, padded with a pattern that differs from one version to the next."""
    head = f"{key} {version} ".encode()
    return (head * (size_bytes // len(head) + 1))[:size_bytes]


def version_in(key: str, value: bytes | None, size_bytes: int) -> int | None:
    """The version a value was written as; None when it is missing or is not what this program writes."""
    parts = (value or b"").split(b" ", 2)
    if len(parts) < 3 or parts[0] != key.encode() or not parts[1].isdigit():
        return None
    version = int(parts[1])
    return version if value == value_of(key, version, size_bytes) else None


class Worker(threading.Thread):
    """The load on one shard.

    `old` keys are written once, before the load; `new` keys are written in turn. A key has one writer, so its last
    acknowledged version and those in doubt after it are known.
    """

    def __init__(self, config: dict[str, Any], shard: int, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self._config = config
        self._stop_event = stop
        self._size_bytes: int = config["value_bytes"]
        self._random = random.Random(f"{config['seed']}/{shard}")
        shards = config["shards"]
        self.old = shard_keys(shard, shards, f"{config['prefix']}old", config["keys_per_shard"])
        self.new = shard_keys(shard, shards, f"{config['prefix']}new", config["keys_per_shard"])
        self.acknowledged: dict[str, list[tuple[int, float]]] = {}
        """Key -> (version, when it was acknowledged), oldest first."""
        self.tried: dict[str, int] = {}
        self.requests: list[tuple[float, float, str, str]] = []
        """(begun, ended, `get` or `set`, outcome: `ok`, `miss`, or the error's type)."""
        self.sent_again = 0
        """Requests that were led to a node which the client had not heard of."""
        self.tracebacks: list[str] = []
        self.filled = threading.Event()
        self.client = cluster_client(config["endpoint"])

    def fill(self) -> None:
        for key in (*self.old, *self.new):
            self._write(self.client, key, 1)
        self._wait_for_replicas()

    def _wait_for_replicas(self) -> None:
        for _ in range(_WAITS):
            try:
                for primary in self.client.get_primaries():
                    self.client.execute_command("WAIT", 1, 5000, target_nodes=primary)
                return
            except ResponseError:
                # A hand-over ends WAIT on the master that was: "UNBLOCKED".
                time.sleep(1)
                self.client.nodes_manager.initialize()
        raise TimeoutError(f"the replicas did not confirm what was written, asked {_WAITS} times")

    def _sent(self, send: Callable[[], Any]) -> Any:
        """What a request gives. redis-py raises an AttributeError when it is led to a node that it has not heard of,
        which happens where clients share an address (redis/redis-py#4015; docs/adr/0009-a-slot-goes-in-one-moment.md).
        As docs/clients.md recommends, the request is sent again then. That is done once, and counted."""
        try:
            return send()
        except AttributeError as error:
            if _UNKNOWN_NODE not in str(error):
                raise
            self.sent_again += 1
            time.sleep(_SENT_AGAIN_S)
            return send()

    def _write(self, client: Any, key: str, version: int) -> None:
        self.tried[key] = version
        self._sent(lambda: client.set(key, value_of(key, version, self._size_bytes), ex=_TTL_S))
        self.acknowledged.setdefault(key, []).append((version, time.monotonic()))

    def run(self) -> None:
        period = 1 / self._config["requests_per_second_per_shard"]
        due = time.monotonic()
        turn = 0
        while not self._stop_event.is_set():
            now = time.monotonic()
            if due > now:
                time.sleep(due - now)
            # After an outage the load goes on at its rate; what was missed is not made up for.
            due = max(due, now - period) + period
            turn += 1
            if self._random.random() < self._config["write_share"]:
                key = self.new[turn % len(self.new)]
                self._timed("set", key)
            else:
                self._timed("get", self._random.choice(self.old))

    def _timed(self, kind: str, key: str) -> None:
        began = time.monotonic()
        try:
            if kind == "set":
                self._write(self.client, key, self.tried.get(key, 0) + 1)
                outcome = "ok"
            else:
                found = self._sent(lambda: self.client.get(key))
                outcome = "miss" if version_in(key, found, self._size_bytes) is None else "ok"
        # Whatever reaches the application is a failed request, also what the client should never have let out.
        except Exception as error:
            outcome = type(error).__name__
            if not isinstance(error, RedisError | RedisClusterException) and len(self.tracebacks) < _TRACEBACKS_KEPT:
                self.tracebacks.append(traceback.format_exc())
        self.requests.append((began, time.monotonic(), kind, outcome))

    def check(self) -> dict[str, Any]:
        """What a new client reads of each acknowledged key: version, None if it is gone; keys it could not read, and
        among the tracebacks why."""
        client, reason = None, ""
        found: dict[str, int | None] = {}
        deadline = time.monotonic() + _CHECK_DEADLINE_S
        for key in self.acknowledged:
            while key not in found and time.monotonic() < deadline:
                try:
                    client = client or cluster_client(self._config["endpoint"])
                    found[key] = version_in(key, client.get(key), self._size_bytes)
                    deadline = time.monotonic() + _CHECK_DEADLINE_S
                except (RedisError, RedisClusterException, OSError):
                    client, reason = None, traceback.format_exc()
                    time.sleep(0.2)
        unreadable = [key for key in self.acknowledged if key not in found]
        if unreadable:
            self.tracebacks.append(reason)
        return {"found": found, "unreadable": unreadable}


class Prober(threading.Thread):
    """Writes one key of a shard again and again, following MOVED and asking every pod in turn after an error."""

    def __init__(self, config: dict[str, Any], shard: int, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self._config = config
        self._stop_event = stop
        self._key = shard_keys(shard, config["shards"], f"{config.get('prefix', '')}probe", 1)[0]
        self._links: dict[tuple[str, int], Redis] = {}
        self.acks: list[float] = []
        self.attempts = 0

    def _addresses(self) -> list[tuple[str, int]]:
        found = []
        for name in self._config["services"]:
            host, _, port = name.rpartition(":")
            try:
                answers = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
            except socket.gaierror:
                continue
            found += [(str(answer[4][0]), int(port)) for answer in answers]
        return found

    def _link(self, address: tuple[str, int]) -> Redis:
        if address not in self._links:
            self._links[address] = Redis(
                host=address[0],
                port=address[1],
                username=os.environ.get("REDIS_USER") or None,
                password=os.environ.get("REDIS_PASSWORD") or None,
                socket_connect_timeout=_PROBE_CONNECT_TIMEOUT_S,
                socket_timeout=_PROBE_TIMEOUT_S,
                retry=Retry(NoBackoff(), 0),
                **_tls(by_name=False),
            )
        return self._links[address]

    def run(self) -> None:
        queue: list[tuple[str, int]] = []
        target: tuple[str, int] | None = None
        while not self._stop_event.is_set():
            if target is None:
                queue = queue or self._addresses()
                if not queue:
                    time.sleep(_PROBE_EVERY_S)
                    continue
                target = queue.pop(0)
            self.attempts += 1
            try:
                self._link(target).set(self._key, str(self.attempts), ex=_TTL_S)
                self.acks.append(time.monotonic())
            except MovedError as moved:
                target = (moved.host, moved.port)
                continue
            except (RedisError, OSError):
                self._links.pop(target).close()
                target = None
            time.sleep(_PROBE_EVERY_S)


class Metronome(threading.Thread):
    """Notes when this machine did not let the load generator run: what happened meanwhile it cannot say."""

    def __init__(self, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self._stop_event = stop
        self.stalls: list[tuple[float, float]] = []

    def run(self) -> None:
        before = time.monotonic()
        while not self._stop_event.is_set():
            time.sleep(_TICK_S)
            now = time.monotonic()
            if now - before > _STALL_S:
                self.stalls.append((before + _TICK_S, now))
            before = now


def main(config_path: str) -> int:
    config = json.loads(Path(config_path).read_text())
    stop = threading.Event()
    died: list[str] = []
    threading.excepthook = lambda hook: died.append("".join(traceback.format_exception(hook.exc_value)))
    workers = [Worker(config, shard, stop) for shard in range(config["shards"])]
    probers = [Prober(config, shard, stop) for shard in range(config["shards"])]
    for worker in workers:
        worker.fill()
    metronome = Metronome(stop)
    for thread in (metronome, *workers, *probers):
        thread.start()
    Path(config["ready"]).touch()
    deadline = time.monotonic() + config["longest_s"]
    while not Path(config["stop"]).exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    stop.set()
    ended = time.monotonic()
    for thread in (*workers, *probers):
        # A request may be in its last retry.
        thread.join(30)
    shards = [
        {
            "requests": list(worker.requests),
            "acks": list(prober.acks),
            "acknowledged": worker.acknowledged,
            "tried": worker.tried,
            "old": worker.old,
            "sent_again": worker.sent_again,
            "tracebacks": worker.tracebacks,
            **worker.check(),
        }
        for worker, prober in zip(workers, probers, strict=True)
    ]
    report = Path(config["report"])
    unfinished = report.with_suffix(".new")
    unfinished.write_text(json.dumps({"ended": ended, "stalls": metronome.stalls, "shards": shards, "died": died}))
    unfinished.rename(report)
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.stderr.write(__doc__ or "")
        sys.exit(2)
    sys.exit(main(sys.argv[1]))
