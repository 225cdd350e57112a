"""What the plan says of TLS: that it is missing, what it takes of the core, and what such a core still serves."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.advice.advice import derive_advice
from components.advice.figures import Figures, derive_figures
from components.advice.pod_sizes import compare_pod_sizes
from components.advice.right_sizing import Measured, right_size
from components.config.settings import Settings
from components.config.units import GIB
from components.plan.core import core_use
from components.plan.load import first_failure
from components.plan.plan import derive_plan
from components.plan.refusal import PlanRefused, Refused
from components.plan.resize import derive_resize
from preview.measured import right_sizing
from tests.plan.stacks import NO_TLS, TLS, ZONES, option_1, option_2, stack

CODES = {"no-tls", "port-without-tls", "tls-takes-core"}
CORE = {"capacity-short", "p95-missed", "resync-does-not-fit"}
"""Of a core that is not enough."""
BOTH = {"mode": "both"}


def warnings(settings: Settings) -> dict[str, str]:
    return {item.code: str(item) for item in derive_advice(settings).warnings}


def warned(settings: Settings) -> dict[str, str]:
    return {code: text for code, text in warnings(settings).items() if code in CODES}


@pytest.mark.parametrize(
    ("tls", "codes"),
    [(NO_TLS, {"no-tls"}), (BOTH, {"port-without-tls"}), (TLS, set())],
)
def test_production_is_warned_of_each_port_without_tls(tls: dict[str, str], codes: set[str]) -> None:
    # So few requests that the core has room in any case.
    assert warned(option_1(tls=tls, requestsPerSecond=800)).keys() == codes
    assert not warned(option_1(tls={"mode": tls["mode"]}, requestsPerSecond=800, nodes={"production": False}))


def test_the_reason_for_no_tls_stands_in_the_warning() -> None:
    assert NO_TLS["plainBecause"] in warned(option_1())["no-tls"]


def test_a_core_that_tls_fills_by_more_than_half_is_warned_of_with_a_change_that_helps() -> None:
    for stack_, with_tls, without in ((option_1(tls=TLS), 63, 19), (option_2(tls=TLS), 127, 39)):
        text = warned(stack_)["tls-takes-core"]
        assert f"With TLS a master uses {with_tls} % of its one core" in text
        assert f"Without TLS it would use {without} %" in text
        found = re.search(r"--set podMemory=(\w+)", text)
        assert found is not None, text
        assert not warned(stack(found[1], tls=TLS))


def test_both_options_of_the_document_keep_their_pods_with_tls() -> None:
    for option, pods in ((option_1, 32), (option_2, 16)):
        for tls in (NO_TLS, BOTH, TLS):
            assert derive_plan(option(tls=tls)).sizing.pods == pods


def test_option_1_with_tls_serves_what_is_wanted_and_option_2_is_said_not_to_with_what_to_change() -> None:
    assert derive_figures(option_1(tls=TLS)).capacity.headroom >= 1
    assert not warnings(option_1(tls=TLS)).keys() & CORE
    found = warnings(option_2(tls=TLS))
    assert found.keys() >= CORE
    assert "8,000 are wanted. Beyond it, Redis's one core" in found["capacity-short"]
    assert "requests arrive faster than they are served" in found["p95-missed"]
    assert "Requests take 127 % of a master's one core" in found["resync-does-not-fit"]
    for code in CORE:
        assert "Use --set podMemory=64GB." in found[code]
    assert not warnings(option_2(tls=NO_TLS)).keys() & CORE


def test_the_comparison_of_pod_sizes_says_what_each_serves_with_tls() -> None:
    served = {size.pod_memory_bytes: size.ops_total for size in compare_pod_sizes(*_of(option_1(tls=TLS)))}
    assert (served[64 * GIB] or 0) >= 8000 > (served[128 * GIB] or 0) > 0
    # 256 GB pods would be four masters, for which there is no plan.
    assert served[256 * GIB] is None


def _of(settings: Settings) -> tuple[Settings, Figures]:
    return settings, derive_figures(settings)


def test_memory_that_suffices_is_not_called_enough_where_the_core_is_not() -> None:
    # So few images a second are misses that memory asks for three masters, of which the core asks for more.
    busy = option_2(tls=TLS, requestsPerSecond=30_000, hitRate=0.95)
    found = right_size(busy, Measured(memory_bytes=100 * GIB))
    said = str(right_sizing(found))
    assert not found.recommended.serves()
    assert "for memory. " in said
    assert "the requests that are wanted" in said
    assert "for memory. " not in str(right_sizing(right_size(option_1(tls=TLS), Measured(memory_bytes=900 * GIB))))


def test_a_stack_that_is_refused_is_not_offered_one_whose_core_is_not_enough() -> None:
    # The type has no room for such a pod. With TLS, 8 masters of 128 GB do not serve this on any type.
    refused = option_2(tls=TLS, nodes={"instanceType": "m6i.2xlarge"})
    with pytest.raises(PlanRefused) as refusal:
        derive_advice(refused)
    said = refusal.value.messages[-1]
    assert "--set nodes.instanceType=auto" not in said
    with pytest.raises(PlanRefused, match=r"--set nodes\.instanceType=auto"):
        derive_advice(option_2(nodes={"instanceType": "m6i.2xlarge"}))


@st.composite
def loads(draw: st.DrawFn) -> dict[str, object]:
    pod, masters = draw(st.sampled_from((4, 64, 128))), draw(st.integers(6, 24))
    return {
        "pod": f"{pod}GB",
        "total": f"{pod * masters}GB",
        "zones": draw(st.sampled_from((ZONES, None))),
        "replicas": draw(st.integers(1, 2)),
        "requestsPerSecond": draw(st.integers(1, 40_000)),
        "objectBytes": draw(st.sampled_from((10_000, 100_000, 1_000_000, 5_000_000))),
        "hitRate": draw(st.floats(0.4, 1, exclude_max=True)),
        "p95LatencyMs": draw(st.sampled_from((10, 500))),
    }


@settings(max_examples=60, deadline=None)
@given(loads())
def test_tls_is_counted_in_every_figure_and_never_refuses_a_stack_or_changes_its_pods(load: dict[str, object]) -> None:
    try:
        plain = derive_figures(stack(**load))  # type: ignore[arg-type]
    except Refused:
        return
    with_tls = stack(tls=TLS, **load)  # type: ignore[arg-type]
    found = derive_figures(with_tls)
    assert found.sizing == plain.sizing
    assert found == derive_figures(stack(tls=BOTH, **load))  # type: ignore[arg-type]
    assert found.load.core == core_use(with_tls.workload, with_tls.replicas_per_master, tls=True)
    assert plain.load.core == core_use(with_tls.workload, with_tls.replicas_per_master, tls=False)
    assert found.load.core_share > plain.load.core_share
    for of_tls, of_plain in zip(found.capacity_by_interface, plain.capacity_by_interface, strict=True):
        assert of_tls.ops_total <= of_plain.ops_total
    # On the same network: other nodes may be chosen with TLS, which leave a move more of theirs.
    moved, moved_plain = (
        derive_resize(each, figures.sizing, figures.traffic, figures.working_set, plain.link_gbps)
        for each, figures in ((with_tls, found), (stack(**load), plain))  # type: ignore[arg-type]
    )
    assert moved.copy_bytes_per_second_per_master <= moved_plain.copy_bytes_per_second_per_master
    if found.nodes is None or plain.nodes is None or found.nodes.passing == ():
        return
    cores = found.nodes.cores_for_pods
    failed = first_failure(found.load, found.link_gbps, found.masters_on_link, cores)
    # What the nodes are short of, the capacity says, and it alone decides the warning.
    assert (failed is None) == (found.capacity.headroom >= 1 - 1e-6)
    codes = warnings(with_tls).keys()
    assert ("capacity-short" in codes) == (found.capacity.headroom < 1)
    assert ("resync-does-not-fit" in codes) == (not found.resilience.resync_fits)
    assert ("p95-missed" in codes) == (not found.latency.holds)
    if failed is None:
        assert not codes & CORE
    else:
        # Only the core is what TLS takes of: without it these very nodes would do.
        assert first_failure(plain.load, found.link_gbps, found.masters_on_link, cores) is None
        assert found.nodes.instance_type == plain.nodes.instance_type
