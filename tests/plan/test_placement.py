"""Which zone each pod lives in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.plan.placement import pods_per_zone, zone_of

ZONES = ("a", "b", "c")


@pytest.mark.parametrize(
    ("copy", "ordinal", "zone"),
    [(0, 0, "a"), (0, 1, "b"), (1, 0, "b"), (1, 1, "c"), (1, 2, "a"), (0, 3, "a"), (2, 1, "a")],
)
def test_each_copy_lives_one_zone_further_on(copy: int, ordinal: int, zone: str) -> None:
    assert zone_of(copy, ordinal, ZONES) == zone


@given(st.integers(1, 4), st.integers(1, 40), st.integers(1, 6))
def test_copies_are_in_different_zones_and_roles_are_even(copies: int, shards: int, zones: int) -> None:
    names = tuple("abcdef"[:zones])
    for ordinal in range(shards):
        assert len({zone_of(copy, ordinal, names) for copy in range(copies)}) == min(copies, zones)
    counts = pods_per_zone(copies, shards, names)
    assert tuple(counts) == names
    for copy in range(copies):
        of_role = [counts[zone][copy] for zone in names]
        assert sum(of_role) == shards
        assert max(of_role) - min(of_role) <= 1
