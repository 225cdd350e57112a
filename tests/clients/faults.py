"""The faults that clients are driven through: those of docs/faults.md, with the mending as a phase of its own.

Each is a function of what runs. It leaves the cluster whole, with every shard at home.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.clients.running import Running
from tests.faults import planned
from tests.faults.deployment import Deployment
from tests.faults.scenarios import exceed_memory, fullest_node
from tests.faults.stacks import another_tag, local_stack

FAILOVER_S = 12.0
"""No failover takes longer (docs/faults.md)."""


@dataclass(frozen=True)
class Fault:
    """In `quiet` faults no request may fail at all: planned changes, and what a client's retries outlast. A patient
    client is driven through those that are `outlasted`."""

    key: str
    text: str
    cause: Callable[[Running, str], None]
    quiet: bool = False
    outlasted: bool = False


def _settle(deployment: Deployment) -> None:
    deployment.wait_whole(150)
    planned.go_home(deployment)


def crash(running: Running, key: str) -> None:
    deployment = running.deployment
    with running.phase(key):
        deployment.fault("kill-process", pod=deployment.copies(0)[0])
        running.watch()
    _settle(deployment)


def memory(running: Running, key: str) -> None:
    deployment = running.deployment
    master = deployment.copies(1)[0]
    with running.phase(key):
        exceed_memory(deployment, master)
        running.watch()
    _settle(deployment)


def _away(
    shard: int, fault: Callable[[Deployment, str], object], mend: Callable[[Deployment, str], object]
) -> Callable[[Running, str], None]:
    """A shard's master is away until after the failover; that it comes back is a phase of its own."""

    def cause(running: Running, key: str) -> None:
        deployment = running.deployment
        master, replicas = deployment.copies(shard)

        def is_over() -> bool:
            views = [deployment.view(replica) for replica in replicas]
            return any(view is not None and view.is_master for view in views)

        with running.phase(key):
            fault(deployment, master)
            deployment.until(is_over, FAILOVER_S)
            running.watch()
        with running.phase(f"{key}-back"):
            mend(deployment, master)
            _settle(deployment)
            time.sleep(2)

    return cause


lost = _away(
    0,
    lambda deployment, master: deployment.fault("lose-pod", pod=master),
    lambda deployment, master: deployment.fault("restore", pod=master),
)
frozen = _away(
    1,
    lambda deployment, master: deployment.fault("kill-process", pod=master, signal_name="STOP"),
    lambda deployment, master: deployment.fault("kill-process", pod=master, signal_name="CONT"),
)
cut_off = _away(
    0,  # first in CLUSTER SLOTS: a client that asks nodes in this order asks the master that is cut off
    lambda deployment, master: deployment.fault("partition", members=[master]),
    lambda deployment, _: deployment.fault("heal"),
)


def both_copies(running: Running, key: str) -> None:
    deployment = running.deployment
    master, replicas = deployment.copies(2)
    with running.phase(key):
        for pod in (master, *replicas):
            deployment.fault("lose-volume", pod=pod)
        _settle(deployment)
        running.watch()


def restart_all(running: Running, key: str) -> None:
    with running.phase(key):
        running.deployment.fault("restart-all", ips="new")
        _settle(running.deployment)
        running.watch()


def slept(running: Running, key: str) -> None:
    deployment = running.deployment
    with running.asleep():
        before = {pod["ip"] for pod in deployment.pods().values()}
        deployment.fault("restart-all", ips="new")
        deployment.until(lambda: not before & {pod["ip"] for pod in deployment.pods().values()}, 30)
        _settle(deployment)
    with running.phase(key):
        time.sleep(5)


def slow_link(running: Running, key: str) -> None:
    deployment = running.deployment
    master = deployment.copies(0)[0]
    with running.phase(key):
        deployment.fault("slow-link", pod=master, rate="10mbit")
        running.watch()
        deployment.fault("slow-link", pod=master)
    _settle(deployment)


def pod_deleted(running: Running, key: str) -> None:
    deployment = running.deployment
    with running.phase(key):
        deployment.fault("kill-pod", pod=deployment.copies(0)[0])
        running.watch()
        _settle(deployment)


def drained(running: Running, key: str) -> None:
    deployment = running.deployment
    node = fullest_node(deployment)
    with running.phase(key):
        deployment.fault("drain", node=node, timeout_s=200)
        deployment.fault("uncordon", node=node)
        _settle(deployment)
        time.sleep(2)


def roll(running: Running, key: str) -> None:
    deployment = running.deployment
    evaluation = local_stack(another_tag())
    with running.phase(key):
        deployment.sandbox.apply(evaluation.resources)
        _settle(deployment)
        time.sleep(2)


def other_pool(running: Running, key: str) -> None:
    """The last one: the cluster has another pool's pods afterwards."""
    deployment = running.deployment
    evaluation = local_stack(*OTHER_POOL)
    with running.phase(key):
        deployment.sandbox.apply(evaluation.resources)
        deployment.namespace = str(evaluation.outputs["plan"]["pool"])
        deployment.wait_whole(150)
        running.watch()


CALM = "calm"
OTHER_POOL = (("podMemory", "128MB"), ("totalMemory", "384MB"))

FAULTS = (
    Fault("crash", "master's process killed, container restarted", crash, quiet=True, outlasted=True),
    Fault("memory", "master over its memory limit, killed", memory),
    Fault("lost", "master's machine lost silently", lost, outlasted=True),
    Fault("frozen", "master's process stopped (SIGSTOP)", frozen, outlasted=True),
    Fault("cut", "master cut off from all pods, not from clients", cut_off, outlasted=True),
    Fault("both", "both copies of a shard lost with their volumes", both_copies),
    Fault("restart-all", "all pods restart at once with new IPs", restart_all, outlasted=True),
    Fault("slept", "the same while the clients sleep; from when they wake", slept, quiet=True),
    Fault("slow", "master's link at 10 Mbit/s for 10 s", slow_link),
    Fault("pod", "planned: master's pod deleted", pod_deleted, quiet=True),
    Fault("drain", "planned: node drained", drained, quiet=True),
    Fault("roll", "planned: rolling update of all pods", roll, quiet=True),
    Fault("pool", "planned: podMemory changed", other_pool, quiet=True),
)
BACK = {
    "lost-back": "the lost machine comes back, its pod becomes master again",
    "frozen-back": "the stopped process goes on, or is replaced; master again",
    "cut-back": "the cut is healed, master again",
}
TEXTS = {CALM: "nothing", **{fault.key: fault.text for fault in FAULTS}, **BACK}
