"""Promotion, re-protection and the memory of a full resync."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.advice.figures import derive_figures
from components.advice.resilience import MEASURED_PROMOTIONS, promotion_seconds
from tests.plan.stacks import NO_MISSES, ZONES, option_1, option_2, stack


@pytest.mark.parametrize(("timeout", "measured"), MEASURED_PROMOTIONS)
def test_promotion_takes_what_was_measured(timeout: float, measured: float) -> None:
    assert promotion_seconds(timeout) == pytest.approx(measured)


@given(st.floats(2, 60), st.floats(0.1, 10))
def test_a_longer_node_timeout_promotes_later_but_never_before_it_ends(timeout: float, more: float) -> None:
    assert timeout < promotion_seconds(timeout) < promotion_seconds(timeout + more)


def test_a_full_pod_is_copied_at_one_flow_and_a_filled_one_in_proportion() -> None:
    resilience = derive_figures(option_1()).resilience
    assert resilience.reprotection_full_seconds == 110
    # 480,000 images of 1 MiB over 16 masters are 32.1 GB, expired ones included.
    assert resilience.reprotection_seconds == pytest.approx(32.09e9 / 625e6, abs=1)


def test_the_backlog_covers_twenty_seconds_of_writes() -> None:
    assert derive_figures(option_1()).resilience.repl_backlog_seconds == pytest.approx(20)
    assert derive_figures(option_1(hitRate=NO_MISSES)).resilience.repl_backlog_seconds is None


def test_a_lost_zone_leaves_ten_of_sixteen_masters() -> None:
    resilience = derive_figures(option_1()).resilience
    assert (resilience.node_pods, resilience.zone_masters, resilience.zone_masters_left) == (4, 6, 10)


def test_a_shard_is_without_a_second_copy_until_the_node_is_replaced_its_volume_free_and_the_data_copied() -> None:
    resilience = derive_figures(option_1()).resilience
    # 30 minutes until EKS replaces a node that does not answer, 6 until the volume is free, 52 s for the data.
    assert resilience.node_replaced_seconds == 36 * 60
    assert resilience.node_unprotected_seconds == 36 * 60 + 52
    elsewhere = derive_figures(option_1(zones=None)).resilience
    assert elsewhere.node_replaced_seconds is elsewhere.node_unprotected_seconds is None


def test_a_new_node_syncs_its_pods_over_its_own_network() -> None:
    alone = derive_figures(option_1()).resilience
    assert alone.node_reprotection_seconds == alone.reprotection_seconds
    # Eight pods of 32 GB on 25 Gbps: 3.1 Gbps each instead of 5.
    shared = derive_figures(stack("32GB", nodes={"instanceType": "r6g.16xlarge"}))
    assert shared.nodes is not None
    assert shared.nodes.pods_per_node * 5 > shared.nodes.sustained_gbps
    assert shared.resilience.node_reprotection_seconds is not None
    assert shared.resilience.node_reprotection_seconds > shared.resilience.reprotection_seconds


def test_at_70_percent_hits_a_full_resync_of_128_gb_pods_does_not_fit_while_one_of_64_gb_pods_does() -> None:
    small, large = derive_figures(option_1(hitRate=0.7)).resilience, derive_figures(option_2(hitRate=0.7)).resilience
    assert small.resync_peak_full_mib <= small.limit_memory_mib
    assert large.resync_peak_full_mib > large.limit_memory_mib
    assert large.safe_writes_per_second_per_master < large.writes_per_second_per_master


def test_at_the_safe_write_rate_a_full_resync_fits() -> None:
    large = option_2()
    safe = derive_figures(large).resilience.safe_writes_per_second_per_master
    writes = int(safe * 8)
    at_safe = derive_figures(option_2(hitRate=1 - writes / 8000)).resilience
    assert at_safe.resync_peak_full_mib <= at_safe.limit_memory_mib
    assert at_safe.writes_per_second_per_master == pytest.approx(safe, rel=0.01)


def test_without_nodes_of_our_own_nothing_is_said_of_nodes_and_zones() -> None:
    resilience = derive_figures(option_1(zones=None)).resilience
    assert resilience.node_pods is None
    assert resilience.zone_masters is None


def test_two_zones_keep_no_majority() -> None:
    resilience = derive_figures(option_1(zones=ZONES[:2], nodes={"allowFewerZones": True})).resilience
    assert (resilience.zone_masters, resilience.zone_masters_left) == (8, 8)
