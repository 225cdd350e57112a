"""No secret in sight, in a stack with all that it may have: exporters, TLS, and the Job *validation*."""

from __future__ import annotations

import os

import pytest

from components.manifests import names
from preview.evaluate import evaluate
from sandbox.control.client import Sandbox
from tests.stack.secrets_found import Search, in_logs, passwords
from tests.stack.test_up import IN_ENVIRONMENTS

pytestmark = [pytest.mark.sandbox, pytest.mark.second_look]

EVERYTHING = {
    "monitoring.exporter": "true",
    "tls.mode": "required",
    "tls.issuer": "redis-ca",
    "validation.enabled": "true",
    "validation.requestsPerSecond": "5",
    "validation.seconds": "5",
    "validation.p95LatencyMs": "60000",
}


def test_no_secret_is_in_an_argument_or_a_log_and_none_in_an_environment_but_where_it_must() -> None:
    evaluation = evaluate("local", EVERYTHING)
    secrets = passwords(evaluation)
    with Sandbox(f"test-secrets-{os.getpid()}") as sandbox:
        with Search(sandbox, secrets) as search:
            sandbox.apply(evaluation.resources)
            sandbox.trigger("redis-repair", wait=True)
            command = ["cat", "/tls/tls.key"]
            key = sandbox.exec("redis-master-0", command, namespace=evaluation.plan.pool).check().stdout
            command = ["wget", "-qO-", f"http://127.0.0.1:{names.EXPORTER_PORT}/metrics"]
            shown = sandbox.exec("redis-master-0", command, namespace=evaluation.plan.pool).check().stdout
        # The exporter and the load generator found their passwords where they are.
        assert "\nredis_up 1\n" in shown
        assert {"redis", "form", "rollout", "repair", "validation"} <= set(search.seen)
        assert search.in_arguments == set()
        assert search.in_environments == IN_ENVIRONMENTS
        assert in_logs(sandbox, {**secrets, "the private key": key.splitlines()[1]}) == set()
