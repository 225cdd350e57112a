"""No two config keys edited at once, or one after the other, endanger anything that holds slots: every pair of keys.

There are hundreds of pairs, and each evaluates the stack twice: `make test` takes a sample, `make test-long` the rest.
"""

from __future__ import annotations

import random
from itertools import combinations

import pytest
from _pytest.mark.structures import ParameterSet

from preview.errors import EvaluationError
from tests.resize.edits import EDITS, assert_safe, evaluated, frozen

pytestmark = pytest.mark.long

REFUSED = [
    ("storage.iops", "storage.className"),
    ("storage.throughputMibPerSecond", "storage.className"),
    ("storage.kmsKeyId", "storage.className"),
    *(("access.nodeEndpoint", key) for key in EDITS if key.startswith("tls.") and key != "tls.plainBecause"),
    *((key, "tls.secret") for key in ("tls.issuer", "tls.issuerKind", "tls.issuerGroup")),
    ("tls.secret", "tls.authority"),
    ("tls.secret", "tls.clientCertificates"),
    ("images.redis", "images.redisVersion"),
]
"""A StorageClass that is there already is not shaped by the config. Certificates have names and no addresses, and come
from an issuer or from a Secret. An image is not of two versions."""

ONE_AFTER_THE_OTHER = 16


def both(pair: tuple[str, str]) -> dict[str, str]:
    return dict(frozen(*(EDITS[key][0] for key in pair)))


PAIRS = [pair for pair in combinations(EDITS, 2) if pair not in REFUSED]
SAMPLE = frozenset(random.Random(1).sample(PAIRS, 60))


def marked(pair: tuple[str, str]) -> ParameterSet:
    return pytest.param(pair, id="+".join(pair), marks=() if pair in SAMPLE else pytest.mark.second_look)


@pytest.mark.parametrize("pair", [marked(pair) for pair in PAIRS])
def test_two_keys_edited_at_once_endanger_nothing_that_holds_slots(pair: tuple[str, str]) -> None:
    assert_safe({}, both(pair))


@pytest.mark.parametrize("pair", REFUSED, ids="+".join)
def test_keys_that_contradict_each_other_are_refused_before_anything_changes(pair: tuple[str, str]) -> None:
    with pytest.raises(EvaluationError, match="nothing was changed"):
        evaluated(frozen(both(pair)))


@pytest.mark.parametrize("number", range(ONE_AFTER_THE_OTHER))
def test_any_edit_after_any_other_endangers_nothing_that_holds_slots(number: int) -> None:
    choice = random.Random(number)
    first, second = (choice.choice(EDITS[key]) for key in choice.sample(sorted(EDITS), 2))
    assert_safe(first, dict(frozen(first, second)))
