"""The password is changed while the stack serves, as `pulumi up` would."""

from __future__ import annotations

import json

import pytest

from components.manifests import users
from sandbox.errors import ApplyError
from tests.faults.stacks import local_stack
from tests.resize.harness import LOAD, Stack, assert_nothing_lost, stack, wait_settled
from tests.resize.older import without_users

pytestmark = pytest.mark.sandbox

OLD, NEW = "the-old-password-of-a-test", "the-new-password-of-a-test"


def redis_pods(living: Stack) -> dict[str, tuple[str, int]]:
    return {name: (pod["ip"], pod["restarts"]) for name, pod in living.deployment.pods().items()}


def shown_secrets(living: Stack, passwords: set[str]) -> list[str]:
    """Where a secret stands that is for nobody's eyes: in the arguments of a process, in a log, or in an environment
    that does not need it. Of all pods, also those of Jobs that have ended."""
    resources = local_stack(*sorted(living.overrides.items())).resources
    (values,) = [item.inputs["stringData"] for item in resources if item.kind == "Secret"]
    operator = values[users.OPERATOR_KEY]
    metrics = set(json.loads(values[users.METRICS_KEY]).values())
    secrets = passwords | metrics | {operator, values[users.USERS_CONF_KEY].split()[-1].strip('"')}
    found = []
    for pod in living.sandbox.status()["pods"]:
        found += [f"{pod['name']}: log" for secret in secrets if secret in living.says(pod["name"])]
    for pod in living.deployment.pods():
        for what, allowed in (("cmdline", set()), ("environ", {operator})):
            read = ["sh", "-c", f"cat /proc/[0-9]*/{what}"]
            text = living.sandbox.exec(pod, read, namespace=living.deployment.namespace).stdout
            assert "redis" in text
            found += [f"{pod}: {what}" for secret in secrets - allowed if secret in text]
    return found


def test_another_password_in_one_edit_is_refused_before_any_pod_is_rolled_and_going_back_works() -> None:
    with stack("passwords-refused", podMemory="64MB", totalMemory="192MB", access__password=OLD) as living:
        before = redis_pods(living)
        with living.deployment.load(LOAD) as load:
            with pytest.raises(ApplyError) as refused:
                living.edit(access__password=NEW)
            living.edit(access__password=OLD)
            measured = load.end()
        said = str(refused.value)
        assert "release" in said
        assert "WRONGPASS" in said
        assert "Put the old one back into access.password" in said
        assert NEW not in said
        assert redis_pods(living) == before
        assert living.denied() == {}
        assert shown_secrets(living, {OLD, NEW}) == []
        assert_nothing_lost(measured, requests_at_least=20)


@pytest.mark.second_look
def test_a_living_cluster_gets_its_users_and_then_another_password_and_no_request_fails() -> None:
    """Each edit as the runbook has it, with a load that uses what clients are to use meanwhile."""
    with without_users("passwords-life", podMemory="64MB", totalMemory="192MB", access__password=OLD) as living:
        deployment = living.deployment
        with pytest.raises(ApplyError, match=r"access\.defaultUser: everything"):
            living.up()
        edits: tuple[tuple[str, str, dict[str, str | None]], ...] = (
            ("", OLD, {"access__defaultUser": "everything"}),
            ("app", OLD, {"access__defaultUser": None}),
            ("app", OLD, {"access__password": NEW, "access__alsoAccepted": OLD}),
            ("app", NEW, {"access__alsoAccepted": None}),
        )
        for deployment.user, deployment.password, edit in edits:
            with deployment.load(LOAD) as load:
                living.edit(**edit)
                wait_settled(2)
                measured = load.end()
            assert_nothing_lost(measured, requests_at_least=100)
        assert living.denied() == {}
        assert shown_secrets(living, {OLD, NEW}) == []
