"""What a stack gives away is said by a name that CI can ask for, and goes with its cause."""

from typing import Any

import pytest

from components.advice.advice import derive_advice
from components.advice.plan_warning import PlanWarning
from preview.thresholds import failures, threshold
from tests.plan.stacks import BY_TAG, stack

DIGEST = f"sha256:{'0123456789abcdef' * 4}"
PINNED = {"redis": f"redis:7.4-alpine@{DIGEST}", "python": f"python:3.13-alpine@{DIGEST}"}
EXPORTER = f"oliver006/redis_exporter:v1.92.1@{DIGEST}"


def plan(**config: Any) -> Any:
    return derive_advice(stack("4GB", "64GB", zones=None, requestsPerSecond=500, ttlSeconds=300, **config))


def said(**config: Any) -> tuple[PlanWarning, ...]:
    return tuple(warning for warning in plan(**config).warnings if warning.code == "images-not-pinned")


def test_production_is_told_which_images_have_no_digest_and_how_to_find_it() -> None:
    (warning,) = said()
    assert "There is no digest in images.redis and images.python." in warning.what
    assert "images.exporter" not in warning.what, "nobody runs it"
    assert f"images.tagsBecause says why: {BY_TAG['tagsBecause']}." in warning.what
    assert "imagetools inspect redis:7.4-alpine" in warning.change
    (one,) = said(images={**PINNED, "python": "python:3.13-alpine"})
    assert one.what.startswith("There is no digest in images.python. ")
    (mirrored,) = said(images={"registry": "mirror.example.com"})
    assert "imagetools inspect mirror.example.com/library/redis:7.4-alpine" in mirrored.change


def test_with_every_digest_that_runs_nothing_is_said() -> None:
    assert said(images=PINNED) == ()
    watched = {"exporter": True}
    (warning,) = said(images=PINNED, monitoring=watched)
    assert warning.what.startswith("There is no digest in images.exporter. ")
    assert said(images={**PINNED, "exporter": EXPORTER}, monitoring=watched) == ()


def test_outside_production_tags_are_enough() -> None:
    assert said(nodes={"production": False}) == ()


@pytest.mark.parametrize(("images", "fails"), [({}, True), (PINNED, False)])
def test_ci_can_refuse_images_without_a_digest(images: dict[str, str], fails: bool) -> None:
    asked = threshold("warning=images-not-pinned")
    assert bool(failures([asked], plan(images=images))) == fails
