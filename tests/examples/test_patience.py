"""How long the application in Python tries a request."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import pytest
from redis.exceptions import ClusterDownError, ConnectionError, RedisClusterException, ResponseError, TimeoutError

from tests.examples.programs import EXAMPLES


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Any:
    """settings.py, with a clock that goes on while it sleeps."""
    monkeypatch.syspath_prepend(EXAMPLES / "redis-py")
    monkeypatch.setenv("REDIS_PATIENCE_S", "3")
    spec = importlib.util.spec_from_file_location("patient_settings", EXAMPLES / "redis-py/settings.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(module.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    return module


def failing(error: Exception, times: int) -> Callable[[], str]:
    left = iter([error] * times)

    def send() -> str:
        for found in left:
            raise found
        return "image"

    return send


@pytest.mark.parametrize(
    "error", [ConnectionError, TimeoutError, ClusterDownError, RedisClusterException, AttributeError]
)
def test_a_request_that_fails_is_sent_again(settings: Any, error: type[Exception]) -> None:
    assert settings.answered(failing(error("gone"), 5)) == "image"


def test_one_that_fails_for_longer_than_there_is_patience_fails(settings: Any) -> None:
    with pytest.raises(TimeoutError, match="gone"):
        settings.answered(failing(TimeoutError("gone"), 100))
    assert settings.PATIENCE_S <= settings.time.monotonic() < settings.PATIENCE_S + 1


def test_attempts_become_rarer_while_requests_fail(settings: Any) -> None:
    """Each learns the nodes anew, and so do those of all other requests."""
    at = []

    def send() -> None:
        at.append(settings.time.monotonic())
        raise TimeoutError

    with pytest.raises(TimeoutError):
        settings.answered(send)
    assert at == pytest.approx([0, 0.1, 0.3, 0.7, 1.5, 2.5, 3.5])


def test_a_command_that_is_wrong_in_itself_fails_at_once(settings: Any) -> None:
    with pytest.raises(ResponseError):
        settings.answered(failing(ResponseError("WRONGTYPE"), 1))
