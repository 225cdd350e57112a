"""Stack `prod`: nodes that vanish at seeded moments of an edit. The edit, or the next `up`, ends with every pod placed.

`E2E_SEED` chooses other moments and other nodes.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.harness import given
from tests.e2e.harness.engine import Run
from tests.e2e.harness.report import say
from tests.e2e.prod_checks import assert_nothing_was_deleted_under_pods, assert_pairs_are_apart
from tests.e2e.stand_in.nodes import SYSTEM_NODE
from tests.e2e.stand_in.prod import ProdStack, prod_stack

pytestmark = [
    pytest.mark.e2e_long,
    pytest.mark.skipif(not given.is_own(), reason="stack prod needs nodes without a kubelet; not this KUBECONFIG"),
]
_SEED = int(os.environ.get("E2E_SEED", "1"))


@dataclass(frozen=True)
class Edit:
    name: str
    settings: dict[str, Any]
    masters: int
    takes_s: float
    """About what it takes, within which the nodes are lost."""


EDITS = (
    Edit("architecture", {"nodes": {"architecture": "x86_64"}}, masters=16, takes_s=90),
    Edit("more-memory", {"totalMemory": "1280GB"}, masters=20, takes_s=30),
    Edit("another-pool", {"nodes": None, "podMemory": "128GB", "totalMemory": None}, masters=8, takes_s=40),
)
"""Each begins where the one before has ended."""


@pytest.fixture(scope="module")
def prod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProdStack]:
    with (
        given.ground(with_node=False) as ground,
        prod_stack(ground, tmp_path_factory.mktemp("prod")) as stack,
    ):
        stack.engine.up().ok()
        yield stack


def node_of_redis(prod: ProdStack, seeded: random.Random) -> str | None:
    """A node that carries Redis pods."""
    nodes = sorted({node for pool in prod.pools() for node, _ in prod.places(pool).values() if node})
    return seeded.choice(nodes) if nodes else None


def node_of_a_job(prod: ProdStack, seeded: random.Random) -> str | None:
    """The node of a Job that has not ended."""
    pods = prod.kube.items("/api/v1/pods?labelSelector=batch.kubernetes.io%2Fjob-name")
    return SYSTEM_NODE if any(pod["status"].get("phase") == "Running" for pod in pods) else None


@pytest.mark.parametrize("edit", EDITS, ids=[edit.name for edit in EDITS])
def test_an_edit_amid_which_nodes_vanish_ends_with_every_pod_placed(prod: ProdStack, edit: Edit) -> None:
    seeded = random.Random(f"{_SEED} {edit.name}")
    prod.engine.set(**edit.settings)
    update = prod.engine.start_up()
    met = sum(
        _lose(prod, update, choose, seeded, seeded.uniform(1, edit.takes_s / 2))
        for choose in seeded.sample((node_of_redis, node_of_a_job), 2)
    )
    assert met > 0, "the update had ended before a node was lost: choose another seed"
    if not update.result().succeeded:
        say("the update failed; up again")
        prod.engine.up().ok()

    (pool,) = prod.pools()
    assert_pairs_are_apart(prod, pool, edit.masters)
    assert_nothing_was_deleted_under_pods(prod)
    assert prod.engine.preview().ok().changes == []


def _lose(
    prod: ProdStack,
    update: Future[Run],
    choose: Callable[[ProdStack, random.Random], str | None],
    seeded: random.Random,
    after_s: float,
) -> bool:
    """Loses a node at a time, or as soon after it as there is one to lose. False when the update had ended."""
    began = time.monotonic()
    while not update.done():
        if time.monotonic() - began > after_s and (node := choose(prod, seeded)) is not None:
            say(f"{node} vanishes after {time.monotonic() - began:.0f} s: {choose.__name__}")
            prod.lose(node)
            return True
        time.sleep(0.2)
    return False
