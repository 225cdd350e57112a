"""Changes that cannot be made are refused in words, and leave the cluster as it was."""

from __future__ import annotations

import pytest

from sandbox.errors import ApplyError
from tests.resize.content import fill
from tests.resize.harness import stack

pytestmark = pytest.mark.sandbox


def test_a_shrink_to_masters_that_cannot_hold_the_content_is_refused_and_moves_nothing() -> None:
    with stack("resize-refused", podMemory="48MB", totalMemory="192MB") as living:
        # 4 masters of 48 MB; 140 MB would leave each of 3 without room for anything else.
        assert fill(living, 280) == 280
        before = living.masters()
        assert len(before) == 4

        with pytest.raises(ApplyError) as refused:
            living.edit(totalMemory="144MB")

        assert "BackoffLimitExceeded after 1 failure" in str(refused.value)
        assert "maxmemory" in str(refused.value)
        assert "Nothing was moved" in str(refused.value)
        assert living.masters() == before
        assert sum(pod["ready"] for pod in living.deployment.pods().values()) == 8

        living.edit(totalMemory="192MB")
        assert living.masters() == before
