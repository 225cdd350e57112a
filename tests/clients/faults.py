"""The faults that clients are driven through: each row of docs/faults.md and two more, with the mending as a phase of
its own.

Each is a function of what runs. It leaves the cluster whole, with every shard at home.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from sandbox.errors import SandboxError
from tests.clients.running import Running
from tests.faults import planned, resync
from tests.faults.deployment import Deployment
from tests.faults.rows import GENEROUS, PROMOTION_S, ROWS, Stack
from tests.faults.scenarios import exceed_memory, fullest_node, fullest_zone, serves
from tests.faults.stacks import another_tag, local_stack

FAILOVER_S = GENEROUS * PROMOTION_S
"""How long a fault waits for its failover, as tests/faults does. What a client feels is judged by its own bound."""


@dataclass(frozen=True)
class Fault:
    """`key` and `stack` are those of the row in docs/faults.md. In `quiet` faults no request may fail at all: planned
    changes, what masters outlive, and what a client's retries outlast. A patient client is driven through those that
    are `outlasted`."""

    key: str
    text: str
    cause: Callable[[Running, str], None]
    quiet: bool = False
    outlasted: bool = False
    stack: Stack = Stack.LOCAL


def _settle(deployment: Deployment) -> None:
    deployment.wait_whole(150)
    planned.go_home(deployment)


def _within(deployment: Deployment, is_over: Callable[[], bool]) -> None:
    """Raises SandboxError where no failover comes: what fails then would all be from before it."""
    if deployment.until(is_over, FAILOVER_S) is None:
        raise SandboxError(f"no replica became master within {FAILOVER_S:g} s\n{deployment.explain()}")


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
            _within(deployment, is_over)
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


def zone(running: Running, key: str) -> None:
    deployment = running.deployment
    name, _ = fullest_zone(deployment)
    with running.phase(key):
        deployment.fault("lose-zone", zone=name)
        _within(deployment, lambda: serves(deployment))
        running.watch()
    with running.phase(f"{key}-back"):
        deployment.fault("restore-zone", zone=name)
        _settle(deployment)
        time.sleep(2)


def both_copies(running: Running, key: str) -> None:
    deployment = running.deployment
    master, replicas = deployment.copies(2)
    with running.phase(key):
        for pod in (master, *replicas):
            deployment.fault("lose-volume", pod=pod)
        _settle(deployment)
        running.watch()


def _restart_all(ips: str) -> Callable[[Running, str], None]:
    def cause(running: Running, key: str) -> None:
        with running.phase(key):
            running.deployment.fault("restart-all", ips=ips)
            _settle(running.deployment)
            running.watch()

    return cause


restart_new, restart_rotated = _restart_all("new"), _restart_all("rotated")


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


def full_resync(running: Running, key: str) -> None:
    deployment = running.deployment
    master, (replica, *_) = deployment.copies(2)
    with resync.filled(deployment, 2, resync.RESYNC_DATA_MB):
        with running.phase(key), deployment.load(resync.RESYNC_WRITES) as load:
            resync.resync(deployment, master, replica)
            load.end()
        _settle(deployment)


def resync_memory(running: Running, key: str) -> None:
    deployment = running.deployment
    master, (replica, *_) = deployment.copies(1)
    with resync.filled(deployment, 1, resync.SMALL_MB):
        with running.phase(key):
            with resync.sending(deployment, master, replica):
                deployment.fault("out-of-memory", pod=master)
            running.watch()
        _settle(deployment)


def repair_killed(running: Running, key: str) -> None:
    with running.phase(key):
        planned.repair_killed(running.deployment, planned.REPAIR_KILLED_S)
    _settle(running.deployment)


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

_ROWS = {row.key: row for row in ROWS}


def _of_row(
    key: str, cause: Callable[[Running, str], None], *, quiet: bool = False, outlasted: bool = False, text: str = ""
) -> Fault:
    row = _ROWS[key]
    return Fault(key, text or row.fault, cause, quiet, outlasted, row.stack)


FAULTS = (
    _of_row("crash", crash, quiet=True, outlasted=True),
    _of_row("memory", memory),
    _of_row("lost", lost, outlasted=True, text="master's machine lost silently"),
    Fault("frozen", "master's process stopped (SIGSTOP)", frozen, outlasted=True),
    _of_row("split", cut_off, outlasted=True),
    _of_row("both", both_copies),
    _of_row("zone", zone, outlasted=True),
    _of_row("restart-new", restart_new, outlasted=True),
    _of_row("restart-rotated", restart_rotated, outlasted=True),
    Fault("slept", "all pods restart while the clients sleep; from when they wake", slept, quiet=True),
    _of_row("slow", slow_link, text="master's link at 10 Mbit/s for 10 s"),
    _of_row("resync", full_resync, quiet=True),
    _of_row("resync-memory", resync_memory, quiet=True),
    _of_row("job", repair_killed, quiet=True),
    _of_row("kill-pod", pod_deleted, quiet=True),
    _of_row("drain", drained, quiet=True),
    _of_row("rolling", roll, quiet=True),
    _of_row("resize", other_pool, quiet=True),
)
BACK = {
    "lost-back": "the lost machine comes back, its pod becomes master again",
    "frozen-back": "the stopped process goes on, or is replaced; master again",
    "split-back": "the cut is healed, master again",
    "zone-back": "the zone comes back, its pods become masters again",
}


def _texts() -> dict[str, str]:
    texts = {CALM: "nothing"}
    for fault in FAULTS:
        texts[fault.key] = fault.text
        texts |= {key: text for key, text in BACK.items() if key == f"{fault.key}-back"}
    return texts


TEXTS = _texts()
"""Phase -> what happens in it, in the order of the page."""
