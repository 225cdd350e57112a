"""Planned changes, and faults only the repair CronJob can mend, on the rendered stack under load."""

from __future__ import annotations

import pytest

from tests.faults import planned, resync, rows, scenarios
from tests.faults.deployment import Deployment
from tests.faults.rows import GENEROUS
from tests.faults.scenarios import Limits, Outcome
from tests.faults.test_crashes import no_key_is_lost, others_serve

pytestmark = pytest.mark.sandbox


def unnoticed(outcome: Outcome) -> None:
    assert outcome.load.errors == {}
    assert outcome.load.tracebacks == ()
    assert no_key_is_lost(outcome)
    assert outcome.load.lost_updates_before == outcome.load.lost_updates_after == 0
    assert outcome.whole_after_s is not None


def test_deleting_a_masters_pod_fails_no_request(whole: Deployment) -> None:
    unnoticed(scenarios.kill_pod(whole))


def test_draining_a_node_fails_no_request(whole: Deployment) -> None:
    unnoticed(scenarios.drain(whole))


def test_a_rolling_update_fails_no_request(whole: Deployment) -> None:
    unnoticed(planned.new_template(whole))


def test_a_full_resync_under_the_full_write_load_ends_at_the_first_attempt(whole: Deployment) -> None:
    assert planned.bring_home(whole)
    found = resync.full_resync(whole)
    assert found.full_syncs == 1
    assert found.ratio is not None
    assert found.ratio <= GENEROUS * rows.RESYNC_RATIO
    assert found.peak_bytes <= found.limit_bytes


def test_a_shard_that_lost_both_copies_comes_back_empty_by_itself_and_the_others_serve(whole: Deployment) -> None:
    outcome = scenarios.both_copies_lost(whole, Limits(service_s=150))
    assert others_serve(outcome)
    assert outcome.load.shards[2].write_gap.ended
    assert outcome.load.shards[2].lost_keys > 0
    assert outcome.load.shards[0].lost_keys == outcome.load.shards[1].lost_keys == 0
    assert outcome.whole_after_s is not None


def test_a_repair_killed_at_random_moments_reaches_the_same_end_state(whole: Deployment) -> None:
    assert planned.repair_killed(whole, planned.moments(31, 2, 2.0)) > 0
    assert planned.bring_home(whole)
