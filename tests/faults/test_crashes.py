"""Unplanned faults on the rendered stack, under load. Times are held to three times the goal, no closer."""

from __future__ import annotations

import random

import pytest

from tests.faults import resync, rows, scenarios, strangers
from tests.faults.deployment import Deployment
from tests.faults.rows import GENEROUS
from tests.faults.scenarios import PATIENT, Outcome

pytestmark = pytest.mark.sandbox


def no_key_is_lost(outcome: Outcome) -> bool:
    return outcome.load.keys > 0 and outcome.load.lost_keys == outcome.load.unreadable == 0


def writable_within(outcome: Outcome, seconds: float) -> bool:
    gap = outcome.load.write_gap
    return gap.ended and gap.seconds <= GENEROUS * seconds


def others_serve(outcome: Outcome) -> bool:
    return outcome.bystanders_serve and outcome.bystanders_gap_s <= GENEROUS * rows.BYSTANDERS_S


# A container that crashes a second time is held back by the kubelet, so every crash here is another pod's first.
@pytest.mark.parametrize(("seed", "shard"), [(11, 0), pytest.param(12, 2, marks=pytest.mark.second_look)])
def test_a_master_that_crashes_at_any_moment_loses_no_key(whole: Deployment, seed: int, shard: int) -> None:
    outcome = scenarios.crash(whole, PATIENT, shard=shard, moment=random.Random(seed))
    assert no_key_is_lost(outcome)
    assert outcome.load.lost_updates_before == 0
    assert writable_within(outcome, rows.CRASH_S)
    assert others_serve(outcome)
    assert outcome.whole_after_s is not None


def test_a_master_over_its_memory_limit_loses_no_key(whole: Deployment) -> None:
    outcome = scenarios.memory_limit(whole)
    assert no_key_is_lost(outcome)
    assert writable_within(outcome, rows.CRASH_S)
    assert others_serve(outcome)


def test_a_master_out_of_memory_amid_a_full_resync_lives_on_and_sends_it_again(whole: Deployment) -> None:
    master, _ = whole.copies(1)
    restarts = whole.pods()[master]["restarts"]
    outcome = resync.out_of_memory(whole)
    assert no_key_is_lost(outcome)
    assert outcome.load.failed == 0
    assert whole.pods()[master]["restarts"] == restarts
    assert outcome.whole_after_s is not None


def test_where_the_kubelet_kills_a_container_whole_the_same_loses_the_shards_keys_and_the_cluster_mends_itself(
    whole: Deployment,
) -> None:
    outcome = resync.out_of_memory(whole, together=True, shard=2)
    assert outcome.load.lost_keys > 0
    assert others_serve(outcome)
    assert outcome.whole_after_s is not None


@pytest.mark.parametrize("seed", [21])
def test_the_replica_takes_over_from_a_master_that_stays_away(whole: Deployment, seed: int) -> None:
    dice = random.Random(seed)
    outcome = scenarios.master_lost(whole, PATIENT, shard=dice.randrange(3), moment=dice)
    assert no_key_is_lost(outcome)
    assert writable_within(outcome, rows.PROMOTION_S)
    assert others_serve(outcome)
    assert outcome.whole_after_s is not None


def test_a_master_cut_off_from_the_others_soon_takes_no_write_that_would_be_lost(whole: Deployment) -> None:
    outcome = scenarios.partition(whole)
    last_s = rows.last_lost_ack_s(outcome)
    assert no_key_is_lost(outcome)
    assert last_s is None or last_s <= GENEROUS * rows.NODE_TIMEOUT_S
    assert outcome.whole_after_s is not None


@pytest.mark.parametrize("ips", ["new", pytest.param("rotated", marks=pytest.mark.second_look)])
def test_all_pods_that_restart_at_other_addresses_find_each_other_again(whole: Deployment, ips: str) -> None:
    outcome = scenarios.restart_all(whole, ips=ips)
    assert writable_within(outcome, rows.RESTART_ALL_S)
    assert outcome.whole_after_s is not None


def test_without_tls_the_policies_alone_keep_a_stranger_from_being_heard(whole: Deployment) -> None:
    """The next test lets the same one in, and then it owns every slot."""
    assert not whole.ca_file, "nothing else may be what stops it"
    assert not strangers.is_heard(whole, "redis-master-0")


def test_a_stranger_that_claims_every_slot_over_the_bus_is_turned_out_and_its_slots_are_served_again(
    whole: Deployment,
) -> None:
    """What it was believed to own, the masters have dropped: a cache fills again."""
    with whole.load() as running:
        running.mark()
        intrusion = strangers.intrude(whole, "redis-master-0", repair_at_once=True)
        found = running.end()
    assert intrusion.believed_after_s is not None, "the attack must be one"
    assert intrusion.out_after_s is not None
    assert found.write_gap.ended
    assert found.lost_updates_after == 0
