"""*copy* by the servers themselves, where both ends can: MIGRATESLOTS of Valkey 9, MIGRATION IMPORT of Redis 8.4.

The source forks, sends what the slots hold as for a full resync, then what was written meanwhile, holds back writes for
some milliseconds, and the target owns the slots (ADR 27). Clients learn by MOVED, and never by ASK. Slots go in jobs of
some seconds: within the rate limit, and so that what is written meanwhile does not fill the source's memory. Whatever
becomes of this process, the servers end the job that is under way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.act.endpoint import Endpoint, TargetFullError
from reconciler.act.native_jobs import cancel_job, find_job, start_job
from reconciler.act.rate import JobSize, RateLimit
from reconciler.act.slot_move import MoveContext
from reconciler.connection import ReplyError, UnreachableError, integer, text
from reconciler.observe.native_jobs import NativeJob, NativeWay
from reconciler.observe.node import parse_info
from reconciler.slots import count, members, slot_set

SLOTS_AHEAD = 2048
"""Slots whose keys are counted in one round trip."""

FIRST_POLL_S = 0.01
MAX_POLL_S = 0.25
POLL_SHARE = 0.03
"""How long a job is left alone between two looks at it, as a part of its time so far: no more is lost at its end."""

BUSY_POLL_S = 0.1

HEARD_WAIT_S = 10.0
"""For a source to hear that the target owns what a job has moved. It hears of it at once, or at its next ping."""

ATTEMPTS = 3
RETRY_PAUSE_S = 1.0

STOP_PATIENCE_S = 5.0
"""How long a run that is told to stop waits for the job under way before it cancels it."""

TARGET_ALIVE_S = 3.0
LOOK_AT_TARGET_EVERY_S = 2.0

BUSY = "another ASM task is already in progress"
"""A Redis takes part in one job at a time, and its other job may be with another source."""

WORDS_FOR_FULL = ("OOM", "out of memory")


class NativeMoveError(Exception):
    """The servers do not move the slots themselves; the text is theirs. The slots are where they were."""


@dataclass(frozen=True)
class Held:
    """What a source held when the move began."""

    slots: int
    keys: int
    size_bytes: int

    @property
    def bytes_per_key(self) -> float:
        return self.size_bytes / max(1, self.keys)


class MoveNatively:
    """Moves slots from one source to one target, job by job. One per thread: its connections are not shared. `sources`
    is how many share the rate limit."""

    def __init__(
        self,
        source: Endpoint,
        target: Endpoint,
        context: MoveContext,
        way: NativeWay,
        rate: RateLimit,
        sources: int,
    ) -> None:
        self._source = source
        self._target = target
        self._context = context
        self._way = way
        self._judge = target if way is NativeWay.MIGRATION else source
        self._rate = rate
        self._size = JobSize(rate.per_second / sources)
        self._began = 0.0
        """When the job under way began. A Redis that still has another one is waited for before that."""

    def move(self, slots: int) -> None:
        """Move those of `slots` that the source owns now. May be cut off anywhere; a later run waits for the job that
        is under way then, and goes on.

        Raises `NativeMoveError`, `TargetFullError`, `ReplyError` or `UnreachableError`.
        """
        source = self._source.myself()
        held = self._look_at(source.slots)
        waiting = list(members(slots & source.slots))
        one_stays = not source.slots & ~slots and not self._target.myself().slots
        while waiting and not self._context.stopped():
            # A source that heard in one message of all that the target owns, and lost its last slots to it, would take
            # that for the claim of a replica which was promoted. It would become the target's replica and copy all it
            # has. So one slot goes after the others.
            candidates = waiting[:-1] if one_stays and len(waiting) > 1 else waiting
            number, keys = self._next_job(candidates, held)
            size_bytes = int(keys * held.bytes_per_key)
            self._rate.consume(size_bytes)
            if not self._carry_out(slot_set(waiting[:number])):
                return
            self._size.adapt(size_bytes, self._context.network.now() - self._began)
            self._context.progress.add(number, keys, size_bytes)
            given, waiting, one_stays = slot_set(waiting[:number]), waiting[number:], False
            self._await_source_has_heard(given)

    def _await_source_has_heard(self, given: int) -> None:
        """A Redis ends a job at the target, and tells the source in a message of its own."""
        start = self._context.network.now()
        while self._source.myself().slots & given and not self._context.stopped():
            if self._context.network.now() - start >= HEARD_WAIT_S:
                raise ReplyError(f"{self._source.name} has not heard that {self._target.name} owns slots it gave")
            self._context.network.sleep(FIRST_POLL_S)

    def _look_at(self, owned: int) -> Held:
        info, keys = self._source.run([("INFO", "memory"), ("DBSIZE",)])
        size_bytes = int(parse_info(text(info)).get("used_memory_dataset", "0"))
        return Held(count(owned), integer(keys), size_bytes)

    def _next_job(self, waiting: Sequence[int], held: Held) -> tuple[int, int]:
        """How many of the slots go next, at least one, and how many keys they have. The keys of each slot are counted
        only where they might be too many; else they are taken to be spread evenly."""
        if self._size.allows(held.keys, held.size_bytes):
            return len(waiting), round(held.keys * len(waiting) / held.slots)
        number = keys = 0
        while number < len(waiting):
            ahead = waiting[number : number + SLOTS_AHEAD]
            for more in self._source.count_keys(ahead).values():
                if number and not self._size.allows(keys + more, (keys + more) * held.bytes_per_key):
                    return number, keys
                number, keys = number + 1, keys + more
        return number, keys

    def _carry_out(self, slots: int) -> bool:
        """Whether the slots are the target's now. False when the run is to stop."""
        for attempt in range(1, ATTEMPTS + 1):
            name = self._start(slots)
            job = self._await_end(name) if name is not None else None
            if job is None or job.is_done:
                return job is not None
            if any(word in job.message for word in WORDS_FOR_FULL):
                raise TargetFullError(
                    f"{self._target.name} has no memory left for the keys of {self._source.name}, which go on being "
                    "served. Give the target more memory and run this again"
                )
            if attempt == ATTEMPTS:
                raise NativeMoveError(job.message or f"the job ended as {job.state}")
            self._context.network.sleep(RETRY_PAUSE_S * attempt)
        return False

    def _start(self, slots: int) -> str | None:
        """The name of a new job; None when the run is to stop before it could begin."""
        while not self._context.stopped():
            try:
                self._began = self._context.network.now()
                return start_job(self._way, self._source, self._target, slots)
            except ReplyError as error:
                if BUSY not in str(error):
                    raise NativeMoveError(str(error)) from error
            self._context.network.sleep(BUSY_POLL_S)
        return None

    def _await_end(self, name: str) -> NativeJob | None:
        """The job when it has ended. None when it was cancelled because the run is to stop.

        Raises `UnreachableError` when either end does not answer.
        """
        network = self._context.network
        stopped_at: float | None = None
        target_lives_at = network.now()
        while True:
            network.sleep(min(MAX_POLL_S, max(FIRST_POLL_S, POLL_SHARE * (network.now() - self._began))))
            asked = network.now()
            job = find_job(self._judge.connection, self._way, name)
            self._context.progress.add(block_s=network.now() - asked)
            if job is None:
                raise NativeMoveError(f"{self._judge.name} does not know the job any more")
            if job.is_done or job.is_over:
                return job
            if job.has_failed:
                cancel_job(self._judge.connection, self._way, name)
                return job
            if self._context.stopped():
                stopped_at = asked if stopped_at is None else stopped_at
                if asked - stopped_at >= STOP_PATIENCE_S and job.may_be_cancelled:
                    cancel_job(self._judge.connection, self._way, name)
                    return None
            if asked - target_lives_at >= LOOK_AT_TARGET_EVERY_S:
                self._see_that_both_live(job)
                target_lives_at = network.now()

    def _see_that_both_live(self, job: NativeJob) -> None:
        """The servers themselves give up a silent peer only after their replication time-out, a minute by default."""
        other = self._source if self._judge is self._target else self._target
        try:
            other.connection.call("PING", timeout_s=TARGET_ALIVE_S)
        except UnreachableError:
            if job.may_be_cancelled:
                cancel_job(self._judge.connection, self._way, job.name)
            raise

    def let_clients_discover_target(self, slots: int) -> None:
        """Nobody is sent to the target before it owns a slot, so clients learn of it by MOVED."""
