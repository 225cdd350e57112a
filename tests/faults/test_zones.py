"""A zone is lost, with pods placed as on EKS."""

from __future__ import annotations

import pytest

from tests.faults import scenarios
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
