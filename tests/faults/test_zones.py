"""The stack of production with small pods: who reaches it, and what the loss of a zone does to it."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from components.manifests import names
from sandbox.control.place import Place
from tests.faults import scenarios, strangers
from tests.faults.deployment import SHARDS, Deployment
from tests.faults.test_crashes import no_key_is_lost, others_serve

pytestmark = pytest.mark.sandbox


def test_every_slot_is_served_after_the_loss_of_a_zone(stack_in_zones: Deployment) -> None:
    pods = stack_in_zones.pods()
    for shard in range(SHARDS):
        assert pods[f"redis-master-{shard}"]["zone"] != pods[f"redis-replica-{shard}"]["zone"]
    outcome = scenarios.zone_lost(stack_in_zones)
    assert len(outcome.hit_shards) == 1
    assert no_key_is_lost(outcome)
    assert outcome.load.write_gap.ended
    assert others_serve(outcome)
    assert outcome.whole_after_s is not None


ASK = """
import socket, sys
for port in map(int, sys.argv[2:]):
    try:
        socket.create_connection((sys.argv[1], port), 1).close()
        print(port, "open")
    except TimeoutError:
        print(port, "dropped")
"""


def reached(deployment: Deployment, place: Place) -> dict[str, str]:
    """Port of a pod of the cluster -> whether a program that stands there gets a connection."""
    ip = deployment.pods()["redis-master-0"]["ip"]
    command = [sys.executable, "-c", ASK, ip, str(names.TLS_PORT), str(names.BUS_PORT)]
    done = deployment.sandbox.run(command, place=place, timeout_s=30).check()
    return dict(line.split() for line in done.stdout.splitlines())


def test_clients_that_the_config_names_are_let_in_and_nobody_else_whatever_labels_its_pod_has(
    stack_in_zones: Deployment,
) -> None:
    redis, bus = str(names.TLS_PORT), str(names.BUS_PORT)
    assert stack_in_zones.clients == Place("images")
    assert reached(stack_in_zones, stack_in_zones.clients) == {redis: "open", bus: "dropped"}
    labels = stack_in_zones.pods()["redis-master-0"]["labels"]
    others = [Place(), Place("stranger", labels), Place("stranger", names.JOB_LABEL), Place("kube-system")]
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda place: reached(stack_in_zones, place), others))
    assert found == [{redis: "dropped", bus: "dropped"}] * len(others)


def test_a_stranger_that_claims_every_slot_is_heard_by_nobody(stack_in_zones: Deployment) -> None:
    """With what it can do where it is let in: tests/faults/test_crashes.py."""
    assert not strangers.is_heard(stack_in_zones, "redis-master-0")
