"""docs/reference/redis.md, "Silence": how long each program waits for a peer that says nothing, row by row."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from components.advice.figures import derive_figures
from components.advice.resilience import MEASURED_PROMOTIONS
from components.manifests.topology import deadline_seconds
from reconciler import connection
from reconciler.act import executor, failover, move_with_keys
from reconciler.decide import failed_owners
from reconciler.observe import node
from reconciler.rollout import api
from tests.clients.drivers import ALL
from tests.plan.stacks import option_1

ROOT = Path(__file__).parents[2]
SECTION = ROOT.joinpath("docs/reference/redis.md").read_text().partition("## Silence")[2].partition("\n## ")[0]
PLAN = derive_figures(option_1())
TUNING = PLAN.tuning
NODE_TIMEOUT_S = TUNING.node_timeout_ms / 1000
PROMOTED_S = dict(MEASURED_PROMOTIONS)[NODE_TIMEOUT_S]
TIMES = {3: "three", 6: "six"}
PATIENT = [client.patient() for client in ALL]


def of_script(name: str, variable: str) -> float:
    (value,) = re.findall(rf"^{variable}=(\d+)$", ROOT.joinpath("components/scripts", name).read_text(), re.MULTILINE)
    return float(value)


def the_deadline() -> str:
    return f"{deadline_seconds(PLAN):,} s (the Job's deadline)"


HANDOVER_S = of_script("stop.sh", "HANDOVER_CENTISECONDS") / 100
ROWS = {
    ("the other nodes", "any word on the cluster bus"): (f"{NODE_TIMEOUT_S:g} s (the node timeout)", f"{PROMOTED_S} s"),
    ("liveness probe", "its own Redis"): (
        f"{TUNING.alive_timeout_seconds} s, {TIMES[TUNING.liveness.failure_threshold]} times in a row",
    ),
    ("readiness probe", "its own Redis"): (
        f"{of_script('fence.sh', 'ANSWER_SECONDS'):g} s, {TIMES[TUNING.readiness.failure_threshold]} times in a row",
    ),
    ("*stop.sh*", "its own Redis"): (f"{of_script('stop.sh', 'ANSWER_SECONDS'):g} s",),
    ("*stop.sh*", "a replica that is to take over"): (
        f"{of_script('stop.sh', 'ANSWER_SECONDS'):g} s for an answer, {HANDOVER_S:g} s for the hand-over",
        f"for {TUNING.stop_deadline_seconds} s",
    ),
    ("*start.sh*", "DNS"): (f"{of_script('start.sh', 'RESOLVE_SECONDS'):g} s",),
    ("*start.sh*", "the pod's replica"): (
        f"{of_script('start.sh', 'ANSWER_SECONDS'):g} s for an answer, {TUNING.start_takeover_seconds} s together",
    ),
    ("*form*, *release*, *repair*", f"a node's answers, of {connection.NODES_AT_ONCE} nodes at once"): (
        f"{connection.CONNECT_TIMEOUT_S:g} s to connect, {node.ANSWER_TIMEOUT_S:g} s for them",
    ),
    ("*form*", "a missing pod"): (the_deadline(),),
    ("*release*", "a member that is missing and not agreed to have failed"): (the_deadline(),),
    ("*repair*", "a missing pod"): ("does not wait",),
    ("*repair*", "Redis's own election"): (
        f"{failed_owners.ELECTION_NODE_TIMEOUTS * NODE_TIMEOUT_S + failed_owners.ELECTION_EXTRA_MS / 1000:g} s",
    ),
    ("all three", "the effect of a command that changes something"): (f"{executor.CHECK_TIMEOUT_S:g} s",),
    ("all three", "a hand-over between two that live"): (f"{failover.FAILOVER_TIMEOUT_S:g} s",),
    ("the mover", "a target that does not answer `MIGRATE`"): (
        f"{move_with_keys.MIGRATE_BASE_TIMEOUT_S:g} s, and 1 s for each "
        f"{move_with_keys.MIGRATE_SLOWEST_BYTES_PER_S // 1_000_000} MB",
    ),
    ("the mover", "that answer"): (f"{move_with_keys.TARGET_ALIVE_S:g} s",),
    ("*rollout*", "the API server"): (f"{api.TIMEOUT_S:g} s",),
    ("applications", "anything"): (
        f"{min(client.bound_s for client in ALL):g} to {max(client.bound_s for client in ALL):g} s",
        f"{min(client.bound_s for client in PATIENT):g} to {max(client.bound_s for client in PATIENT):g} s",
    ),
}
"""Who waits and for what -> what the row must say, from the code."""


def written() -> dict[tuple[str, str], str]:
    rows = [line.strip("| ").split(" | ") for line in SECTION.splitlines() if line.startswith("| ")]
    return {(row[0], row[1]): " | ".join(row[2:]) for row in rows[1:]}


@pytest.mark.parametrize("row", ROWS, ids=" for ".join)
def test_a_wait_is_as_long_as_the_document_says(row: tuple[str, str]) -> None:
    for words in ROWS[row]:
        assert words in written()[row]


def test_every_wait_of_the_document_is_held_against_the_code() -> None:
    assert written().keys() == ROWS.keys()


def test_a_job_looks_at_every_silent_node_well_before_it_must_end() -> None:
    """All pods of stack prod silent at once: so long takes one look of *repair*, which has less than a minute."""
    looks = -(-PLAN.sizing.pods // connection.NODES_AT_ONCE)
    assert looks * (connection.CONNECT_TIMEOUT_S + node.ANSWER_TIMEOUT_S) < 55 / 2
