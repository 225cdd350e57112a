"""The prediction of both ways of moving, and the choice between them."""

from hypothesis import given, settings
from hypothesis import strategies as st

from components.config.choices import MoveMode
from components.config.settings import Settings
from components.config.units import GIB, MIB
from components.plan.resize import Resize, derive_resize
from components.plan.servers import server_figures
from components.plan.sizing import derive_sizing
from components.plan.traffic import derive_traffic
from components.plan.working_set import derive_working_set
from tests.resources.stacks import stack

TTLS = st.integers(1, 86_400)
BOUNDS_MIB = st.integers(1, 50_000)
GBPS = st.floats(0.1, 100)


def predicted(
    mode: str = "auto",
    ttl_seconds: int = 300,
    max_mib_per_second: int = 2000,
    misses: int = 400,
    gbps_per_master: float = 10,
    requests_per_second: int = 8000,
    pod_memory: str = "64GB",
) -> Resize:
    chosen = Settings.model_validate(
        {
            "podMemory": pod_memory,
            "totalMemory": "1TB",
            "replicasPerMaster": 1,
            "kubeContext": "kind",
            "workload": {"ttlSeconds": ttl_seconds, "requestsPerSecond": requests_per_second},
            "eks": None,
            "nodes": {},
            "storage": {},
            "monitoring": {},
            "access": {},
            "images": {},
            "resize": {"mode": mode, "maxMibPerSecond": max_mib_per_second, "extraMissesPerSecond": misses},
        }
    )
    sizing = derive_sizing(chosen)
    working_set = derive_working_set(chosen.workload, sizing, GIB, server_figures(chosen.images.server.line))
    return derive_resize(chosen, sizing, derive_traffic(chosen, sizing), working_set, gbps_per_master)


@given(BOUNDS_MIB, BOUNDS_MIB, GBPS, GBPS)
def test_a_higher_bound_or_a_faster_network_never_takes_longer(one: int, other: int, slow: float, fast: float) -> None:
    (low, high), (slower, faster) = sorted((one, other)), sorted((slow, fast))

    first = predicted(max_mib_per_second=low, gbps_per_master=slower)
    second = predicted(max_mib_per_second=high, gbps_per_master=faster)

    assert second.copy_seconds <= first.copy_seconds
    assert second.copy_full_seconds <= first.copy_full_seconds


@given(BOUNDS_MIB, GBPS, st.integers(1, 50_000), TTLS)
def test_no_bound_is_exceeded_and_no_deadline_is_shorter_than_the_move(
    bound_mib: int, gbps: float, requests_per_second: int, ttl_seconds: int
) -> None:
    found = predicted(
        max_mib_per_second=bound_mib,
        gbps_per_master=gbps,
        requests_per_second=requests_per_second,
        ttl_seconds=ttl_seconds,
    )

    least = MIB  # the turn a move always takes
    assert found.copy_bytes_per_second_per_master <= max(least, bound_mib * MIB / 16)
    assert found.copy_bytes_per_second_per_master <= max(least, gbps * 1e9 / 8, 625_000_000)
    assert found.copy_seconds <= found.copy_full_seconds
    assert found.deadline_seconds >= 2 * found.seconds
    assert found.expire_seconds >= found.expire_extra_misses / found.extra_misses_per_second


@settings(max_examples=50)
@given(TTLS, BOUNDS_MIB)
def test_ownership_alone_is_the_default_only_where_it_adds_at_most_a_tenth_to_the_misses(
    ttl_seconds: int, bound_mib: int
) -> None:
    found = predicted(ttl_seconds=ttl_seconds, max_mib_per_second=bound_mib)

    # In the time of a copy, at the default hit rate and 8,000 requests/s:
    misses_anyway = 1600 * found.copy_seconds
    if found.mode is MoveMode.EXPIRE:
        assert found.expire_extra_misses <= misses_anyway / 10 * 1.001
    else:
        # Handing over the slots takes its time in both modes.
        assert found.copy_seconds - found.slots_seconds <= 10 * ttl_seconds


def test_the_mode_that_is_asked_for_is_taken() -> None:
    assert predicted(mode="expire").mode is MoveMode.EXPIRE
    assert predicted(mode="copy", ttl_seconds=1, max_mib_per_second=1).mode is MoveMode.COPY


def test_one_terabyte_takes_minutes_either_way_and_the_plan_says_what_bounds_it() -> None:
    copy, expire = predicted(), predicted(mode="expire")

    assert copy.mode is MoveMode.COPY
    assert copy.copy_bound_by == "config"
    assert round(copy.copy_seconds) == 233  # 4 s for the slots, and 480,000 images of 1 MB at 2,000 MiB/s
    assert round(copy.copy_full_seconds) == 529
    assert expire.seconds == 1200
    assert expire.expire_extra_misses == 480_000
    assert predicted(max_mib_per_second=20_000).copy_bound_by == "core"
    assert predicted(max_mib_per_second=20_000, gbps_per_master=5.5).copy_bound_by == "network"


def test_the_jobs_are_told_what_the_plan_says_and_wait_for_it() -> None:
    evaluation = stack("prod")
    plan = evaluation.plan
    specs = {
        item.inputs["metadata"]["labels"]["phase"]: item.inputs["spec"]
        for item in evaluation.resources
        if item.kind == "Job"
    }
    check, *jobs = specs.pop("check"), *specs.values()

    assert plan.to_json()["resize"]["mode"] == "copy"
    assert check["activeDeadlineSeconds"] <= 120
    assert jobs
    for job in jobs:
        assert job["activeDeadlineSeconds"] > plan.tuning.form_deadline_seconds + 2 * plan.resize.copy_full_seconds
