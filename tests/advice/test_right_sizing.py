"""What was measured, and the plan that would do."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.advice.advice import derive_advice
from components.advice.compression import compressed
from components.advice.figures import derive_figures
from components.advice.right_sizing import Measured, right_size, scale_out
from components.config.units import GIB, TIB, format_size
from preview.measured import compression, right_sizing
from preview.text import render_plan, render_sections
from tests.plan.stacks import ZONES, option_1, stack


def test_the_documents_500_gb_fit_8_masters_only_beyond_its_own_alert() -> None:
    found = right_size(option_1(), Measured(memory_bytes=500 * GIB))
    assert (found.now.masters, found.least.masters, found.wanted.masters) == (16, 8, 10)
    # "scale down to 8M+8R": 97.7 % full, where the document raises its alert at 90 %.
    assert found.use_percent(found.least) == pytest.approx(97.7, abs=0.1)
    assert found.use_percent(found.wanted) <= 80


def test_half_the_pods_do_not_halve_the_costs_where_the_network_binds() -> None:
    found = right_size(option_1(), Measured(memory_bytes=500 * GIB))
    now, least, wanted = (step.infrastructure_usd for step in (found.now, found.least, found.wanted))
    assert now is not None
    assert least is not None
    assert wanted is not None
    # The document: "16 pods instead of 32 = 50 % cost savings".
    assert found.least.pods * 2 == found.now.pods
    assert 0.8 < least / now < 1
    # Ten masters even cost more than sixteen: each sends 7.7 Gbps, and two do not fit on what four did.
    assert wanted > now


def test_what_is_recommended_is_the_cheapest_that_holds_it() -> None:
    found = right_size(option_1(), Measured(memory_bytes=500 * GIB))
    recommended, now = found.recommended.infrastructure_usd, found.now.infrastructure_usd
    assert recommended is not None
    assert now is not None
    assert recommended < now
    for masters in range(found.wanted.masters, found.now.masters + 1):
        cost = derive_figures(stack("64GB", f"{64 * masters}GB")).cost
        assert cost is not None
        assert cost.infrastructure_usd >= recommended
    again = derive_figures(stack("64GB", format_size(found.recommended.total_memory_bytes))).cost
    assert again is not None
    assert again.infrastructure_usd == recommended


def test_a_measured_hit_rate_stands_for_the_memory_it_fills() -> None:
    found = right_size(option_1(), Measured(hit_rate=0.8))
    assert found.in_use_bytes == 513_448_416_000 + 16_384 * 171
    assert found.wanted.masters == 10
    worse = right_size(option_1(), Measured(hit_rate=0.5))
    assert worse.wanted.masters > worse.now.masters


def test_no_cluster_has_fewer_than_three_masters() -> None:
    assert right_size(option_1(), Measured(memory_bytes=GIB)).least.masters == 3


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 3 * TIB))
def test_what_is_recommended_holds_what_was_measured(memory_bytes: int) -> None:
    found = right_size(option_1(zones=None), Measured(memory_bytes=memory_bytes))
    assert memory_bytes <= found.least.total_memory_bytes
    assert found.use_percent(found.wanted) <= 80.0001
    assert found.least.masters <= found.wanted.masters <= found.recommended.masters


@pytest.mark.parametrize(
    ("measured", "rule"),
    [
        (Measured(), "nothing was measured"),
        (Measured(memory_bytes=0), "more than 0"),
        (Measured(hit_rate=1.5), "from 0 to 1"),
    ],
)
def test_what_cannot_have_been_measured_is_refused(measured: Measured, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        right_size(option_1(), measured)


def test_compression_saves_by_the_size_class_and_not_by_the_byte() -> None:
    whole, found = compressed(option_1(), 1.0), compressed(option_1(), 0.3)
    assert (found.object_bytes, found.size_class_bytes) == (300_000, 320 * 1024)
    assert found.images_size_bytes / whole.images_size_bytes == pytest.approx((320 * 1024 + 134) / (1024 * 1024 + 134))
    assert found.egress_gbps_per_master == pytest.approx(0.3 * whole.egress_gbps_per_master)
    # "May allow 8M+8R (16 pods) instead of 16M+16R".
    assert found.enough.masters <= 8
    assert found.break_even_hit_rate == 0


@pytest.mark.parametrize("ratio", [0.0, -1.0, 1.5])
def test_a_compression_ratio_is_new_size_over_old(ratio: float) -> None:
    with pytest.raises(ValueError, match="new size over old"):
        compressed(option_1(), ratio)


def test_scaling_out_goes_over_24_to_32_masters() -> None:
    now, half_more, twice = scale_out(option_1())
    assert [step.masters for step in (now, half_more, twice)] == [16, 24, 32]
    assert [step.pods for step in (now, half_more, twice)] == [32, 48, 64]
    assert [step.total_memory_bytes for step in (now, half_more, twice)] == [TIB, 1536 * GIB, 2 * TIB]
    # "If < 50 % hit rate, consider 1.5-2 TB (24-32 pods)": 1.5 TB hold from 34 % on.
    assert half_more.break_even_hit_rate < 0.5 < now.break_even_hit_rate
    assert now.infrastructure_usd is not None
    assert half_more.infrastructure_usd is not None
    assert twice.infrastructure_usd is not None
    assert now.infrastructure_usd < half_more.infrastructure_usd < twice.infrastructure_usd


def test_no_more_masters_are_shown_than_a_cluster_may_have() -> None:
    large = stack("1GB", "400GB", zones=None, requestsPerSecond=100)
    assert [step.masters for step in scale_out(large)] == [400]


def test_a_size_that_no_nodes_hold_is_not_called_enough() -> None:
    """No type carries the pods: whatever was measured, no number of them is advised."""
    settings = option_1(zones=ZONES, p95LatencyMs=1)
    found = right_size(settings, Measured(memory_bytes=500 * GIB))
    assert found.recommended.refusal is not None
    said = " ".join(render_sections([right_sizing(found), compression(compressed(settings, 0.9))]).split())
    assert "Enough: totalMemory" not in said
    assert "enough totalMemory" not in said
    assert "None of the sizes that were tried has a plan. With 640GB: workload.p95LatencyMs = 1: no EC2 type" in said


def test_scaling_out_without_nodes_of_our_own_has_no_price() -> None:
    assert [step.infrastructure_usd for step in scale_out(option_1(zones=None))] == [None, None, None]


@pytest.mark.parametrize("zones", [5, 6])
def test_more_replicas_than_a_stack_may_have_are_advised_nowhere(zones: int) -> None:
    """A master in one of five zones would take four replicas for a copy in each, and three are the most."""
    settings = option_1(zones=tuple(f"us-east-1{letter}" for letter in "abcdef"[:zones]))
    advice = derive_advice(settings)
    assert advice.copy_in_every_zone is None
    assert advice.cost is not None
    assert [option.clients for option in advice.cost.cross_zone] == ["spread", "zone-local reads"]
    shown = render_plan(advice, settings, stack="prod")
    assert "replicasPerMaster=" not in shown
    assert "copy in every zone" not in shown
    four = derive_advice(option_1(zones=tuple(f"us-east-1{letter}" for letter in "abcd")))
    assert four.copy_in_every_zone is not None
    assert four.copy_in_every_zone.pods == 4 * four.sizing.masters
