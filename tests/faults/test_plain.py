"""The same faults on the sizing document's plain deployment: kept, so that the difference stays shown."""

from __future__ import annotations

import pytest

from tests.faults import scenarios
from tests.faults.deployment import Deployment
from tests.faults.scenarios import Limits

pytestmark = [pytest.mark.sandbox, pytest.mark.second_look]
BRIEF = Limits(service_s=25, whole_s=5)


def test_a_crash_costs_a_shards_keys(plain_stack: Deployment) -> None:
    outcome = scenarios.crash(plain_stack, BRIEF)
    assert outcome.load.shards[0].lost_keys > 0
    assert outcome.load.shards[1].lost_keys == outcome.load.shards[2].lost_keys == 0


def test_the_loss_of_one_shard_stops_all_of_them_for_good(plain_stack: Deployment) -> None:
    plain_stack.wait_whole()
    outcome = scenarios.both_copies_lost(plain_stack, BRIEF)
    assert not outcome.bystanders_serve
    assert outcome.whole_after_s is None
