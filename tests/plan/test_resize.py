"""How slots change owner: the rate of each way, what bounds it, and the choice between them, one limit at a time."""

from typing import Any

import pytest

from components.config.choices import MoveMode
from components.config.load import settings_of
from components.config.units import GIB, MIB
from components.plan.resize import NATIVE_SLOTS_PER_SECOND, SLOTS_PER_SECOND, Resize, derive_resize
from components.plan.servers import SLOT_COUNT, server_figures
from components.plan.sizing import derive_sizing
from components.plan.traffic import derive_traffic
from components.plan.working_set import derive_working_set
from tests.plan.stacks import NO_MISSES, NO_TLS, PRODUCTION, TLS

FULL_OF_IMAGES = (640 * GIB - 16_384 * 171) // (MIB + 134)
"""Images of 1,000,000 bytes that ten masters of 64 GB hold, with their keys and slots on Redis 7.4."""
SLOTS = SLOT_COUNT / SLOTS_PER_SECOND
"""Seconds of handing over slots, however little they hold."""


def predicted(
    gbps: float = 100.0,
    total: str = "640GB",
    workload: dict[str, Any] | None = None,
    tls: dict[str, str] = NO_TLS,
    image: str = "redis:7.4-alpine",
    **resize: Any,
) -> Resize:
    """Ten masters of 64 GB by default; 1,000 requests/s of 1 MB, so a master sends 0.96 Gbps."""
    settings = settings_of(
        totalMemory=total,
        kubeContext="kind",
        **{**PRODUCTION, "tls": tls, "images": {**PRODUCTION["images"], "redis": image}},
        workload={"requestsPerSecond": 1000, **(workload or {})},
        resize={"maxMibPerSecond": 10**6, **resize},
    )
    sizing = derive_sizing(settings)
    traffic = derive_traffic(settings, sizing)
    return derive_resize(
        settings,
        sizing,
        traffic,
        derive_working_set(settings.workload, sizing, 0, server_figures(settings.images.server.line)),
        gbps,
    )


def test_the_network_leaves_what_the_clients_do_not_take() -> None:
    found = predicted(gbps=1.96)
    assert (found.copy_bound_by, found.copy_bytes_per_second_per_master) == ("network", 125_000_000)


def test_one_flow_is_the_most_a_network_gives() -> None:
    # The core would do 400 MB/s, so the flow's 625 MB/s never show; with no network left, one MiB a second does.
    assert predicted(gbps=1000.0).copy_bound_by == "core"
    for gbps in (0.96, 0.1):
        assert predicted(gbps=gbps).copy_bytes_per_second_per_master == MIB


def test_the_core_gives_what_requests_leave_of_it() -> None:
    # Of 100 requests/s of 1 MB, 80 are hits of 0.2 ms and 20 are misses: 0.027 ms to find nothing, 1.1 ms to write.
    assert predicted().copy_bytes_per_second_per_master == round(400_000_000 * (1 - 0.08 * 0.2 - 0.02 * 1.127))
    # Small images are all hits of 0.027 ms here: 18,518.5 a second take half of the core, and twice as many all of it.
    small = {"objectBytes": 1000, "hitRate": NO_MISSES}
    half = predicted(workload={"requestsPerSecond": 185_185, **small}).copy_bytes_per_second_per_master
    assert half == pytest.approx(200_000_000, rel=1e-4)
    for rate in (370_371, 400_000):
        assert predicted(workload={"requestsPerSecond": rate, **small}).copy_bytes_per_second_per_master == 40_000_000


def test_with_tls_both_the_requests_and_the_keys_that_travel_take_more_of_the_core() -> None:
    # Hits take 0.698 ms, misses 0.0594 ms to find nothing and 3.487 ms to write; MIGRATE takes 1.25 times as long.
    left = 1 - 0.08 * 0.698 - 0.02 * 3.5464
    assert predicted(tls=TLS).copy_bytes_per_second_per_master == pytest.approx(400_000_000 / 1.25 * left, rel=1e-6)


def test_the_config_bounds_the_rate_of_all_masters_together() -> None:
    found = predicted(maxMibPerSecond=50)
    assert (found.copy_bound_by, found.copy_bytes_per_second_per_master) == ("config", 5 * MIB)
    assert found.max_bytes_per_second == 50 * MIB
    assert found.copy_full_seconds == pytest.approx(SLOTS + 640 * 1024 / 50)
    # Less than one MiB/s for each master: the whole is still what the config allows.
    assert predicted(maxMibPerSecond=5).copy_full_seconds == pytest.approx(SLOTS + 640 * 1024 / 5)


def test_the_working_set_travels_and_at_most_what_the_masters_hold() -> None:
    # 200 writes/s for 300 s are 60,000 images of 1,000,000 bytes.
    found = predicted(maxMibPerSecond=50)
    assert found.copy_seconds == pytest.approx(SLOTS + 60_000 * 1_000_000 / (50 * MIB))
    assert found.expire_extra_misses == 60_000
    overfull = predicted(maxMibPerSecond=50, workload={"ttlSeconds": 10_000})
    # An image of 1,000,000 bytes takes a MiB, so full masters hold fewer bytes of images than of memory.
    assert overfull.copy_seconds - SLOTS == pytest.approx((overfull.copy_full_seconds - SLOTS) / 1.049, rel=1e-3)
    assert overfull.expire_extra_misses == FULL_OF_IMAGES


