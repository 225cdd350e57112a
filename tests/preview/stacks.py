"""Stacks for tests of what is shown."""

import re
from functools import cache

from hypothesis import strategies as st

from components.advice.advice import Advice, derive_advice
from components.config.settings import Settings
from tests.plan.stacks import NO_MISSES, ZONES, option_1, stack


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
        hitRate=draw(st.sampled_from([0.0, 0.3, 0.8, NO_MISSES])),
    )


@st.composite
def extreme_stacks(draw: st.DrawFn) -> Settings:
    """From one request a second to millions, from 3 masters to 500, from a byte to 512 MiB: the ends of what a config
    could say, where a figure is far too large or too small for its usual form."""
    pod = draw(st.sampled_from(["64MB", "1GB", "64GB", "128GB", "700GB"]))
    masters = draw(st.sampled_from([3, 4, 60, 299, 480, 500]))
    number = int(re.sub(r"\D", "", pod))
    return stack(
        pod,
        f"{masters * number}{pod[-2:]}",
        replicas=draw(st.sampled_from([1, 2])),
        zones=draw(st.sampled_from([None, ZONES])),
        storage=draw(st.sampled_from([{}, {"size": "1GB"}])),
        requestsPerSecond=draw(st.sampled_from([1, 10, 8_000, 400_000, 20_000_000])),
        objectBytes=draw(st.sampled_from([1, 100, 10_000, 1_000_000, 512 * 2**20])),
        ttlSeconds=draw(st.sampled_from([1, 300, 86_400, 31_536_000])),
        hitRate=draw(st.sampled_from([0.0, 0.5, 0.9999, NO_MISSES])),
    )
