"""Prices and what they add up to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.advice.commitments import COMMITMENTS
from components.advice.cost import Cost, cross_zone_costs
from components.advice.elasticache import NODE_TYPES, REGIONAL_FACTORS, ElastiCache, ec2_factor
from components.advice.figures import derive_figures
from components.config.settings import Settings, Workload
from components.plan.nodes.catalogue import load_catalogue
from components.plan.nodes.choice import Candidate
from tests.plan.stacks import FRANKFURT, IRELAND, ZONES, option_1, option_2, stack


def cost_of(settings: Settings) -> Cost:
    found = derive_figures(settings).cost
    assert found is not None
    return found


def test_the_parts_add_up() -> None:
    found = cost_of(option_1())
    assert found.infrastructure_usd == pytest.approx(
        found.nodes_usd + found.volumes_usd + found.root_volumes_usd + found.control_plane_usd
    )
    assert found.total_usd == pytest.approx(found.infrastructure_usd + found.cross_zone[0].total_usd)
    for cost in found.cross_zone:
        assert cost.total_usd == pytest.approx(cost.reads_usd + cost.writes_usd + cost.replication_usd)


def test_nodes_volumes_and_control_plane_of_option_1() -> None:
    found = cost_of(option_1())
    assert found.nodes_on_demand_usd == pytest.approx(9 * 2.4192 * 730)
    assert found.volumes_usd == pytest.approx(32 * 77 * 0.08)
    assert found.root_volumes_usd == pytest.approx(9 * 50 * 0.08)
    assert found.control_plane_usd == pytest.approx(73)
    assert found.infrastructure_usd_per_1000_requests_per_second == pytest.approx(found.infrastructure_usd / 8)
    assert found.infrastructure_usd_per_usable_tib == pytest.approx(found.infrastructure_usd)


def test_a_three_year_reservation_of_r7g_costs_what_was_read() -> None:
    found = cost_of(option_1(nodes={"instanceType": "r7g.12xlarge"}))
    # 9 nodes at 8,889.67 USD a year.
    assert found.nodes_reserved_3y_usd == pytest.approx(9 * 8889.67 / 12, rel=0.01)
    assert found.nodes_reserved_3y_usd < found.nodes_reserved_1y_usd < found.nodes_on_demand_usd


@pytest.mark.parametrize("family", sorted(COMMITMENTS))
def test_the_longer_and_the_earlier_nodes_are_paid_for_the_less_they_cost(family: str) -> None:
    shares = COMMITMENTS[family]
    assert (
        shares.three_years_all_upfront
        < shares.three_years_partly_upfront
        < shares.three_years_nothing_upfront
        < shares.one_year
        < 1
    )


def test_each_payment_option_of_r6g_costs_what_aws_asks_for_it() -> None:
    """USD an hour of r6g.12xlarge in us-east-1, as AWS's price list had them on 2025-05-28."""
    found = cost_of(option_1(nodes={"instanceType": "r6g.12xlarge"}))
    hours = 9 * 730
    assert found.nodes_on_demand_usd == pytest.approx(hours * 2.4192)
    assert found.nodes_reserved_1y_usd == pytest.approx(hours * 1.5241, rel=0.002)
    assert found.nodes_reserved_3y_nothing_upfront_usd == pytest.approx(hours * 1.0451, rel=0.002)
    assert found.nodes_reserved_3y_partly_upfront_usd == pytest.approx(hours * 0.9676, rel=0.002)
    assert found.nodes_reserved_3y_usd == pytest.approx(hours * 0.9096, rel=0.002)


BUSY = stack("4GB", "128GB", requestsPerSecond=15_000, hitRate=0.96)
"""On demand c6gn.2xlarge are the cheapest nodes for it, and for three years m6in.2xlarge."""


@pytest.mark.parametrize("settings", [BUSY, option_1(), option_1(nodes={"instanceType": "r8i.12xlarge"})])
def test_no_nodes_that_pass_cost_less_for_three_years_than_those_that_are_named(settings: Settings) -> None:
    figures = derive_figures(settings)
    cost, nodes = figures.cost, figures.nodes
    assert cost is not None
    assert nodes is not None

    def for_three_years(kind: Candidate) -> float:
        found = load_catalogue().find(kind.instance_type)
        assert found is not None
        factor = COMMITMENTS[kind.instance_type.partition(".")[0]].three_years_all_upfront
        return kind.nodes_total * (found.price(nodes.region)[0] * 730 * factor + 50 * 0.08)

    by_name = {kind.instance_type: for_three_years(kind) for kind in nodes.passing}
    cheapest = cost.cheapest_reserved_3y
    assert cheapest.usd_per_month == pytest.approx(min(by_name.values()))
    assert by_name[cheapest.instance_type] == pytest.approx(cheapest.usd_per_month)
    assert cost.reserved_3y.usd_per_month == pytest.approx(by_name[nodes.instance_type])
    assert cost.reserved_3y.usd_per_month == pytest.approx(cost.nodes_reserved_3y_usd + cost.root_volumes_usd)


def test_three_years_may_change_the_choice() -> None:
    found = cost_of(BUSY)
    assert (found.reserved_3y.instance_type, found.cheapest_reserved_3y.instance_type) == (
        "c6gn.2xlarge",
        "m6in.2xlarge",
    )
    # What is named can be asked for, and costs that.
    asked = cost_of(
        stack("4GB", "128GB", requestsPerSecond=15_000, hitRate=0.96, nodes={"instanceType": "m6in.2xlarge"})
    )
    assert asked.reserved_3y == found.cheapest_reserved_3y


