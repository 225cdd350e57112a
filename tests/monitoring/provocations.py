"""What makes each alert fire for real: faults of the sandbox, clients that nobody wants, and updates that go wrong."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

from sandbox.errors import SandboxError
from tests.monitoring.live import Live, eventually

MOST_CONNECTIONS = 9_600
"""Of maxclients, which is 10,000 by Redis's default."""
_RESOLVED_WITHIN_S = 480.0


@dataclass(frozen=True)
class Provocation:
    """Inside `during` the alerts come to fire, and after it they stop."""

    alerts: tuple[str, ...]
    by: str
    """What was done, as a person would type it."""
    during: Callable[[Live], AbstractContextManager[None]]
    within_s: float = 150.0


@contextlib.contextmanager
def full_volume(live: Live) -> Iterator[None]:
    live.sandbox.fault("fill-disk", pod="redis-replica-2")
    try:
        yield
    finally:
        live.sandbox.fault("free-disk", pod="redis-replica-2")


@contextlib.contextmanager
def hung(live: Live) -> Iterator[None]:
    live.sandbox.fault("kill-process", pod="redis-replica-0", signal_name="STOP")
    try:
        yield
    finally:
        live.sandbox.fault("kill-process", pod="redis-replica-0", signal_name="CONT")


@contextlib.contextmanager
def _cordoned(live: Live) -> Iterator[None]:
    """No pod is placed: neither a pod of Redis, nor that of a *repair*."""
    nodes = [node["name"] for node in live.sandbox.status()["nodes"]]
    for node in nodes:
        live.sandbox.fault("cordon", node=node)
    try:
        yield
    finally:
        for node in nodes:
            live.sandbox.fault("uncordon", node=node)


@contextlib.contextmanager
def unplaced(live: Live) -> Iterator[None]:
    with _cordoned(live):
        live.sandbox.fault("kill-pod", pod="redis-replica-0")
        yield


