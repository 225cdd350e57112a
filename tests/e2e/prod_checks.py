"""What must hold of stack prod after every edit, and of the order of its steps."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import Future

from tests.e2e.harness.engine import Run
from tests.e2e.stand_in.prod import ProdStack

_PLACED_WITHIN_S = 30.0


def assert_pairs_are_apart(prod: ProdStack, pool: str, masters: int, replicas: int = 1) -> None:
    """Every pod is placed, and no copies of a shard share a node or a zone."""
    places = prod.places(pool)
    assert len(places) == (1 + replicas) * masters
    assert [pod for pod, (node, _) in places.items() if not node] == []
    roles = ("master", "replica", *(f"replica-{number}" for number in range(2, replicas + 1)))
    for shard in range(masters):
        copies = [places[f"redis-{role}-{shard}"] for role in roles[: 1 + replicas]]
        for what, of_copies in (("node", [node for node, _ in copies]), ("zone", [zone for _, zone in copies])):
            assert len(set(of_copies)) == len(copies), f"copies of shard {shard} share a {what}: {of_copies}"


def masters_per_zone(prod: ProdStack, pool: str) -> list[int]:
    zones = Counter(zone for pod, (_, zone) in prod.places(pool).items() if pod.startswith("redis-master"))
    return sorted(zones.values(), reverse=True)


def assert_nothing_was_deleted_under_pods(prod: ProdStack) -> None:
    """AWS ends the nodes of a group that is deleted, whatever runs there."""
    assert [entry for entry in prod.account.log() if entry.verb == "delete" and entry.pods] == []


def assert_goes_last(run: Run, old: str, formed: str) -> None:
    """No delete of what is named `old` began before the new pool was formed and clients were pointed to it."""
    after = [run.of("create", f"Job::{formed}"), run.of("update", "Service::images-client")]
    gone = [step for step in run.steps if step.operation.startswith("delete") and old in step.name]
    assert len(gone) > 10
    for step in after:
        assert step.ended is not None
        assert min(step.began for step in gone) > step.ended, f"deletes began before {step} had ended"


def eventually_placed(prod: ProdStack, pool: str, update: Future[Run]) -> None:
    """Waits until the update has ended; fails as soon as a pod finds no place for too long."""
    homeless: dict[str, float] = {}
    while not update.done():
        waiting = {pod for pod, (node, _) in prod.places(pool).items() if not node}
        homeless = {pod: homeless.get(pod, time.monotonic()) for pod in waiting}
        stuck = [pod for pod, since in homeless.items() if time.monotonic() - since > _PLACED_WITHIN_S]
        assert stuck == [], f"no node takes {stuck}"
        time.sleep(1)
