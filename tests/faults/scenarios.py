"""Each fault of the table: caused under load, watched, and mended as an operator of machines would, who knows no Redis.

A scenario works on any deployment, so that ours and the plain one are held against the same fault. It ends with every
machine back; whether the cluster then is whole again is part of what it reports.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from sandbox.errors import SandboxError
from tests.faults.deployment import SHARDS, Deployment, Load, RunningLoad, names_of
from tests.faults.measure import Measurement

_SETTLE_S = 2.0
_STEADY_S = 3.0
_WHOLE_WITHIN_S = 150.0


@dataclass(frozen=True)
class Limits:
    """How long a scenario waits for what may never come."""

    service_s: float = 45.0
    whole_s: float = _WHOLE_WITHIN_S


PATIENT = Limits()


@dataclass(frozen=True)
class Outcome:
    """What became of a deployment in a fault. `whole_after_s` counts from when every machine was back; None = never."""

    done: str
    load: Measurement
    whole_after_s: float | None
    hit_shards: tuple[int, ...] = tuple(range(SHARDS))
    """Shards that lost something; the others should notice nothing."""
    seconds: float | None = None
    """What the fault's own clock says, where it is not the gap between writes."""

    @property
    def bystanders_gap_s(self) -> float:
        """The longest time without a write in a shard that lost nothing."""
        gaps = [shard.write_gap.seconds for n, shard in enumerate(self.load.shards) if n not in self.hit_shards]
        return max(gaps, default=0.0)

    @property
    def bystanders_serve(self) -> bool:
        return all(shard.write_gap.ended for n, shard in enumerate(self.load.shards) if n not in self.hit_shards)


def serves(deployment: Deployment) -> bool:
    """Whether every slot is served, by the nodes' own word."""
    views = [view for view in deployment.views().values() if view.info.get("cluster_state") == "ok"]
    owned: set[int] = set()
    for view in views:
        if view.is_master:
            owned |= view.slots
    return len(owned) == 16384


def under_load(
    deployment: Deployment,
    cause: Callable[[RunningLoad], str],
    mend: Callable[[], object] | None = None,
    *,
    limits: Limits,
    load: Load | None = None,
    hit_shards: tuple[int, ...] = tuple(range(SHARDS)),
    until: Callable[[], bool] | None = None,
    moment: random.Random | None = None,
) -> Outcome:
    """Load, fault, until service is back (or the limit), a few seconds of steady load, then the machines come back."""
    with deployment.load(load) as running:
        time.sleep(_SETTLE_S + (moment.uniform(0, 1.5) if moment else 0.0))
        running.mark()
        done = cause(running)
        deployment.until(until or (lambda: serves(deployment)), limits.service_s)
        time.sleep(_STEADY_S)
        if mend is not None:
            mend()
            deployment.until(deployment.is_whole, limits.whole_s)
        measured = running.end()
    whole = deployment.until(
        lambda: deployment.is_whole() and all(pod["ready"] for pod in deployment.pods().values()), limits.whole_s
    )
    return Outcome(done, measured, whole, hit_shards)


def crash(
    deployment: Deployment, limits: Limits = PATIENT, *, shard: int = 0, moment: random.Random | None = None
) -> Outcome:
    """A master's process is killed; the kubelet restarts it in place at once."""
    return under_load(
        deployment,
        lambda running: deployment.fault("kill-process", pod=deployment.copies(shard)[0]),
        limits=limits,
        hit_shards=(shard,),
        moment=moment,
    )


_EAT = """
redis-cli CONFIG SET maxmemory 0 maxmemory-clients 0 proto-max-bulk-len 1gb >/dev/null
{
  [ -z "${REDISCLI_AUTH-}" ] || printf 'AUTH %s %s\\r\\n' "$REDISCLI_USER" "$REDISCLI_AUTH"
  printf '*2\\r\\n$3\\r\\nGET\\r\\n$500000000\\r\\n'
  head -c 490000000 /dev/zero
  sleep 5
} | nc 127.0.0.1 6379
"""
"""A request that never ends fills a query buffer, past the limits that redis.conf sets against just that."""


def memory_limit(deployment: Deployment, limits: Limits = PATIENT, *, shard: int = 1) -> Outcome:
    """A master takes more memory than its pod may have: the kernel kills the container, which restarts."""

    def cause(running: RunningLoad) -> str:
        master, _ = deployment.copies(shard)
        running.mark()
        return exceed_memory(deployment, master)

    return under_load(deployment, cause, limits=limits, hit_shards=(shard,))


def exceed_memory(deployment: Deployment, pod: str) -> str:
    """Fills a pod's memory until it is killed. Raises SandboxError when it is not."""
    before = deployment.pods()[pod]["restarts"]
    threading.Thread(target=_try_exec, args=(deployment, pod, ["sh", "-c", _EAT])).start()
    if deployment.until(lambda: bool(deployment.pods()[pod]["restarts"] > before), 20) is None:
        raise SandboxError(f"{pod} was not killed for its memory")
    return f"{pod} was killed for its memory: {deployment.pods()[pod]['lastTermination']}"


def _try_exec(deployment: Deployment, pod: str, command: list[str]) -> None:
    """The command ends with the container it is to end."""
    with contextlib.suppress(SandboxError, TimeoutError):
        deployment.sandbox.exec(pod, command, namespace=deployment.namespace, timeout_s=20)


