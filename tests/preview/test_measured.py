"""What measured figures say about the size."""

import re

import pytest

from components.advice.advice import derive_advice
from components.advice.compression import compressed
from components.advice.right_sizing import Measured, right_size
from components.config.units import GIB
from preview.measured import compression, right_sizing
from preview.text import render_sections
from preview.writer import Style
from tests.plan.stacks import option_1, stack


def test_right_sizing_names_the_memory_to_configure() -> None:
    shown = render_sections([right_sizing(right_size(option_1(), Measured(memory_bytes=500 * GIB)))])
    assert shown.startswith("RIGHT SIZE: for 500 GiB in use\n")
    assert re.search(r"at most 80 % full +640GB +10 +20 +78 %", shown)
    assert re.search(r"Enough: totalMemory: \d+(GB|TB)\n", shown)


def test_compression_says_what_would_be_enough() -> None:
    shown = render_sections([compression(compressed(option_1(), 0.3))])
    assert shown.startswith("COMPRESSION: to 30 % of the size\n")
    assert "300,000 bytes, which take 327,680 bytes of memory" in shown
    assert re.search(
        r"enough +totalMemory: \d+GB with workload.objectBytes: 300000, \d+ pods\n +[\d,]+ USD a month", shown
    )


@pytest.mark.parametrize("memory_bytes", [None, 500 * GIB])
@pytest.mark.parametrize("hit_rate", [0.7, 0.9])
def test_what_is_said_to_be_enough_names_all_that_must_be_set_for_it(hit_rate: float, memory_bytes: int | None) -> None:
    """Another hit rate makes other work: the size alone would not serve what is wanted."""
    settings = option_1(tls={"mode": "required"})
    said = render_sections([right_sizing(right_size(settings, Measured(memory_bytes, hit_rate)))])
    found = re.search(r"Enough: totalMemory: (\S+) with workload\.hitRate: (\S+)\n", said)
    assert found is not None
    followed = stack(total=found[1], hitRate=float(found[2]), tls={"mode": "required"})
    assert derive_advice(followed).capacity.headroom >= 1


def test_a_hit_rate_that_the_config_has_already_is_no_part_of_what_is_enough() -> None:
    settings = option_1()
    said = render_sections([right_sizing(right_size(settings, Measured(hit_rate=settings.workload.hit_rate)))])
    assert re.search(r"Enough: totalMemory: \d+(GB|TB)\n", said)


def test_a_cheaper_size_that_does_not_serve_is_told_from_the_cheapest_that_does() -> None:
    found = right_size(option_1(tls={"mode": "required"}), Measured(memory_bytes=500 * GIB))
    assert (found.least.infrastructure_usd or 0) < (found.recommended.infrastructure_usd or 0)
    said = render_sections([right_sizing(found)], Style(columns=120))
    assert re.search(r"full to the last byte .* 98 % +0\.\d\dx ", said)
    assert re.search(r"the cheapest that serves .* 1\.\d\dx ", said)


def test_a_stack_without_nodes_is_told_no_price() -> None:
    settings = option_1(zones=None)
    shown = render_sections(
        [right_sizing(right_size(settings, Measured(hit_rate=0.9))), compression(compressed(settings, 0.5))]
    )
    assert "without traffic" not in shown
    assert re.search(r"as configured .*–\s+–\s+–$", shown, re.MULTILINE)
