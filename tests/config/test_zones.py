"""Names of availability zones and regions."""

import botocore.session
import pytest

from components.config.zones import REGIONS, check_region, letter_of, region_fault, region_of


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


@pytest.mark.parametrize("region", REGIONS)
def test_every_region_has_zones(region: str) -> None:
    assert (region_of(f"{region}a"), letter_of(f"{region}a")) == (region, "a")


def test_the_regions_are_those_of_aws() -> None:
    session = botocore.session.get_session()
    partitions = session.get_available_partitions()
    assert {*REGIONS} == {name for part in partitions for name in session.get_available_regions("eks", part)}


@pytest.mark.parametrize(
    ("region", "meant"), [("us-esat-1", "us-east-1"), ("US_EAST_2", "us-east-2"), ("eu-wset-1", "eu-west-1")]
)
def test_a_region_that_is_nearly_right_is_answered_with_the_right_spelling(region: str, meant: str) -> None:
    with pytest.raises(ValueError, match=rf"no region of AWS; did you mean {meant}\?$"):
        check_region(region, region)


def test_what_is_far_from_any_region_is_answered_with_all_of_them() -> None:
    with pytest.raises(ValueError, match=r"the regions are af-south-1, .*us-west-2$"):
        check_region("Frankfurt", "Frankfurt")


@pytest.mark.parametrize(
    ("region", "fragment"),
    [
        ("us-east-1", None),
        (None, None),
        ("us-esat-1", "aws:region = us-esat-1: no region of AWS; did you mean us-east-1?"),
        ("eu-west-1", "aws:region = eu-west-1 with eks.subnets in us-east-1a, us-east-1b: "),
    ],
)
def test_a_region_beside_the_zones_of_its_subnets(region: str | None, fragment: str | None) -> None:
    found = region_fault(region, ("us-east-1a", "us-east-1b"))
    assert (found is None) == (fragment is None)
    assert fragment is None or (found or "").startswith(fragment)


def test_a_stack_without_subnets_may_have_any_region() -> None:
    assert region_fault("nowhere", ()) is None