def master_lost(
    deployment: Deployment, limits: Limits = PATIENT, *, shard: int = 0, moment: random.Random | None = None
) -> Outcome:
    """The machine under a master vanishes and does not come back until its shard is served (or the limit is over)."""
    lost: list[str] = []

    def cause(running: RunningLoad) -> str:
        lost.append(deployment.copies(shard)[0])
        running.mark()
        return deployment.fault("lose-pod", pod=lost[0])

    return under_load(
        deployment,
        cause,
        lambda: deployment.fault("restore", pod=lost[0]),
        limits=limits,
        hit_shards=(shard,),
        moment=moment,
    )


def both_copies_lost(deployment: Deployment, limits: Limits = PATIENT, *, shard: int = 2) -> Outcome:
    """Master and replica of a shard go with their volumes; their pods come back on new machines with nothing."""

    def cause(running: RunningLoad) -> str:
        master, replicas = deployment.copies(shard)
        running.mark()
        with ThreadPoolExecutor(4) as pool:
            said = pool.map(lambda pod: deployment.fault("lose-volume", pod=pod), (master, *replicas))
        return "; ".join(said)

    return under_load(deployment, cause, limits=limits, hit_shards=(shard,))


def restart_all(deployment: Deployment, limits: Limits = PATIENT, *, ips: str = "new") -> Outcome:
    """Every pod dies at once and comes back with another address (`new`, or `rotated` among the pods)."""
    # Nodes that know nobody take writes for a while, until they notice that they are alone.
    return under_load(
        deployment,
        lambda running: deployment.fault("restart-all", ips=ips),
        limits=limits,
        until=deployment.is_whole,
    )


def zone_lost(deployment: Deployment, limits: Limits = PATIENT) -> Outcome:
    """The zone that holds the most masters vanishes; it comes back once every slot is served."""
    zone, hit_shards = fullest_zone(deployment)
    return under_load(
        deployment,
        lambda running: deployment.fault("lose-zone", zone=zone),
        lambda: deployment.fault("restore-zone", zone=zone),
        limits=limits,
        hit_shards=hit_shards,
    )


def fullest_zone(deployment: Deployment) -> tuple[str, tuple[int, ...]]:
    """The zone that holds the most masters, and whose shards' they are."""
    pods = deployment.pods()
    zones = [str(pods[deployment.copies(shard)[0]]["zone"]) for shard in range(SHARDS)]
    zone = max(sorted(set(zones)), key=zones.count)
    return zone, tuple(n for n, found in enumerate(zones) if found == zone)


def partition(deployment: Deployment, limits: Limits = PATIENT, *, shard: int = 1) -> Outcome:
    """A master is cut off from all other pods, but not from its clients, until its replica serves (or the limit)."""
    middle = (2 * shard + 1) * 16384 // (2 * SHARDS)
    cut: list[str] = []

    def cause(running: RunningLoad) -> str:
        cut.append(deployment.copies(shard)[0])
        running.mark()
        return deployment.fault("partition", members=cut)

    def replaced() -> bool:
        views = deployment.views()
        return any(middle in view.slots and view.is_master for name, view in views.items() if name not in cut)

    return under_load(
        deployment,
        cause,
        lambda: deployment.fault("heal"),
        limits=limits,
        hit_shards=(shard,),
        until=replaced,
    )


def slow_link(deployment: Deployment, limits: Limits = PATIENT, *, shard: int = 0, rate: str = "10mbit") -> Outcome:
    """A master's link carries half of what its clients ask for, for ten seconds."""
    master, _ = deployment.copies(shard)

    def cause(running: RunningLoad) -> str:
        done = deployment.fault("slow-link", pod=master, rate=rate)
        time.sleep(10)
        return done

    return under_load(
        deployment, cause, lambda: deployment.fault("slow-link", pod=master), limits=limits, hit_shards=(shard,)
    )


def kill_pod(
    deployment: Deployment, limits: Limits = PATIENT, *, shard: int = 0, moment: random.Random | None = None
) -> Outcome:
    """A master's pod is deleted as `kubectl delete pod` does, with its grace period."""
    before: dict[str, str] = {}

    def cause(running: RunningLoad) -> str:
        master, _ = deployment.copies(shard)
        before[master] = deployment.pods()[master]["ip"]
        running.mark()
        return deployment.fault("kill-pod", pod=master)

    def back() -> bool:
        pods = deployment.pods()
        return serves(deployment) and all(
            name in pods and pods[name]["ready"] and pods[name]["ip"] not in (ip, None) for name, ip in before.items()
        )

    return under_load(deployment, cause, limits=limits, hit_shards=(shard,), until=back, moment=moment)


def fullest_node(deployment: Deployment) -> str:
    """The node with the most pods."""
    nodes = [pod["node"] for pod in deployment.pods().values()]
    return str(max(sorted(set(nodes)), key=nodes.count))


def drain(deployment: Deployment, limits: Limits = PATIENT) -> Outcome:
    """The node with the most pods is drained, as for an upgrade of it, and takes pods again."""
    node = fullest_node(deployment)
    return under_load(
        deployment,
        lambda running: deployment.fault("drain", node=node, timeout_s=200),
        lambda: deployment.fault("uncordon", node=node),
        limits=limits,
    )


def rolling_update(deployment: Deployment, change: Callable[[], object], limits: Limits = PATIENT) -> Outcome:
    """`change` applies a new pod template; every pod is replaced, one after the other."""
    before = {name: pod["ip"] for name, pod in deployment.pods().items()}

    def cause(running: RunningLoad) -> str:
        change()
        return f"replaced {names_of(sorted(before))}"

    def replaced() -> bool:
        now = deployment.pods()
        return len(now) == len(before) and all(pod["ip"] != before[name] for name, pod in now.items())

    return under_load(deployment, cause, limits=limits, until=replaced)
