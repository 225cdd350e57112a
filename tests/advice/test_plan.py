"""The assembled plan: its machine form, its effort, and the comparison of pod sizes."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

import components.plan.plan
from components.advice.advice import derive_advice
from components.config.units import GIB
from components.plan.nodes.catalogue import load_catalogue
from components.plan.nodes.choice import choose_nodes
from tests.plan.stacks import option_1, option_2, stack


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from leaves(inner, path)
    else:
        yield path, value


def test_the_machine_form_is_json_with_snake_case_names() -> None:
    for settings in (option_1(), option_2(zones=None), option_1(ttlSeconds=700)):
        shown = derive_advice(settings).to_json()
        assert json.loads(json.dumps(shown, allow_nan=False)).keys() == shown.keys()
        for path, _ in leaves(shown):
            assert path == path.lower()


def test_the_same_settings_give_the_same_plan() -> None:
    assert derive_advice(option_1()) == derive_advice(option_1())


def test_sizing_stands_at_the_top_of_the_machine_form() -> None:
    shown = derive_advice(option_1()).to_json()
    assert (shown["masters"], shown["pods"], shown["request_memory_mib"]) == (16, 32, 78_848)
    assert shown["nodes"]["instance_type"] == "r6g.12xlarge"


def test_pod_sizes_are_compared_side_by_side_with_the_own_among_them() -> None:
    sizes = derive_advice(stack("48GB")).pod_sizes
    assert [size.pod_memory_bytes // GIB for size in sizes] == [16, 32, 48, 64, 128, 256]
    assert [size.is_chosen for size in sizes] == [False, False, True, False, False, False]
    assert sizes[2].masters == 22
    refused = sizes[-1]
    assert refused.nodes_total is None
    assert refused.refusal is not None
    assert "no majority" in refused.refusal


def test_a_column_of_the_comparison_is_that_sizes_own_plan() -> None:
    beside = next(size for size in derive_advice(option_1()).pod_sizes if size.pod_memory_bytes == 128 * GIB)
    own = derive_advice(option_2())
    assert own.cost is not None
    assert own.nodes is not None
    assert beside.infrastructure_usd == own.cost.infrastructure_usd
    assert beside.nodes_total == own.nodes.nodes_total
    assert beside.egress_gbps_per_master == own.traffic.egress_gbps_per_master


def test_sizes_that_make_no_cluster_are_left_out() -> None:
    assert [
        size.pod_memory_bytes // GIB
        for size in derive_advice(stack("16GB", "64GB", zones=None, requestsPerSecond=1000)).pod_sizes
    ] == [16]


def test_a_plan_takes_a_bounded_number_of_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its time in milliseconds is printed, its effort is asserted: machines differ, choices do not."""
    choices = []

    def counted(*arguments: Any) -> Any:
        choices.append(arguments)
        return choose_nodes(*arguments)

    monkeypatch.setattr(components.plan.plan, "choose_nodes", counted)
    settings = option_1()
    begun = time.perf_counter()
    derive_advice(settings)
    milliseconds = (time.perf_counter() - begun) * 1000
    print(f"a full plan: {milliseconds:.1f} ms, {len(choices)} choices among {len(load_catalogue().types)} types")
    # The stack's own, four other pod sizes, three steps of scaling out, three of a little more memory,
    # one with a copy in every zone, eight changes that are planned before a warning advises the cheapest that helps,
    # and twelve numbers of masters for a cache in every zone.
    assert len(choices) == 32
