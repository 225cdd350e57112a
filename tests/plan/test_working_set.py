"""Memory of the images: size classes as measured, break-even and remedies as invariants."""

from dataclasses import replace
from math import ceil
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.advice.figures import derive_figures
from components.config.units import MIB
from components.plan.servers import ServerFigures
from components.plan.sizing import derive_sizing
from components.plan.working_set import derive_working_set, images_bytes, memory_over_time, size_class_bytes
from tests.plan.stacks import NO_MISSES, option_1, stack

NOTHING_BESIDE = ServerFigures("none", key_bytes=0, slot_bytes=0)
PER_KEY_BYTES = 240
"""What a real Redis used beyond the class at most: the key's entry, its name and its expiry."""


@pytest.mark.parametrize(
    ("object_bytes", "used_memory_bytes"),
    [(1_048_566, 1_048_692), (1_048_567, 1_310_836), (900_000, 917_743), (1_310_720, 1_572_980)],
)
def test_the_class_is_what_a_real_redis_used(object_bytes: int, used_memory_bytes: int) -> None:
    assert 0 < used_memory_bytes - size_class_bytes(object_bytes) <= PER_KEY_BYTES


@pytest.mark.parametrize(
    ("object_bytes", "fitted"), [(1_000_000, 1021), (1_048_576, 817), (1_048_512, 1021), (900_000, 1168)]
)
def test_as_many_images_fit_into_1_gb_as_in_a_real_redis(object_bytes: int, fitted: int) -> None:
    # A few MB of an idle Redis count into maxmemory as well.
    assert 0 <= (1 << 30) // size_class_bytes(object_bytes) - fitted <= 3


@given(st.integers(1, 512 * MIB))
def test_a_class_holds_its_object_and_wastes_a_quarter_or_one_step_at_most(object_bytes: int) -> None:
    taken = size_class_bytes(object_bytes)
    assert taken > object_bytes
    # Header and end mark take 10 bytes at most; up to 128 bytes classes are 16 apart, so a tiny object may waste 15.
    assert taken <= max(object_bytes + 10 + 15, (object_bytes + 10) * 1.25)
    # Four classes to a doubling: no odd sizes.
    assert taken % 16 == 0


@given(st.integers(1, 512 * MIB))
def test_a_larger_object_never_takes_less(object_bytes: int) -> None:
    assert size_class_bytes(object_bytes) <= size_class_bytes(object_bytes + 1)


WORKLOADS = st.fixed_dictionaries(
    {
        "requestsPerSecond": st.integers(1, 50_000),
        "objectBytes": st.integers(1000, 4_000_000),
        "ttlSeconds": st.integers(1, 86_400),
        "hitRate": st.floats(0, 0.999).map(lambda rate: round(rate, 3)),
    }
)


@given(WORKLOADS)
def test_break_even_parts_the_hit_rates_that_fit_from_those_that_do_not(workload: dict[str, Any]) -> None:
    settings = stack(zones=None, **workload)
    figures = derive_figures(settings, judge=False)
    found, server = figures.working_set, figures.server.figures
    just_above = min(1.0, found.break_even_hit_rate + 1e-6)
    one_image = found.size_class_bytes + found.key_bytes
    assert images_bytes(settings.workload, just_above, server) <= found.memory_bytes + one_image
    if found.break_even_hit_rate > 1e-3:
        below = found.break_even_hit_rate - 1e-3
        assert images_bytes(settings.workload, below, server) > found.memory_bytes - one_image
    assert found.break_even_hit_rate_beside_backlog >= found.break_even_hit_rate


@given(WORKLOADS)
def test_each_remedy_makes_the_images_fit(workload: dict[str, Any]) -> None:
    settings = stack(zones=None, **workload)
    figures = derive_figures(settings, judge=False)
    found = figures.working_set
    if found.own.fits:
        assert found.seconds_to_eviction is None
        return
    assert found.seconds_to_eviction is not None
    assert found.seconds_to_eviction < settings.workload.ttl_seconds
    per_second = found.own.size_bytes / settings.workload.ttl_seconds
    assert per_second * found.needed_ttl_seconds <= found.room_bytes + found.size_class_bytes + found.key_bytes
    # The slots take as much however many masters share them.
    room_of_a_master = (found.room_bytes + found.slots_bytes) / figures.sizing.masters
    needed_masters = found.needed_total_memory_bytes // settings.pod_memory
    assert found.own.size_bytes <= needed_masters * room_of_a_master - found.slots_bytes
    assert found.own.size_bytes > (needed_masters - 1) * room_of_a_master - found.slots_bytes


def test_memory_rises_for_one_ttl_and_stays_there() -> None:
    figures = derive_figures(option_1())
    line = list(memory_over_time(figures.working_set, 300, 600))
    assert line == [(0, 0), (300, 513_448_416_000), (600, 513_448_416_000)]


def test_memory_stops_rising_where_it_is_full() -> None:
    found = derive_figures(option_1(zones=None, hitRate=0), judge=False).working_set
    line = list(memory_over_time(found, 300, 600))
    assert found.seconds_to_eviction is not None
    assert line[1][0] == pytest.approx(found.seconds_to_eviction, abs=1)
    assert line[1][1] == line[2][1] == found.room_bytes


