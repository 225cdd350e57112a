"""Planned changes: what `pulumi up` does to a living cluster, and Jobs that are killed on the way."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from preview.evaluate import Evaluation
from preview.resources import Resource
from sandbox.control.client import Sandbox
from sandbox.errors import ApplyError, NotFoundError, SandboxError
from tests.faults.deployment import SHARDS, SLOTS, Deployment
from tests.faults.scenarios import PATIENT, Limits, Outcome, rolling_update
from tests.faults.stacks import another_tag, attached, local_stack

Shard = tuple[str, tuple[int, int], frozenset[str]]
"""(master's pod, its first and last slot, pods that replicate it)."""

_JOB_BEGINS_WITHIN_S = 120.0
_APPLIED_WITHIN_S = 400.0
_REPAIRS = 3


def end_state(deployment: Deployment) -> list[Shard]:
    """Who serves what, and who follows whom, in the order of slots."""
    views = deployment.views()
    masters = {view.myself[0]: name for name, view in views.items() if view.is_master and view.slots}
    return sorted(
        (
            (
                pod,
                (min(views[pod].slots), max(views[pod].slots)),
                frozenset(name for name, view in views.items() if view.myself[3] == node_id),
            )
            for node_id, pod in masters.items()
        ),
        key=lambda shard: shard[1],
    )


def is_balanced(deployment: Deployment) -> bool:
    """Every shard in its pods and of even size, whichever slots they are: a move leaves what it can."""
    views, state, wanted = deployment.views(), end_state(deployment), wanted_state()
    pairs = sorted((master, replicas) for master, _, replicas in state)
    counts = [len(views[master].slots) for master, _, _ in state if master in views]
    return pairs == sorted((master, replicas) for master, _, replicas in wanted) and max(counts) - min(counts) <= 1


def wanted_state() -> list[Shard]:
    """Shard i: redis-master-i with the i-th part of an even split, followed by redis-replica-i."""
    bounds = [round(shard * SLOTS / SHARDS) for shard in range(SHARDS + 1)]
    return [
        (f"redis-master-{n}", (bounds[n], bounds[n + 1] - 1), frozenset({f"redis-replica-{n}"})) for n in range(SHARDS)
    ]


def new_template(deployment: Deployment, limits: Limits = PATIENT) -> Outcome:
    """Another tag of the same server in every pod's template."""
    evaluation = local_stack(another_tag())
    return rolling_update(deployment, lambda: deployment.sandbox.apply(evaluation.resources), limits)


def plain_new_template(deployment: Deployment, limits: Limits = PATIENT) -> Outcome:
    """The same in the plain deployment."""

    def changed(resource: Resource) -> Resource:
        if resource.kind != "StatefulSet":
            return resource
        spec: dict[str, Any] = resource.inputs["spec"]
        container = spec["template"]["spec"]["containers"][0] | {"image": "redis:7.2-alpine"}
        template = spec["template"] | {"spec": {"containers": [container]}}
        return replace(resource, inputs={**resource.inputs, "spec": spec | {"template": template}})

    resources = [changed(resource) for resource in deployment.resources]
    return rolling_update(deployment, lambda: deployment.sandbox.apply(resources), limits)


def other_pod_size(deployment: Deployment, limits: Limits = PATIENT) -> Outcome:
    """podMemory in one line: a second pool beside the first, which takes over the slots with their keys."""
    evaluation = local_stack(("podMemory", "128MB"), ("totalMemory", "384MB"))
    after = {"namespace": str(evaluation.outputs["plan"]["pool"])}
    deployment.services += list(evaluation.outputs["discoveryAddresses"])

    def change() -> None:
        deployment.sandbox.apply(evaluation.resources)
        deployment.namespace = after["namespace"]

    return rolling_update(deployment, change, limits)


def kill_jobs_while(
    sandbox: Sandbox, work: Callable[[], object], phase: str, moments_s: Sequence[float]
) -> tuple[int, BaseException | None]:
    """Does `work` in a thread and kills the process of the n-th pod of the phase's Job, `moments_s[n]` after it began
    to run: (pods killed, what `work` raised at last). A killed Job has failed, so `work` is done anew, as a person
    would who is told so."""
    raised: list[BaseException] = []

    def run() -> None:
        for _ in range(len(moments_s) + 1):
            raised.clear()
            try:
                work()
            except ApplyError as error:
                raised.append(error)
            except BaseException as error:
                raised.append(error)
                return
            else:
                return

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    seen: set[str] = set()
    killed = 0
    deadline = time.monotonic() + _APPLIED_WITHIN_S
    while thread.is_alive() and time.monotonic() < deadline:
        pods = [
            name
            for name, pod in sandbox.pods().items()
            if pod["owner"]["kind"] == "Job" and pod["labels"].get("phase") == phase and pod["state"] == "Running"
        ]
        for pod in pods:
            if pod not in seen and len(seen) < len(moments_s):
                seen.add(pod)
                time.sleep(moments_s[len(seen) - 1])
                try:
                    sandbox.fault("kill-process", pod=pod)
                    killed += 1
                except (NotFoundError, SandboxError):
                    # It was done before its moment came.
                    continue
        time.sleep(0.05)
    thread.join(1)
    if thread.is_alive():
        raise SandboxError(f"the update did not end within {_APPLIED_WITHIN_S:.0f} s")
    return killed, raised[0] if raised else None


def form_killed(sandbox: Sandbox, evaluation: Evaluation, moments_s: Sequence[float]) -> tuple[int, Deployment]:
    """Brings up a stack while its form Job is killed again and again, and the update done anew each time."""
    killed, error = kill_jobs_while(sandbox, lambda: sandbox.apply(evaluation.resources), "form", moments_s)
    if error is not None:
        raise error
    return killed, attached(sandbox, evaluation)


def release_killed(sandbox: Sandbox, moments_s: Sequence[float]) -> tuple[int, Deployment, Outcome]:
    """Four masters become three under load, while the release Job that takes the slots off the fourth is killed again
    and again: (pods killed, the cluster, what the load saw)."""
    four, three = local_stack(("totalMemory", "1024MB")), local_stack()
    sandbox.apply(four.resources)
    deployment = attached(sandbox, four)
    killed = 0
    with deployment.load() as running:
        running.mark()
        killed, error = kill_jobs_while(sandbox, lambda: sandbox.apply(three.resources), "release", moments_s)
        if error is not None:
            raise error
        after = attached(sandbox, three)
        measured = running.end()
    return killed, after, Outcome(f"killed {killed} times", measured, 0.0)


def repair_killed(deployment: Deployment, moments_s: Sequence[float], *, shard: int = 1) -> int:
    """A replica loses its volume; the repair that puts it back is killed at each of the moments, then runs in peace."""
    replica = f"redis-replica-{shard}"
    deployment.fault("lose-volume", pod=replica)
    deployment.until(lambda: deployment.view(replica) is not None, 60)
    killed = 0
    for moment in moments_s:
        once, error = kill_jobs_while(
            deployment.sandbox,
            lambda: deployment.sandbox.trigger("redis-repair", wait=True),
            "repair",
            [moment],
        )
        if error is not None:
            raise error
        killed += once
    deployment.sandbox.trigger("redis-repair", wait=True)
    deployment.wait_whole()
    return killed


def bring_home(deployment: Deployment, within_s: float = 150.0) -> bool:
    """Whether the repair CronJob has put every shard into its wanted place in time."""
    return deployment.until(lambda: end_state(deployment) == wanted_state(), within_s) is not None


def go_home(deployment: Deployment) -> None:
    """Runs the repair now instead of at the next full minute, in the midst of what is to be measured. Raises
    SandboxError when that does not put every shard into its wanted place."""
    for _ in range(_REPAIRS):
        if end_state(deployment) == wanted_state():
            return
        deployment.sandbox.trigger("redis-repair", namespace=deployment.namespace, wait=True)
    if not bring_home(deployment):
        raise SandboxError(f"repair leaves another topology:\n{deployment.explain()}")


def moments(seed: int, count: int, longest_s: float) -> list[float]:
    """Seeded moments within a Job's usual run."""
    dice = random.Random(seed)
    return [dice.uniform(0, longest_s) for _ in range(count)]


REPAIR_KILLED_S = moments(4, 3, 2.0)
"""Into three runs of repair."""
