"""Alerts fire in a real Prometheus for real faults, and stop; nobody is called for what is planned."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.monitoring.__main__ import planned_changes
from tests.monitoring.live import HURRY, Live, live
from tests.monitoring.provocations import PROVOCATIONS, ROUNDS, Provocation, provoke

pytestmark = [pytest.mark.sandbox, pytest.mark.second_look]


@pytest.fixture(scope="module")
def running() -> Iterator[Live]:
    with live(f"provoked-{os.getpid()}", lambda text: None) as found:
        yield found


def test_a_healthy_cluster_a_roll_and_a_change_of_size_call_nobody(running: Live) -> None:
    running.watch(1)
    assert planned_changes(running) == set()
    running.watch(HURRY)


def test_at_least_twelve_alerts_are_provoked() -> None:
    assert len({alert for item in PROVOCATIONS for alert in item.alerts}) >= 12


@pytest.mark.parametrize("together", ROUNDS, ids=lambda together: "+".join(sum((item.alerts for item in together), ())))
def test_a_fault_makes_its_alerts_fire_and_its_end_resolves_them(
    running: Live, together: tuple[Provocation, ...]
) -> None:
    assert {seen.alert for seen in provoke(running, *together)} == {alert for item in together for alert in item.alerts}