def test_ownership_alone_takes_as_long_as_its_budget_of_misses() -> None:
    found = predicted(mode="expire", extraMissesPerSecond=100)
    assert found.extra_misses_per_second == 100
    assert found.seconds == found.expire_seconds == 600.0


def test_the_chosen_way_gives_the_predicted_time() -> None:
    found = predicted(mode="copy")
    assert found.mode is MoveMode.COPY
    assert found.seconds == found.copy_seconds != found.expire_seconds


@pytest.mark.parametrize(("mib_per_second", "mode"), [(100, MoveMode.COPY), (99, MoveMode.EXPIRE)])
def test_auto_moves_keys_unless_that_takes_more_than_ten_ttls(mib_per_second: int, mode: MoveMode) -> None:
    # 1,000 writes/s of 1 MiB: at 100 MiB/s the images of one second take ten.
    workload = {"objectBytes": MIB, "hitRate": 0.0}
    assert predicted(workload=workload, maxMibPerSecond=mib_per_second).mode is mode


@pytest.mark.parametrize(
    ("resize", "longest"),
    [
        ({"mode": "copy", "maxMibPerSecond": 50}, SLOTS + 640 * 1024 / 50),
        ({"mode": "expire"}, FULL_OF_IMAGES / 400),
    ],
)
def test_the_deadline_is_three_times_the_move_of_full_masters(resize: dict[str, Any], longest: float) -> None:
    assert predicted(**resize).deadline_seconds == int(3 * longest) + 1


MEASURED = {
    # 2,000 images of 1 MB from four masters to four others.
    "2 GB with their keys": ({"requestsPerSecond": 100, "ttlSeconds": 100}, {"mode": "copy"}, 7.0),
    # 300 keys of 20 kB, which is next to nothing.
    "slots with little in them": (
        {"requestsPerSecond": 15, "ttlSeconds": 100, "objectBytes": 20_000},
        {"mode": "copy"},
        4.4,
    ),
    "ownership alone": (
        {"requestsPerSecond": 15, "ttlSeconds": 100, "objectBytes": 20_000},
        {"mode": "expire", "extraMissesPerSecond": 10**9},
        3.7,
    ),
}
"""Workload, way and seconds of moves of all slots from four masters (docs/reference/redis.md, "Moving slots")."""


NATIVE = ("redis:8.6-alpine", "valkey/valkey:9.1-alpine")
MEASURED_NATIVELY = {
    "2 GB with their keys": (1.6, 2.6),
    "slots with little in them": (0.5, 0.8),
}
"""Seconds by the servers of NATIVE themselves (docs/moving.md)."""


@pytest.mark.parametrize("name", MEASURED_NATIVELY)
@pytest.mark.parametrize("image", NATIVE)
def test_a_prediction_of_what_servers_move_themselves_is_within_twice(name: str, image: str) -> None:
    seconds = MEASURED_NATIVELY[name][NATIVE.index(image)]
    workload, resize, by_the_mover = MEASURED[name]
    found = predicted(total="256GB", workload=workload, image=image, **resize)
    assert seconds / 2 <= found.seconds <= 2 * seconds < by_the_mover * 2


@pytest.mark.parametrize("image", NATIVE)
def test_servers_that_move_slots_themselves_are_faster_and_without_keys_as_fast_as_others(image: str) -> None:
    found, other = predicted(image=image), predicted()
    assert found.copy_seconds < other.copy_seconds
    assert found.copy_bytes_per_second_per_master == pytest.approx(450 / 400 * other.copy_bytes_per_second_per_master)
    assert found.slots_seconds == SLOT_COUNT / NATIVE_SLOTS_PER_SECOND
    assert found.expire_seconds == other.expire_seconds


@pytest.mark.parametrize("name", MEASURED)
def test_a_prediction_is_within_twice_of_what_was_measured(name: str) -> None:
    workload, resize, seconds = MEASURED[name]
    found = predicted(total="256GB", workload=workload, **resize)
    assert seconds / 2 <= found.seconds <= 2 * seconds


def test_the_slots_take_their_time_even_of_an_empty_cache() -> None:
    empty = predicted(workload={"hitRate": NO_MISSES})
    assert empty.copy_seconds == empty.slots_seconds == SLOTS
    assert predicted(mode="expire", workload={"hitRate": NO_MISSES}).seconds == SLOTS


SMALL = {"objectBytes": 1_000, "requestsPerSecond": 100_000, "hitRate": 0.9, "ttlSeconds": 1_000}


@pytest.mark.parametrize(("image", "keys_per_second"), [("redis:7.4-alpine", 60_000), (NATIVE[0], 10 * 60_000)])
def test_small_images_take_the_time_of_their_keys_and_not_of_their_bytes(image: str, keys_per_second: int) -> None:
    found = predicted(image=image, workload=SMALL)
    assert found.expire_extra_misses == 10_000_000
    assert found.copy_seconds - found.slots_seconds == pytest.approx(10_000_000 / keys_per_second)


@pytest.mark.parametrize("image", NATIVE)
def test_a_job_s_time_is_enough_where_not_both_servers_can_move_slots_themselves(image: str) -> None:
    found, other = predicted(image=image, mode="copy"), predicted(mode="copy")
    # Slots of a Valkey take longer, where the Job moves them.
    assert 0.999 * other.copy_full_seconds <= found.copy_full_by_job_seconds <= other.copy_full_seconds + 12
    assert found.deadline_seconds == int(3 * found.copy_full_by_job_seconds) + 1
    assert other.copy_by_job_seconds == other.copy_seconds
