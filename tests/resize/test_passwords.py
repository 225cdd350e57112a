"""The password is changed while the stack serves, as `pulumi up` would."""

from __future__ import annotations

import pytest

from sandbox.errors import ApplyError
from tests.resize.harness import LOAD, Stack, assert_nothing_lost, stack

pytestmark = pytest.mark.sandbox

OLD, NEW = "the-old-password-of-a-test", "the-new-password-of-a-test"


def redis_pods(living: Stack) -> dict[str, tuple[str, int]]:
    return {name: (pod["ip"], pod["restarts"]) for name, pod in living.deployment.pods().items()}


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
        assert_nothing_lost(measured, requests_at_least=20)
