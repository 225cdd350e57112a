"""What other ways to do the same work cost, on the same terms."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.advice.advice import Advice, derive_advice
from components.advice.alternatives import DECIDES_BELOW, S3_P95_MS, Alternative, decisive
from tests.plan.stacks import option_1


def by_name(plan: Advice) -> dict[str, Alternative]:
    return {option.name: option for option in plan.alternatives}


def test_the_stack_itself_stands_first_and_the_others_by_their_cost() -> None:
    first, *others = derive_advice(option_1()).alternatives
    assert first.name == "this stack"
    assert [option.total_usd for option in others] == sorted(option.total_usd for option in others)


def test_s3_costs_its_requests() -> None:
    found = by_name(derive_advice(option_1()))["no Redis, S3 alone"]
    # 8,000 GETs and 1,600 PUTs a second for 2,628,000 s, and 480 GB.
    assert found.total_usd == pytest.approx(21.024e9 * 0.0004 / 1000 + 4.2048e9 * 0.005 / 1000 + 480 * 0.023)


def test_self_hosting_wins_below_a_mean_load_of_7_5_percent() -> None:
    redis = next(found for found in derive_advice(option_1()).break_evens if found.engine == "Redis OSS")
    assert redis.duty_cycle == pytest.approx(0.075, abs=0.001)


@settings(max_examples=10, deadline=None)
@given(st.floats(0.01, 1))
def test_below_the_break_even_the_stack_is_the_cheaper_one_and_above_it_is_not(duty: float) -> None:
    plan = derive_advice(option_1(dutyCycle=duty))
    options = by_name(plan)
    for found in plan.break_evens:
        managed = options[f"ElastiCache, {found.engine}"]
        assert (options["this stack"].total_usd < managed.total_usd) == (duty < found.duty_cycle)


def test_traffic_follows_the_mean_rate_and_nodes_the_peak() -> None:
    peak, fifth = (by_name(derive_advice(option_1(dutyCycle=duty))) for duty in (1.0, 0.2))
    for name in ("this stack", "zone-local reads", "ElastiCache, Redis OSS"):
        assert fifth[name].usd == peak[name].usd
        assert fifth[name].traffic_usd == pytest.approx(0.2 * peak[name].traffic_usd)


def test_a_cache_in_every_zone_pays_no_traffic_and_plans_for_the_worst_hit_rate() -> None:
    found = by_name(derive_advice(option_1()))["a cache in every zone"]
    assert found.traffic_usd == 0
    assert "falls to 40 % at worst" in found.takes


def test_zone_local_reads_are_no_alternative_where_they_cost_more() -> None:
    assert "zone-local reads" in by_name(derive_advice(option_1()))
    few_hits = option_1(hitRate=0.65, replicas=2)
    advice = derive_advice(few_hits)
    assert advice.cost is not None
    spread, local, *_ = advice.cost.cross_zone
    assert ("zone-local reads" in by_name(advice)) == (local.total_usd < spread.total_usd)


def test_without_nodes_of_its_own_a_stack_has_nothing_to_compare() -> None:
    assert derive_advice(option_1(zones=None)).alternatives == ()


def test_another_way_decides_where_it_costs_clearly_less() -> None:
    stack = Alternative("this stack", 60, 40, "")
    barely = Alternative("other", 100 * DECIDES_BELOW, 0, "")
    clearly = Alternative("other", 100 * DECIDES_BELOW - 1, 0, "")
    assert decisive((stack, barely)) is None
    assert decisive((stack, clearly)) == clearly
    assert decisive((stack, Alternative("not the same work", 1, 0, "", may_decide=False), clearly)) == clearly
    assert decisive(()) is None


def test_the_same_stack_paid_for_three_years_is_no_other_way() -> None:
    assert not by_name(derive_advice(option_1()))["nodes for three years"].may_decide


def test_s3_does_not_the_same_work_where_answers_must_be_faster() -> None:
    for wanted, may in ((S3_P95_MS, True), (S3_P95_MS - 1, False)):
        assert by_name(derive_advice(option_1(p95LatencyMs=wanted)))["no Redis, S3 alone"].may_decide == may
    found = decisive(derive_advice(option_1(p95LatencyMs=100)).alternatives)
    assert found is not None
    assert found.name == "a cache in every zone"
