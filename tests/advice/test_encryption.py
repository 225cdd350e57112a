"""What the plan says of TLS: that it is missing, and what it takes of the core."""

from __future__ import annotations

import re

import pytest

from components.advice.advice import derive_advice
from components.advice.encryption import core_share_with_tls
from components.advice.figures import derive_figures
from components.config.settings import Settings
from tests.plan.stacks import NO_TLS, TLS, option_1, option_2, stack

CODES = {"no-tls", "port-without-tls", "tls-takes-core"}


def warned(settings: Settings) -> dict[str, str]:
    return {item.code: str(item) for item in derive_advice(settings).warnings if item.code in CODES}


@pytest.mark.parametrize(
    ("tls", "codes"),
    [(NO_TLS, {"no-tls"}), ({"mode": "both"}, {"port-without-tls"}), (TLS, set())],
)
def test_production_is_warned_of_each_port_without_tls(tls: dict[str, str], codes: set[str]) -> None:
    # So few requests that the core has room in any case.
    assert warned(option_1(tls=tls, requestsPerSecond=800)).keys() == codes
    assert not warned(option_1(tls={"mode": tls["mode"]}, requestsPerSecond=800, nodes={"production": False}))


def test_the_reason_for_no_tls_stands_in_the_warning() -> None:
    assert NO_TLS["plainBecause"] in warned(option_1())["no-tls"]


def test_a_core_that_tls_fills_by_more_than_half_is_warned_of_with_a_change_that_helps() -> None:
    for settings, percent in ((option_1(tls=TLS), 63), (option_2(tls=TLS), 127)):
        assert round(100 * core_share_with_tls(settings, derive_figures(settings))) == percent
        text = warned(settings)["tls-takes-core"]
        assert f"With TLS a master uses {percent} % of its one core" in text
        found = re.search(r"--set podMemory=(\w+)", text)
        assert found is not None, text
        assert not warned(stack(found[1], tls=TLS))
