"""The form Job is killed at random moments; the update is done anew."""

from __future__ import annotations

import os

import pytest

from sandbox.control.client import Sandbox
from tests.faults import planned
from tests.faults.stacks import local_stack

pytestmark = pytest.mark.sandbox


def test_a_form_killed_at_random_moments_reaches_the_same_end_state() -> None:
    with Sandbox(f"test-jobs-{os.getpid()}") as sandbox:
        killed, deployment = planned.form_killed(sandbox, local_stack(), planned.moments(41, 2, 4.0))
        assert killed > 0
        assert planned.end_state(deployment) == planned.wanted_state()
