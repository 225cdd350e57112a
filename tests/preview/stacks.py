"""Stacks for tests of what is shown."""

import re
from functools import cache

from hypothesis import strategies as st

from components.advice.advice import Advice, derive_advice
from components.config.settings import Settings
from tests.plan.stacks import ZONES, option_1, stack


@cache
def option_1_advice() -> Advice:
    """The sizing document's Option 1, planned once."""
    return derive_advice(option_1())


@st.composite
def stacks(draw: st.DrawFn) -> Settings:
    """Any stack that a config could say, whether a plan holds for it or not."""
    pod = draw(st.sampled_from(["256MB", "4GB", "64GB", "96GB", "512GB"]))
    masters = draw(st.integers(3, 60))
    number = int(re.sub(r"\D", "", pod))
    zones = draw(st.sampled_from([None, ZONES, ZONES[:1]]))
    return stack(
        pod,
        f"{masters * number}{pod[-2:]}",
        replicas=draw(st.sampled_from([1, 1, 2])),
        zones=zones,
        nodes={"allowFewerZones": True},
        requestsPerSecond=draw(st.integers(1, 60_000)),
        objectBytes=draw(st.integers(1, 4_000_000)),
        ttlSeconds=draw(st.integers(1, 90_000)),
        hitRate=draw(st.sampled_from([0.0, 0.3, 0.8, 1.0])),
    )
