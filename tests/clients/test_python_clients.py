"""redis-py and valkey-py by the settings of docs/clients.md, quick and patient at once, through a crash and faults that
answer with silence. The others: `make clients`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients import faults
from tests.clients.drivers import PYTHON, RECOMMENDED, Client
from tests.clients.page import is_met
from tests.clients.running import Running, drivers_on
from tests.faults.stacks import ours

pytestmark = pytest.mark.sandbox

_TRIED = ("crash", "lost", "frozen", "slept", "kill-pod")
_PATIENT = tuple(client.patient() for client in PYTHON)
_WATCH_S = 5.0


@pytest.fixture(scope="module")
def run() -> Iterator[Running]:
    clients = (*PYTHON, *_PATIENT)
    with ours("test-clients") as deployment, drivers_on(deployment, clients, RECOMMENDED, _WATCH_S) as running:
        for fault in faults.FAULTS:
            if fault.key in _TRIED:
                fault.cause(running, fault.key)
        running.end()
        yield running


@pytest.mark.parametrize("client", PYTHON, ids=lambda client: client.name)
@pytest.mark.parametrize("key", _TRIED)
def test_requests_are_bounded_and_none_fails_once_the_failover_is_over(run: Running, key: str, client: Client) -> None:
    figures = run.figures()[key][client.name]
    assert figures.sent > 50
    assert is_met(key, client, figures), figures


@pytest.mark.parametrize("client", _PATIENT, ids=lambda client: client.name)
@pytest.mark.parametrize("key", _TRIED)
def test_a_patient_client_s_requests_all_succeed(run: Running, key: str, client: Client) -> None:
    figures = run.figures()[key][client.name]
    assert figures.sent > 50
    assert figures.failed == 0, figures
    assert figures.longest_s <= client.bound_s, figures


def test_a_lost_machine_is_noticed(run: Running) -> None:
    """Otherwise the tests above could not fail."""
    assert run.outages()["lost"] > 3.0
    assert all(run.figures()["lost"][client.name].failed > 10 for client in PYTHON)
    assert all(run.figures()["lost"][client.name].longest_s > client.patience_s / 4 for client in _PATIENT)
