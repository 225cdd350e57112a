"""A target whose machine is lost says nothing, and MIGRATE blocks its source for as long as it waits."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from components.plan.tuning import NODE_TIMEOUT_MS_MIN
from reconciler.act.endpoint import Endpoint
from reconciler.act.move_with_keys import ATTEMPTS, MIGRATE_BASE_TIMEOUT_S, MoveWithKeys
from reconciler.act.progress import Progress
from reconciler.act.rate import RateLimit
from reconciler.act.slot_move import MoveContext
from reconciler.connection import REPLY_TIMEOUT_S, Argument, Reply, ReplyError, UnreachableError
from reconciler.credentials import Credentials
from tests.reconciler.fake_cluster import FakeCluster


class Source:
    """Answers every MIGRATE as Redis does when the target did not answer it."""

    def __init__(self) -> None:
        self.batches = 0

    def call(self, *arguments: Argument, timeout_s: float = REPLY_TIMEOUT_S) -> Reply:
        raise AssertionError(arguments)

    def pipeline(
        self, commands: Sequence[Sequence[Argument]], timeout_s: float = REPLY_TIMEOUT_S
    ) -> list[Reply | ReplyError]:
        self.batches += 1
        return [ReplyError("IOERR error or timeout reading to target instance") for _ in commands]

    def close(self) -> None:
        pass


class Target(Source):
    def __init__(self, *, lives: bool) -> None:
        super().__init__()
        self._lives = lives
        self.credentials = Credentials(None, None)

    def call(self, *arguments: Argument, timeout_s: float = REPLY_TIMEOUT_S) -> Reply:
        if not self._lives:
            raise UnreachableError("timed out")
        return b"PONG"


def send(source: Source, target: Target, key_bytes: int = 1000) -> None:
    world = FakeCluster()
    context = MoveContext(world, (), (), Progress(world, print, 1), lambda: False, print)
    ends = [Endpoint(name, name, ("10.0.0.1", 6379), connection) for name, connection in (("a", source), ("b", target))]
    move = MoveWithKeys(*ends, context, RateLimit(world, 0))
    move._send([[b"key"]], {b"key": key_bytes})


def test_a_source_is_not_blocked_again_for_a_target_that_is_lost() -> None:
    source = Source()
    with pytest.raises(UnreachableError):
        send(source, Target(lives=False))
    assert source.batches == 1


def test_a_target_that_was_only_busy_is_tried_again() -> None:
    source = Source()
    with pytest.raises(ReplyError, match="IOERR"):
        send(source, Target(lives=True))
    assert source.batches == ATTEMPTS


def test_a_key_that_is_too_large_for_its_target_is_named_with_what_to_do() -> None:
    with pytest.raises(
        ReplyError, match=r"b did not take the key b'key' of 64 MiB: IOERR .* proto-max-bulk-len"
    ) as raised:
        send(Source(), Target(lives=True), key_bytes=64 << 20)
    assert "Delete it, or divide it" in str(raised.value)


def test_a_source_that_waits_for_a_lost_target_is_not_taken_for_lost_itself() -> None:
    # Redis tries twice.
    assert 2 * MIGRATE_BASE_TIMEOUT_S < NODE_TIMEOUT_MS_MIN / 1000 / 2
