"""*copy*: slots change owner with their keys, by MIGRATE, in steps that keep the source responsive."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.link import Argument, ReplyError
from reconciler.pace import Batch, Bound
from reconciler.slot_move import Peer, SlotMove, Surroundings, TargetFullError

MAX_MIGRATES_PER_STEP = 32
MIGRATE_BASE_TIMEOUT_S = 5.0
MIGRATE_SLOWEST_BYTES_PER_S = 10_000_000
"""A key of any size gets this long to travel before the source gives up: a 512 MB value about a minute."""

LARGE_KEY_BYTES = 16 << 20
"""From here on a single key may block its master for longer than is wanted, which is said."""

TRIES = 5
RETRY_PAUSE_S = 0.5


class Copy(SlotMove):
    """Keys travel from source to target. Keys that expired on the way are left out by MIGRATE itself."""

    def __init__(self, source: Peer, target: Peer, around: Surroundings, password: str | None, rate: Bound) -> None:
        super().__init__(source, target, around)
        self._password = password
        self._rate = rate
        self._batch = Batch()

    def _ridding(self, keys: list[bytes], size_bytes: int) -> list[tuple[Argument, ...]]:
        self._rate.spend(size_bytes)
        return [self._migrate(keys, _timeout_s(size_bytes))]

    def _rid(self, found: list[tuple[int, list[bytes]]]) -> None:
        sizes = self._sizes([key for _, keys in found for key in keys])
        for step in self._steps(found, sizes):
            self._send(step, sizes)

    def _sizes(self, keys: list[bytes]) -> dict[bytes, int]:
        replies = self._source.link.pipeline([("MEMORY", "USAGE", key) for key in keys])
        return {key: reply if isinstance(reply, int) else 0 for key, reply in zip(keys, replies, strict=True)}

    def _steps(self, found: list[tuple[int, list[bytes]]], sizes: dict[bytes, int]) -> Iterator[list[list[bytes]]]:
        """Keys grouped into steps of at most the batch's bytes; within a step one MIGRATE per slot (keys of different
        slots may not share one). A key larger than a batch is a step of its own."""
        step: list[list[bytes]] = []
        carried = 0
        for _, keys in found:
            group: list[bytes] = []
            for key in keys:
                if (step or group) and carried + sizes[key] > self._batch.size_bytes:
                    yield [*step, group] if group else step
                    step, group, carried = [], [], 0
                group.append(key)
                carried += sizes[key]
            if group:
                step.append(group)
            if len(step) >= MAX_MIGRATES_PER_STEP:
                yield step
                step, carried = [], 0
        if step:
            yield step

    def _send(self, step: list[list[bytes]], sizes: dict[bytes, int]) -> None:
        carried = sum(sizes[key] for group in step for key in group)
        self._rate.spend(carried)
        timeout_s = _timeout_s(carried)
        commands = [self._migrate(group, timeout_s) for group in step]
        for attempt in range(1, TRIES + 1):
            start = self._around.network.now()
            replies = self._source.link.pipeline(commands, timeout_s=timeout_s * 2 + 1)
            seconds = self._around.network.now() - start
            errors = [reply for reply in replies if isinstance(reply, ReplyError)]
            if not errors:
                break
            if any("OOM" in str(error) for error in errors):
                raise TargetFullError(
                    f"{self._target.name} has no memory left for the keys of {self._source.name}; slots that had begun "
                    "to move are served by both. Give the target more memory and run this again"
                )
            if attempt == TRIES or not all("IOERR" in str(error) for error in errors):
                raise errors[0]
            # The target did not answer in time: it may be busy. What it has stays there, REPLACE makes a repeat safe.
            self._around.network.sleep(RETRY_PAUSE_S * attempt)
        self._batch.took(carried, seconds)
        if carried >= LARGE_KEY_BYTES and len(step) == 1 and len(step[0]) == 1:
            self._around.log(
                f"move: a key of {carried / 2**20:,.0f} MiB blocked {self._source.name} for {seconds * 1000:.0f} ms; "
                "a single key cannot be moved in parts"
            )
        self._around.progress.add(keys=sum(map(len, step)), size_bytes=carried, block_s=seconds)

    def _migrate(self, keys: list[bytes], timeout_s: float) -> tuple[Argument, ...]:
        ip, port = self._target.address
        # REPLACE: where both have a key, the source's is the one clients were served from.
        head: list[Argument] = ["MIGRATE", ip, port, "", 0, int(timeout_s * 1000), "REPLACE"]
        if self._password:
            head += ["AUTH", self._password]
        return (*head, "KEYS", *keys)


def _timeout_s(size_bytes: int) -> float:
    return MIGRATE_BASE_TIMEOUT_S + size_bytes / MIGRATE_SLOWEST_BYTES_PER_S
