"""From the memory of a pod and of all masters to pods and their resources."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.config.units import GIB, MIB
from components.plan.sizing import OVERHEAD_FACTOR, derive_sizing
from components.plan.traffic import (
    SINGLE_FLOW_BYTES_PER_SECOND,
    SINGLE_FLOW_GBPS,
    bytes_per_second,
    derive_traffic,
    misses_per_second,
)
from tests.plan.stacks import stack


@pytest.mark.parametrize(
    ("pod", "total", "masters"),
    [("64GB", "1TB", 16), ("64GB", "1025GB", 17), ("64GB", "1023GB", 16), ("64GB", "192GB", 3), ("48GB", "1TB", 22)],
)
def test_masters_are_enough_for_all_the_memory_and_no_more(pod: str, total: str, masters: int) -> None:
    sizing = derive_sizing(stack(pod, total, zones=None))
    assert sizing.masters == masters
    assert sizing.usable_memory_bytes == masters * sizing.pod_memory_bytes
    assert sizing.blast_radius_percent == 100 / masters


@pytest.mark.parametrize("replicas", [1, 2, 3])
def test_every_master_has_its_replicas(replicas: int) -> None:
    sizing = derive_sizing(stack("64GB", "320GB", replicas=replicas, zones=None))
    assert (sizing.masters, sizing.replicas, sizing.pods) == (5, 5 * replicas, 5 * (1 + replicas))
    assert sizing.copies_per_shard == 1 + replicas
    assert sizing.replicas_per_master == replicas


@pytest.mark.parametrize(
    ("pod", "request_mib", "limit_mib"),
    [
        ("256MB", 307, 368),
        # Whole GiB from 8 GiB on; below, whole GiB would be too coarse.
        ("8191MB", 9829, 11795),
        ("8GB", 10 * 1024, 12 * 1024),
        ("9GB", 11 * 1024, 13 * 1024),
        ("64GB", 77 * 1024, 92 * 1024),
    ],
)
def test_request_and_limit_are_a_fifth_more_each(pod: str, request_mib: int, limit_mib: int) -> None:
    sizing = derive_sizing(stack(pod, "1TB" if pod.endswith("GB") else "32GB", zones=None))
    assert (sizing.request_memory_mib, sizing.limit_memory_mib) == (request_mib, limit_mib)
    assert sizing.limit_memory_mib * MIB / sizing.pod_memory_bytes == pytest.approx(OVERHEAD_FACTOR**2, rel=0.05)


def test_a_volume_is_as_large_as_the_memory_request_or_as_it_is_asked_for() -> None:
    derived, asked = derive_sizing(stack(zones=None)), derive_sizing(stack(zones=None, storage={"size": "1536MB"}))
    assert derived.volume_mib == derived.request_memory_mib
    assert (asked.volume_mib, asked.total_volume_mib) == (1536, 32 * 1536)


@given(st.integers(1, 512), st.integers(3, 60), st.integers(1, 3))
def test_totals_are_those_of_all_pods(pod_gib: int, masters: int, replicas: int) -> None:
    sizing = derive_sizing(stack(f"{pod_gib}GB", f"{pod_gib * masters}GB", replicas=replicas, zones=None))
    assert sizing.total_memory_bytes == masters * pod_gib * GIB
    assert sizing.pods == masters * (1 + replicas)
    assert sizing.total_request_memory_mib == sizing.pods * sizing.request_memory_mib
    assert sizing.total_limit_memory_mib == sizing.pods * sizing.limit_memory_mib
    assert sizing.total_cpu_millicores == sizing.pods * sizing.cpu_millicores == sizing.pods * 1000
    assert sizing.total_volume_mib == sizing.pods * sizing.volume_mib
    assert sizing.maxmemory == f"{pod_gib}gb"


def test_traffic_of_ten_masters_with_two_replicas() -> None:
    settings = stack("64GB", "640GB", replicas=2, zones=None, requestsPerSecond=1000, objectBytes=500_000, hitRate=0.75)
    traffic = derive_traffic(settings, derive_sizing(settings))
    assert traffic.writes_per_second == 250
    # 1,000 x 500,000 bytes x 8 bits.
    assert (traffic.read_gbps, traffic.read_gbps_per_master) == (4.0, 0.4)
    assert (traffic.write_gbps, traffic.write_gbps_per_master) == (1.0, 0.1)
    assert (traffic.replication_gbps, traffic.replication_gbps_per_master) == (2.0, 0.2)
    assert traffic.egress_gbps_per_master == pytest.approx(0.6)


@pytest.mark.parametrize(("hit_rate", "misses"), [(None, 1600.0), (0.0, 8000.0), (1.0, 0.0), (0.9, 800.0)])
def test_what_is_not_a_hit_is_a_miss(hit_rate: float | None, misses: float) -> None:
    assert misses_per_second(stack(zones=None).workload, hit_rate) == misses


def test_eight_bits_are_a_byte() -> None:
    assert bytes_per_second(10) == 1.25e9
    assert bytes_per_second(SINGLE_FLOW_GBPS) == SINGLE_FLOW_BYTES_PER_SECOND == 625_000_000
    assert isinstance(SINGLE_FLOW_BYTES_PER_SECOND, int)
