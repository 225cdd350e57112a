"""The Job *validation* in the sandbox: it leaves its report, and fails an update that misses its goal."""

from __future__ import annotations

import os

import pytest

from preview.evaluate import evaluate
from sandbox.control.client import Sandbox
from sandbox.errors import ApplyError

pytestmark = [pytest.mark.sandbox, pytest.mark.second_look]

ASKED = {"validation.enabled": "true", "validation.requestsPerSecond": "5", "validation.seconds": "5"}
MET = {"validation.p95LatencyMs": "60000"}
MISSED = {"validation.p95LatencyMs": "1", "workload.objectBytes": "4000000"}
"""4 MB within a millisecond would be 32 Gbit/s and no work at all."""


def report(sandbox: Sandbox) -> list[str]:
    """The logs of all Jobs of the load, the oldest first."""
    names = [name for name, pod in sandbox.pods().items() if pod["labels"].get("phase") == "validation"]
    return [sandbox.logs(name) for name in names]


def test_an_update_that_misses_its_goal_fails_and_says_by_how_much_and_one_that_meets_it_ends() -> None:
    with Sandbox(f"test-validation-{os.getpid()}") as sandbox:
        with pytest.raises(ApplyError, match=r"missed: p95 is [\d.,]+ ms, wanted 1 ms"):
            sandbox.apply(evaluate("local", ASKED | MISSED).resources)
        sandbox.apply(evaluate("local", ASKED | MET).resources)
        assert any("images/s" in log and "p95" in log and "missed" not in log for log in report(sandbox))


def test_with_tls_required_the_load_is_encrypted_and_its_report_is_as_without() -> None:
    encrypted = {"tls.mode": "required", "tls.issuer": "redis-ca"}
    with Sandbox(f"test-validation-tls-{os.getpid()}") as sandbox:
        evaluation = evaluate("local", ASKED | MET | encrypted)
        sandbox.apply(evaluation.resources)
        (log,) = report(sandbox)
        assert "images/s" in log
        assert "missed" not in log
        # Nobody listens without TLS, so that the load cannot have come in another way.
        pod = "redis-master-0"
        settings = sandbox.exec(pod, ["redis-cli", "CONFIG", "GET", "port"], namespace=evaluation.plan.pool).check()
        assert settings.stdout.split() == ["port", "0"]