@contextlib.contextmanager
def crashing(live: Live) -> Iterator[None]:
    """A replica ends again and again, and its master gives it everything anew each time."""
    stop = threading.Event()

    def crash() -> None:
        while not stop.wait(1):
            pod = live.sandbox.pods()["redis-replica-1"]
            if pod["ready"]:
                with contextlib.suppress(SandboxError):
                    live.sandbox.fault("kill-process", pod="redis-replica-1")

    thread = threading.Thread(target=crash, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        # Or its container would wait for minutes: the kubelet doubles the pause with each restart.
        live.sandbox.fault("kill-pod", pod="redis-replica-1")


@contextlib.contextmanager
def cut_off(live: Live) -> Iterator[None]:
    live.sandbox.fault("partition", members=["redis-master-2"])
    try:
        yield
    finally:
        live.sandbox.fault("heal")


@contextlib.contextmanager
def paused(live: Live) -> Iterator[None]:
    pod = "redis-master-1"
    key = _key_of(live, pod)
    live.redis(pod, "client", "pause", "600000", "write")
    try:
        with live.load("write", live.sandbox.pods()[pod]["ip"], key):
            yield
    finally:
        live.redis(pod, "client", "unpause")


@contextlib.contextmanager
def both_lost(live: Live) -> Iterator[None]:
    pair = ("redis-master-1", "redis-replica-1")
    for pod in pair:
        live.sandbox.fault("lose-pod", pod=pod)
    try:
        yield
    finally:
        for pod in pair:
            live.sandbox.fault("restore", pod=pod)


@contextlib.contextmanager
def filled(live: Live) -> Iterator[None]:
    try:
        with live.load("fill"):
            yield
    finally:
        for pod in live.pods():
            if "role:master" in live.redis(pod, "info", "replication"):
                live.redis(pod, "flushall", "async")


@contextlib.contextmanager
def missed(live: Live) -> Iterator[None]:
    with live.load("misses"):
        yield


@contextlib.contextmanager
def stormed(live: Live) -> Iterator[None]:
    host = live.sandbox.pods()["redis-master-0"]["ip"]
    with live.load("connections", host, str(MOST_CONNECTIONS)):
        yield


@contextlib.contextmanager
def unseen(live: Live) -> Iterator[None]:
    pods = live.pods()
    for pod in pods:
        live.sandbox.fault("kill-process", pod=pod, container="exporter", signal_name="STOP")
    try:
        yield
    finally:
        for pod in pods:
            live.sandbox.fault("kill-process", pod=pod, container="exporter", signal_name="CONT")


@contextlib.contextmanager
def stranger(live: Live) -> Iterator[None]:
    """Another Redis, that no pod is for, joins the cluster while nothing repairs it. The next *repair* turns it out."""
    # It knows none of the cluster's users.
    itself = "env -u REDISCLI_AUTH -u REDISCLI_USER redis-cli -p 7000"
    with _cordoned(live):
        live.shell(
            "redis-master-0",
            "redis-server --port 7000 --cluster-enabled yes --cluster-config-file /run/redis/stranger.conf"
            " --save '' --dir /run/redis --daemonize yes --cluster-announce-ip $POD_IP --protected-mode no >/dev/null;"
            f" until {itself} ping >/dev/null 2>&1; do sleep 0.1; done; redis-cli cluster meet $POD_IP 7000",
        )
        yield
    # It goes once it was turned out: one that is only down would be forgotten for another reason.
    eventually(
        lambda: "cluster_known_nodes:6" in live.redis("redis-master-0", "cluster", "info"), 180, "repair turns it out"
    )
    live.shell("redis-master-0", f"{itself} shutdown nosave 2>/dev/null; true")


@contextlib.contextmanager
def update_fails(live: Live) -> Iterator[None]:
    """An image that no registry has: the roll stops at its first pod, and the Job *rollout* says so."""
    with contextlib.suppress(SandboxError):
        live.change("images.redis=redis:7.4.999-nothing")
    try:
        yield
    finally:
        live.change()


def _key_of(live: Live, pod: str) -> str:
    """A key whose slot that pod has."""
    for number in range(1000):
        # Any other pod answers MOVED.
        with contextlib.suppress(SandboxError):
            live.redis(pod, "exists", f"probe:{number}")
            return f"probe:{number}"
    raise AssertionError(f"{pod} has no slots")


def settled(live: Live) -> None:
    """Waits until every pod is ready, every slot is served and every master has its replica."""

    def is_well() -> bool:
        pods = [pod for pod in live.sandbox.status()["pods"] if pod["labels"].get("app") == "redis"]
        if not all(pod["ready"] for pod in pods):
            return False
        try:
            info = live.redis("redis-master-0", "cluster", "info")
            masters = [pod for pod in live.pods() if "role:master" in live.redis(pod, "info", "replication")]
            online = [pod for pod in masters if "state=online" in live.redis(pod, "info", "replication")]
        except SandboxError:
            return False
        return "cluster_slots_ok:16384" in info and len(masters) == len(online) == len(pods) // 2

    eventually(is_well, 180, "the cluster is well again")


ROUNDS = (
    (
        Provocation(
            ("RedisCrashLoop", "RedisResyncRepeats"),
            "fault kill-process redis-replica-1, again and again",
            crashing,
            240,
        ),
    ),
    (
        Provocation(("RedisDown",), "fault kill-process redis-replica-0 --signal STOP", hung),
        Provocation(("RedisWritesHeldBack",), "redis-cli client pause 600000 write, in redis-master-1", paused),
    ),
    (Provocation(("RedisClusterNotOk",), "fault partition redis-master-2", cut_off),),
    (
        Provocation(
            ("RedisSlotsUncovered", "RedisManyPodsDown"), "fault lose-pod redis-master-1 and redis-replica-1", both_lost
        ),
    ),
    (
        Provocation(
            ("RedisPodNotReady", "RedisMasterWithoutReplica"),
            "fault cordon all nodes, kill-pod redis-replica-0",
            unplaced,
        ),
    ),
    (Provocation(("RedisMetricsMissing",), "fault kill-process -c exporter --signal STOP, in all pods", unseen),),
    (Provocation(("RedisUnknownNodes",), "redis-cli cluster meet, of a server that no pod is for", stranger),),
    (
        Provocation(
            ("RedisJobFailed", "RedisRollDoesNotEnd"),
            "up --set images.redis=(one that no registry has)",
            update_fails,
            240,
        ),
    ),
    (
        Provocation(("RedisVolumeNearlyFull",), "fault fill-disk redis-replica-2", full_volume),
        Provocation(("RedisConnectionStorm",), f"{MOST_CONNECTIONS:,} connections to redis-master-0", stormed),
        Provocation(
            ("RedisHitRateLow", "RedisHotShard"), "a client reads one image, and three that are not there", missed, 240
        ),
    ),
    (Provocation(("RedisMemoryHigh", "RedisEvictions"), "a client writes images without a TTL", filled, 240),),
)
"""What is provoked at the same time does not disturb each other. What lingers comes first, and the slowest last."""
PROVOCATIONS = tuple(item for together in ROUNDS for item in together)
LINGERING = ("RedisResyncRepeats",)
"""Its query looks back for an hour, divided by the hurry."""
SHORT = ("RedisVolumeNearlyFull", "RedisDown", "RedisMetricsMissing")
"""Three that take seconds: they are provoked together with every run of the tests."""


@dataclass(frozen=True)
class Seen:
    alert: str
    by: str
    fired_after_s: float
    resolved_after_s: float


def provoke(live: Live, *together: Provocation, later: list[Callable[[], Seen]] | None = None) -> list[Seen]:
    """Fails if an alert fires before, does not fire, or does not stop. Several at a time do not disturb each other.

    What lingers is waited for too, unless there is a list for it. What is called from that waits for its end.
    """
    by = {alert: item for item in together for alert in item.alerts}
    within_s = max(item.within_s for item in together)
    before = by.keys() & live.firing()
    assert not before, f"fires already: {before}"
    began, fired = time.monotonic(), dict[str, float]()

    def all_fired() -> bool:
        for alert in live.firing() & by.keys():
            fired.setdefault(alert, time.monotonic() - began)
        return fired.keys() == by.keys()

    with contextlib.ExitStack() as done:
        for item in together:
            done.enter_context(item.during(live))
        eventually(all_fired, within_s, lambda: f"of {sorted(by)} fired {sorted(fired)}; now {sorted(live.firing())}")
    ended = time.monotonic()

    def resolved(alert: str) -> Seen:
        eventually(lambda: alert not in live.firing(), _RESOLVED_WITHIN_S, f"{alert} stops")
        return Seen(alert, by[alert].by, fired[alert], time.monotonic() - ended)

    postponed = [alert for alert in by if alert in LINGERING] if later is not None else []
    if later is not None:
        later += [partial(resolved, alert) for alert in postponed]
    # The soonest first: each is timed when it is found to have stopped.
    seen = [resolved(alert) for alert in sorted(by.keys() - set(postponed), key=LINGERING.__contains__)]
    settled(live)
    return seen
