"""Jobs by which servers move whole slots themselves, without anybody who sends their keys (ADR 27).

Valkey 9 is asked at the source (CLUSTER MIGRATESLOTS), Redis 8.4 at the target (CLUSTER MIGRATION IMPORT). A job goes
on when nobody watches it: a run that was killed leaves one that ends by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from reconciler.connection import Reply, ReplyError
from reconciler.slots import NO_SLOTS, slot_range


class NativeWay(Enum):
    """The commands that a server has for it; the value is the question about its jobs."""

    MIGRATESLOTS = ("CLUSTER", "GETSLOTMIGRATIONS")
    MIGRATION = ("CLUSTER", "MIGRATION", "STATUS", "ALL")


FIRST_WITH = {NativeWay.MIGRATESLOTS: (9, 0), NativeWay.MIGRATION: (8, 4)}
"""The first version of Valkey, and of Redis, that has the way."""

DONE = ("success", "completed")
CANCELLED = ("cancelled", "canceled")
FAILED = "failed"
HANDING_OVER = ("failover-paused", "failover-granted")
"""A Valkey in these states holds back writes until the target owns the slots. If the job is cancelled just now it takes
writes again, and loses them when it hears that the target has the slots after all."""


@dataclass(frozen=True)
class NativeJob:
    """A job as the node tells that was asked for it. `source` and `target` are ids of nodes, `message` says why it
    failed. `age_s` is by the node's own clock."""

    way: NativeWay
    name: str
    source: str
    target: str
    slots: int
    state: str
    message: str
    age_s: float

    @property
    def is_done(self) -> bool:
        return self.state in DONE

    @property
    def has_failed(self) -> bool:
        return self.state == FAILED or self.state in CANCELLED

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes of it. A Redis tries a job that failed again and again, until it is cancelled."""
        is_tried_again = self.state == FAILED and self.way is NativeWay.MIGRATION
        return self.is_done or (self.has_failed and not is_tried_again)

    @property
    def may_be_cancelled(self) -> bool:
        return not self.is_over and self.state not in HANDING_OVER


def native_way(facts: Mapping[str, str]) -> NativeWay | None:
    """What a server has, by its INFO. Valkey gives 7.2.4 for `redis_version`, whatever it is."""
    way = NativeWay.MIGRATESLOTS if "valkey_version" in facts else NativeWay.MIGRATION
    told = facts.get("valkey_version") or facts.get("redis_version", "")
    numbers = [int(number) for number in told.split(".")[:2] if number.isdigit()]
    return way if tuple(numbers) >= FIRST_WITH[way] else None


def read_jobs(way: NativeWay, answer: Reply | ReplyError, now_s: float) -> tuple[NativeJob, ...]:
    """The jobs in which a node has the say, newest first. `now_s` is the node's clock. Raises `ReplyError`."""
    if isinstance(answer, ReplyError):
        raise answer
    if not isinstance(answer, list):
        raise ReplyError(f"a list of jobs was expected, the node answered {answer!r:.80}")
    told = [_fields(entry) for entry in answer]
    if way is NativeWay.MIGRATESLOTS:
        return tuple(
            NativeJob(
                way,
                job["name"],
                job["source_node"],
                job["target_node"],
                _slots(job["slot_ranges"]),
                job["state"],
                job["message"],
                now_s - int(job["create_time"]),
            )
            for job in told
            if job.get("operation") == "EXPORT"
        )
    return tuple(
        NativeJob(
            way,
            job["id"],
            job["source"],
            job["dest"],
            _slots(job["slots"]),
            job["state"],
            job["last_error"],
            now_s - int(job["create_time"]) / 1000,
        )
        for job in told
        if job.get("operation") == "import"
    )


def _fields(entry: Reply) -> dict[str, str]:
    """Of a list of names, each followed by its value."""
    if not isinstance(entry, list):
        return {}
    words = [word.decode("utf-8", "replace") if isinstance(word, bytes) else str(word) for word in entry]
    return dict(zip(words[::2], words[1::2], strict=True))


def _slots(ranges: str) -> int:
    """Of `0-10 20-29`."""
    slots = NO_SLOTS
    for part in ranges.split():
        first, _, last = part.partition("-")
        slots |= slot_range(int(first), int(last or first))
    return slots