def test_without_misses_nothing_is_kept() -> None:
    found = derive_figures(option_1(hitRate=NO_MISSES)).working_set
    assert (found.own.images, found.own.size_bytes, found.own.fits) == (0, 0, True)
    assert list(memory_over_time(found, 300, 600))[-1] == (600, 0)


@pytest.mark.parametrize(
    ("object_bytes", "taken"),
    [
        # Header of 3 bytes and an end mark; classes are 16 apart up to 128.
        (1, 16),
        (12, 16),
        (13, 32),
        (124, 128),
        (125, 160),
        # Four classes to a doubling; the header has 5 bytes from 256 on and 9 from 65,536 on.
        (255, 320),
        (256, 320),
        (314, 320),
        (315, 384),
        (65_535, 81_920),
        (65_530, 65_536),
        (65_531, 81_920),
        (81_910, 81_920),
        (81_911, 98_304),
    ],
)
def test_a_value_is_rounded_up_to_its_class(object_bytes: int, taken: int) -> None:
    assert size_class_bytes(object_bytes) == taken


def test_images_fill_the_room_beside_the_backlog_to_the_last_one() -> None:
    # Ten writes a second of 1 MiB for 300 s: 3,000 images, and 60 that have expired.
    settings = stack("1GB", "3GB", zones=None, requestsPerSecond=10, hitRate=0.0, objectBytes=1_000_000)
    sizing = derive_sizing(settings)
    spare = 3 * 1024 - 3060
    exact = derive_working_set(settings.workload, sizing, spare * MIB // 3, NOTHING_BESIDE)
    assert (exact.own.images, exact.own.size_bytes, exact.room_bytes) == (3000, 3060 * MIB, 3060 * MIB)
    assert exact.own.fits
    assert exact.own.memory_percent == pytest.approx(100 * 3060 / 3072)
    assert (exact.seconds_to_eviction, exact.needed_ttl_seconds) == (None, 300)
    assert exact.needed_total_memory_bytes == sizing.usable_memory_bytes
    assert exact.break_even_hit_rate_beside_backlog == pytest.approx(0.0)

    short = derive_working_set(settings.workload, sizing, spare * MIB // 3 + MIB, NOTHING_BESIDE)
    assert not short.own.fits
    assert (short.seconds_to_eviction, short.needed_ttl_seconds) == (299, 299)
    assert short.needed_total_memory_bytes == 4 * sizing.pod_memory_bytes
    assert short.break_even_hit_rate_beside_backlog == pytest.approx(3 / 3060)
    assert [case.hit_rate for case in short.scenarios] == [0.0, 0.8, 0.95]
    assert [case.fits for case in short.scenarios] == [False, True, True]


def test_memory_rises_to_its_corner_and_keeps_it() -> None:
    settings = stack("1GB", "3GB", zones=None, requestsPerSecond=10, hitRate=0.0, objectBytes=1_000_000)
    found = derive_working_set(settings.workload, derive_sizing(settings), 259 * MIB, NOTHING_BESIDE)
    assert found.room_bytes == 2295 * MIB
    assert list(memory_over_time(found, 300, 900)) == [(0, 0), (225, 2295 * MIB), (900, 2295 * MIB)]


@pytest.mark.parametrize(("hit_rate", "images"), [(0.5, 2), (0.0, 3), (0.99, 1), (1.0, 0)])
def test_a_part_of_an_image_takes_a_whole_one(hit_rate: float, images: int) -> None:
    workload = stack(zones=None, requestsPerSecond=3, ttlSeconds=1).workload
    assert images_bytes(workload, hit_rate, NOTHING_BESIDE) == ceil(images * MIB * 1.02)


@given(WORKLOADS, st.integers(0, 400), st.integers(0, 4_000))
def test_keys_and_slots_take_their_part_of_the_memory(
    workload: dict[str, Any], key_bytes: int, slot_bytes: int
) -> None:
    settings = stack(zones=None, **workload)
    sizing = derive_sizing(settings)
    beside = replace(NOTHING_BESIDE, key_bytes=key_bytes, slot_bytes=slot_bytes)
    bare = derive_working_set(settings.workload, sizing, 0, NOTHING_BESIDE)
    found = derive_working_set(settings.workload, sizing, 0, beside)
    assert found.room_bytes == bare.room_bytes - 16_384 * slot_bytes
    keys = bare.own.images * key_bytes * 1.02
    assert found.own.size_bytes - bare.own.size_bytes == pytest.approx(keys, abs=1)
    assert bare.own.fits or not found.own.fits


def test_the_key_of_a_thumbnail_takes_a_tenth_of_it_and_that_of_an_image_nothing_to_speak_of() -> None:
    for object_bytes, share in ((1_000, 0.13), (1_000_000, 0.00013)):
        found = derive_figures(option_1(objectBytes=object_bytes)).working_set
        assert found.key_bytes / found.size_class_bytes == pytest.approx(share, rel=0.05)
