"""Sizes as people write them, there and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.config.units import GIB, MIB, TIB, format_size, kubernetes_quantity, parse_size


@given(st.integers(1, 10**7))
def test_a_size_is_read_back_from_its_spelling(size_mib: int) -> None:
    assert parse_size(format_size(size_mib * MIB)) == size_mib * MIB


@given(st.integers(1, 10**6), st.sampled_from(["MB", "GB", "TB"]))
def test_a_spelling_is_shortened_but_never_changed_in_value(number: int, unit: str) -> None:
    shortest = format_size(parse_size(f"{number}{unit}"))
    assert parse_size(shortest) == parse_size(f"{number}{unit}")
    assert len(shortest) <= len(f"{number}{unit}")


@given(st.integers(1, 10**7))
def test_a_kubernetes_quantity_keeps_the_value(size_mib: int) -> None:
    text = kubernetes_quantity(size_mib)
    assert int(text[:-2]) * (1024 if text.endswith("Gi") else 1) == size_mib


def test_units_are_binary_as_in_redis() -> None:
    assert (parse_size("64GB"), parse_size("1TB"), parse_size("256MB")) == (64 * GIB, TIB, 256 * MIB)
    assert kubernetes_quantity(78_848) == "77Gi"
    assert (MIB, GIB, TIB) == (2**20, 2**30, 2**40)


@pytest.mark.parametrize("text", ["64", "GB", "64gb", "64 GB", "1.5TB", "-1GB", "0GB", "64GiB", ""])
def test_what_is_no_size_is_refused_with_the_rule(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be .*64GB"):
        parse_size(text)


@pytest.mark.parametrize("size_bytes", [0, 1, MIB + 1, -MIB])
def test_what_is_no_whole_number_of_mb_has_no_spelling(size_bytes: int) -> None:
    with pytest.raises(ValueError, match="no whole number of MB"):
        format_size(size_bytes)