def test_one_gigabyte_a_second_across_zones_costs_52_560_dollars() -> None:
    workload = Workload.model_validate({"requestsPerSecond": 1000, "objectBytes": 1_000_000, "hitRate": 0})
    spread = cross_zone_costs(workload, replicas=1, zones=2)[0]
    assert spread.replication_usd == pytest.approx(52_560)
    assert spread.writes_usd == pytest.approx(52_560 / 2)
    assert spread.reads_usd == 0


def test_traffic_of_option_1_by_where_the_clients_stand() -> None:
    spread, local, everywhere = cost_of(option_1()).cross_zone
    # Hits move 6.4 GB/s out of masters, two thirds of it to another zone; misses move 1.6 GB/s in and on.
    assert (round(spread.reads_usd), round(spread.writes_usd), round(spread.replication_usd)) == (
        224_256,
        56_064,
        84_096,
    )
    assert (round(local.reads_usd), round(local.total_usd)) == (112_128, 252_288)
    assert (everywhere.reads_usd, round(everywhere.replication_usd)) == (0, 168_192)


def test_in_one_zone_nothing_crosses() -> None:
    only = cost_of(option_1(zones=ZONES[:1], nodes={"allowFewerZones": True}))
    assert [cost.total_usd for cost in only.cross_zone] == [0]


@given(st.integers(1, 6), st.integers(1, 3), st.floats(0, 1, exclude_max=True))
def test_more_zones_never_make_spread_clients_cheaper(zones: int, replicas: int, hit_rate: float) -> None:
    workload = Workload.model_validate({"hitRate": hit_rate})
    now, then = (cross_zone_costs(workload, replicas, count)[0].total_usd for count in (zones, zones + 1))
    assert then >= now - 1e-6


@given(st.integers(2, 6), st.integers(1, 3), st.floats(0, 1, exclude_max=True))
def test_reading_from_the_own_zone_never_costs_more(zones: int, replicas: int, hit_rate: float) -> None:
    spread, local, *_ = cross_zone_costs(Workload.model_validate({"hitRate": hit_rate}), replicas, zones)
    assert local.reads_usd <= spread.reads_usd + 1e-6
    assert local.writes_usd == spread.writes_usd


def test_smaller_volumes_cost_less_and_faster_ones_more() -> None:
    small = cost_of(stack(storage={"size": "1GB"})).volumes_usd
    fast = cost_of(stack(storage={"size": "1GB", "iops": 4000, "throughputMibPerSecond": 225})).volumes_usd
    assert small == pytest.approx(32 * 0.08)
    assert fast - small == pytest.approx(32 * (1000 * 0.005 + 100 * 0.04))


def test_spot_nodes_cost_about_a_third() -> None:
    found = cost_of(stack(nodes={"capacityType": "spot", "production": False}))
    assert 0.3 <= found.nodes_usd / found.nodes_on_demand_usd <= 0.4
    assert found.infrastructure_usd < cost_of(option_1()).infrastructure_usd


def managed(settings: Settings) -> dict[str, ElastiCache]:
    return {option.engine: option for option in derive_figures(settings).elasticache}


def test_elasticache_for_one_tib_is_26_nodes() -> None:
    options = managed(option_1())
    redis = options["Redis OSS"]
    assert (redis.node_type, redis.shards, redis.nodes) == ("cache.r7g.4xlarge", 13, 26)
    assert redis.nodes_usd == pytest.approx(33_120, abs=1)
    assert options["Valkey"].nodes_usd == pytest.approx(26_496, abs=1)
    assert options == managed(option_2())


def test_elasticache_does_the_same_work() -> None:
    for settings in (option_1(), stack("64GB", "1TB", requestsPerSecond=40_000, hitRate=0.97)):
        figures = derive_figures(settings)
        for option in figures.elasticache:
            assert option.usable_bytes >= figures.sizing.total_memory_bytes
            assert option.nodes == option.shards * 2
            network = next(gbps for name, _, gbps, _ in NODE_TYPES if name == option.node_type)
            assert option.shards * network >= figures.traffic.egress_gbps_per_master * figures.sizing.masters


def test_elasticache_costs_more_in_a_region_where_its_ec2_type_does() -> None:
    # r7g.4xlarge is 1.0336 USD an hour in Frankfurt and 0.8568 in Virginia.
    virginia, frankfurt = managed(option_1())["Redis OSS"], managed(option_1(zones=FRANKFURT))["Redis OSS"]
    assert (frankfurt.node_type, frankfurt.nodes) == (virginia.node_type, virginia.nodes)
    assert frankfurt.nodes_usd == pytest.approx(virginia.nodes_usd * 1.0336 / 0.8568, rel=1e-4)
    ireland = managed(option_1(zones=IRELAND))["Redis OSS"]
    assert ireland.nodes_usd == pytest.approx(virginia.nodes_usd * 7.789 / 6.981)


def test_the_estimate_of_elasticache_hits_the_regions_whose_price_was_read() -> None:
    for region, factor in REGIONAL_FACTORS.items():
        assert ec2_factor(region) == pytest.approx(factor, rel=0.005)


def test_nothing_is_priced_where_the_nodes_are_not_ours() -> None:
    figures = derive_figures(option_1(zones=None))
    assert figures.cost is None
    assert figures.elasticache == ()
