"""Names of availability zones."""

import pytest

from components.config.zones import letter_of, region_of


@pytest.mark.parametrize(
    ("zone", "region", "letter"),
    [
        ("us-east-1a", "us-east-1", "a"),
        ("ap-northeast-12d", "ap-northeast-12", "d"),
        ("us-gov-west-1b", "us-gov-west-1", "b"),
    ],
)
def test_a_zone_names_its_region_and_its_letter(zone: str, region: str, letter: str) -> None:
    assert (region_of(zone), letter_of(zone)) == (region, letter)


@pytest.mark.parametrize(
    "zone",
    ["us-east-1", "us-east-1-bos-1a", "use1-az1", "", "eu-west-1ab", "use-east-1a", "us-1a", "us-east-a", "us-east-1A"],
)
def test_what_is_no_zone_is_refused_by_name(zone: str) -> None:
    with pytest.raises(ValueError, match=f"^{zone} is no availability zone"):
        region_of(zone)
    with pytest.raises(ValueError, match="is no availability zone"):
        letter_of(zone)


@pytest.mark.parametrize(
    ("zone", "meant"),
    [
        ("us-east1-a", "us-east-1a"),
        ("US-EAST-1A", "us-east-1a"),
        (" us_east_1b ", "us-east-1b"),
        ("eu west 1c", "eu-west-1c"),
        ("us-gov-west1-b", "us-gov-west-1b"),
    ],
)
def test_a_zone_that_is_nearly_right_is_answered_with_the_right_spelling(zone: str, meant: str) -> None:
    with pytest.raises(ValueError, match=rf"did you mean {meant}\?$"):
        region_of(zone)


def test_what_is_far_from_any_zone_is_answered_with_an_example() -> None:
    with pytest.raises(ValueError, match=r"such as us-east-1a$"):
        region_of("Frankfurt")
