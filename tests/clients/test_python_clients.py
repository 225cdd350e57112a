"""redis-py and valkey-py by the settings of docs/clients.md, through a crash and faults that answer with silence. The
others: `make clients`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients import faults
from tests.clients.drivers import PYTHON, Client
from tests.clients.page import is_met
from tests.clients.running import Running, drivers_on
from tests.faults.stacks import ours

pytestmark = pytest.mark.sandbox

_TRIED = ("crash", "lost", "frozen", "slept", "pod")


@pytest.fixture(scope="module")
def run() -> Iterator[Running]:
    with ours("test-clients") as deployment, drivers_on(deployment, PYTHON, "recommended") as running:
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


def test_a_lost_machine_is_noticed(run: Running) -> None:
    """Otherwise the tests above could not fail."""
    assert run.outages()["lost"] > faults.FAILOVER_S / 4
    assert all(figures.failed > 10 for figures in run.figures()["lost"].values())
