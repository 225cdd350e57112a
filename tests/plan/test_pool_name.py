"""A pool's name says what cannot change in place, and nothing else."""

from typing import Any

import pytest

from components.plan.pool_name import digest, pool_name
from components.plan.sizing import derive_sizing
from tests.plan.stacks import ZONES, stack


def name(**changes: Any) -> str:
    settings = stack(**changes)
    return pool_name(settings, derive_sizing(settings))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "redis-64gb"),
        ({"pod": "1536MB", "total": "16GB"}, "redis-1536mb"),
        ({"zones": None}, "redis-64gb"),
        # The size of the volume is named only where it is not the pod's memory request.
        ({"storage": {"size": "77GB"}}, "redis-64gb"),
        ({"storage": {"size": "78GB"}}, "redis-64gb-vol78gb"),
        ({"storage": {"size": "76GB"}}, "redis-64gb-vol76gb"),
        ({"zones": (*ZONES, "us-east-1d")}, "redis-64gb-az-abcd"),
        ({"zones": ("us-east-1d", "us-east-1b", "us-east-1a")}, "redis-64gb-az-abd"),
        ({"zones": ("eu-west-1a", "eu-west-1b", "eu-west-1c")}, "redis-64gb"),
        ({"storage": {"className": "gp3"}}, "redis-64gb-sc-gp3"),
        ({"storage": {"className": "g"}}, "redis-64gb-sc-g"),
        ({"storage": {"className": "a" * 20}}, f"redis-64gb-sc-{'a' * 20}"),
        ({"storage": {"className": "a" * 21}}, f"redis-64gb-sc-{digest('a' * 21)}"),
        ({"storage": {"className": "gp3.encrypted"}}, f"redis-64gb-sc-{digest('gp3.encrypted')}"),
        ({"storage": {"className": "gp3-"}}, f"redis-64gb-sc-{digest('gp3-')}"),
        (
            {"zones": (*ZONES, "us-east-1d"), "storage": {"size": "20GB", "className": "gp3"}},
            "redis-64gb-vol20gb-az-abcd-sc-gp3",
        ),
    ],
)
def test_a_pool_is_named_after_what_cannot_change_in_place(changes: dict[str, Any], expected: str) -> None:
    assert name(**changes) == expected


def test_zones_of_two_regions_are_named_by_a_digest() -> None:
    zones = ("us-east-1a", "us-east-1b", "eu-west-1c")
    assert name(zones=zones) == f"redis-64gb-az-{digest(*sorted(zones))}"


def test_a_digest_has_six_characters_and_differs_where_its_parts_do() -> None:
    assert len(digest("a")) == 6
    assert len({digest("a", "b"), digest("ab"), digest("b", "a"), digest("a")}) == 4
