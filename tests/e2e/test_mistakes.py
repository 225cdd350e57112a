"""Edits that cannot work stop at the first pod and say why; what is right rolls on. The rows of docs/failures.md."""

from __future__ import annotations

import re

import pytest
from _pytest.mark.structures import ParameterSet

from tests.e2e.harness.local import PASSWORD, LocalStack
from tests.e2e.mistakes import MISTAKES, Mistake

pytestmark = pytest.mark.e2e_long
_STOPS_WITHIN_S = 400.0
"""Far beyond what the slowest takes; an update that waits for a Job's or a roll's own deadline takes longer."""


def row(mistake: Mistake) -> ParameterSet:
    """The mistake as a case of a test. One that leaves the stack broken is the last."""
    return pytest.param(mistake, id=re.sub(r"\W+", "-", mistake.name))


@pytest.mark.parametrize("mistake", [row(mistake) for mistake in MISTAKES])
def test_a_mistake_stops_at_the_first_pod_with_its_reason_and_the_corrected_edit_rolls_on(
    local: LocalStack, mistake: Mistake
) -> None:
    before = {name: pod["metadata"]["uid"] for name, pod in local.pods().items()}
    with local.load() as load:
        with mistake.broken(local.kube):
            run = local.edit(**mistake.settings)
        assert not run.succeeded
        assert run.seconds < _STOPS_WITHIN_S
        for text in mistake.reads:
            assert text in run.output
        after = {name: pod["metadata"]["uid"] for name, pod in local.pods().items()}
        assert tuple(name for name, uid in before.items() if after.get(name) != uid) == mistake.touched

        if mistake.needs_refresh:
            local.engine.refresh().ok()
        local.edit(**{key: {"password": PASSWORD} if key == "access" else None for key in mistake.settings}).ok()
        load.end().is_whole()
    assert set(local.pods()) == set(before)
    assert local.engine.preview().ok().changes == []
