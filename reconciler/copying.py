"""*copy*: slots change owner with their keys, by MIGRATE, in steps that keep the source responsive."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from reconciler.act import owning
from reconciler.handover import count_keys, own_slots, tell
from reconciler.link import Address, Argument, Link, LinkError, Network, Reply, ReplyError, text
from reconciler.pace import Batch, Bound, Progress
from reconciler.slots import NO_SLOTS, members, slot_set
from reconciler.views import parse_cluster_nodes

MAX_OPEN_SLOTS = 256
"""Slots of one source half moved at a time. A client pays a redirect for a missing key in such a slot, nothing more."""

FIRST_OPEN_SLOTS = 16
MAX_OPEN_KEYS = 1024
SETTLE_EVERY_SLOTS = 2048
KEYS_PER_LOOK = 256
MAX_MIGRATES_PER_STEP = 32
MIGRATE_BASE_TIMEOUT_S = 5.0
MIGRATE_SLOWEST_BYTES_PER_S = 10_000_000
"""A key of any size gets this long to travel before the source gives up: a 512 MB value about a minute."""

LARGE_KEY_BYTES = 16 << 20
"""From here on a single key may block its master for longer than is wanted, which is said."""

MAX_STALLED_LOOKS = 20
TRIES = 5
RETRY_PAUSE_S = 0.5


class TargetFullError(Exception):
    """The target refuses keys for want of memory."""


@dataclass(frozen=True)
class Peer:
    """A master as the copier sees it: id, name for people, address, connection."""

    node_id: str
    name: str
    address: Address
    link: Link


class Copier:
    """Copies slots from one source to one target. One per thread: links are not shared, rate and progress are."""

    def __init__(
        self,
        network: Network,
        source: Peer,
        target: Peer,
        others: list[Link],
        password: str | None,
        rate: Bound,
        progress: Progress,
        stopped: Callable[[], bool],
        log: Callable[[str], None],
    ) -> None:
        self._network = network
        self._source = source
        self._target = target
        self._others = others
        self._password = password
        self._rate = rate
        self._progress = progress
        self._stopped = stopped
        self._log = log
        self._batch = Batch()
        self._slots_at_once = FIRST_OPEN_SLOTS

    def copy(self, slots: int) -> None:
        """Move `slots`, those the source owns now, with their keys. May be cut off anywhere: the slots in flight stay
        marked on both sides, which serve them together, and a later run finishes them.

        Raises `TargetFullError`, `ReplyError` or `LinkError`.
        """
        waiting = list(members(slots & own_slots(self._source.link)))
        given: list[int] = []
        while waiting and not self._stopped():
            part, waiting = waiting[: self._slots_at_once], waiting[self._slots_at_once :]
            opened = self._open(part)
            try:
                keys = self._empty(opened)
            except TargetFullError:
                self._close_untouched(opened)
                raise
            self._give(opened)
            given += opened
            self._progress.add(slots=len(opened))
            wanted = MAX_OPEN_KEYS * len(part) // max(keys, 1)
            self._slots_at_once = max(1, min(MAX_OPEN_SLOTS, 2 * self._slots_at_once, wanted))
            if len(given) >= SETTLE_EVERY_SLOTS:
                self._settle(given)
                given = []
        self._settle(given)

    def _open(self, slots: list[int]) -> list[int]:
        """Mark the slots, the target first: once the source sends clients on, the target must let them in. Slots that
        changed hands meanwhile are left out."""
        source, target = self._source, self._target
        importing = target.link.pipeline([("CLUSTER", "SETSLOT", slot, "IMPORTING", source.node_id) for slot in slots])
        ready = [slot for slot, reply in zip(slots, importing, strict=True) if not isinstance(reply, ReplyError)]
        self._raise_unless(importing, "already the owner")
        migrating = source.link.pipeline([("CLUSTER", "SETSLOT", slot, "MIGRATING", target.node_id) for slot in ready])
        lost = [slot for slot, reply in zip(ready, migrating, strict=True) if isinstance(reply, ReplyError)]
        if lost:
            target.link.pipeline([("CLUSTER", "SETSLOT", slot, "STABLE") for slot in lost])
        self._raise_unless(migrating, "not the owner")
        return [slot for slot in ready if slot not in lost]

    @staticmethod
    def _raise_unless(replies: list[Reply | ReplyError], known: str) -> None:
        for reply in replies:
            if isinstance(reply, ReplyError) and known not in str(reply):
                raise reply

    def _empty(self, slots: list[int]) -> int:
        """Send keys until the source has none in these slots; returns how many there were. A marked slot takes no new
        keys, so this ends."""
        sent = 0
        left = slots
        seen: set[bytes] = set()
        stalled = 0
        while left:
            replies = self._source.link.pipeline([("CLUSTER", "GETKEYSINSLOT", slot, KEYS_PER_LOOK) for slot in left])
            found: list[tuple[int, list[bytes]]] = []
            for slot, reply in zip(left, replies, strict=True):
                if isinstance(reply, ReplyError):
                    raise reply
                if isinstance(reply, list) and reply:
                    found.append((slot, [key for key in reply if isinstance(key, bytes)]))
            names = {key for _, keys in found for key in keys}
            stalled = stalled + 1 if names and names == seen else 0
            seen = names
            if stalled > MAX_STALLED_LOOKS:
                raise ReplyError(f"{self._source.name} sent {len(names)} keys {stalled} times and still has them")
            sizes = self._sizes(list(names))
            for step in self._steps(found, sizes):
                self._send(step, sizes)
            sent += len(names)
            left = [slot for slot, _ in found]
        return sent

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
        timeout_s = MIGRATE_BASE_TIMEOUT_S + carried / MIGRATE_SLOWEST_BYTES_PER_S
        commands = [self._migrate(group, timeout_s) for group in step]
        for attempt in range(1, TRIES + 1):
            start = self._network.now()
            replies = self._source.link.pipeline(commands, timeout_s=timeout_s * 2 + 1)
            seconds = self._network.now() - start
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
            self._network.sleep(RETRY_PAUSE_S * attempt)
        self._batch.took(carried, seconds)
        if carried >= LARGE_KEY_BYTES and len(step) == 1 and len(step[0]) == 1:
            self._log(
                f"move: a key of {carried / 2**20:,.0f} MiB blocked {self._source.name} for {seconds * 1000:.0f} ms; "
                "a single key cannot be moved in parts"
            )
        self._progress.add(keys=sum(map(len, step)), size_bytes=carried, block_s=seconds)

    def _migrate(self, keys: list[bytes], timeout_s: float) -> tuple[Argument, ...]:
        ip, port = self._target.address
        # REPLACE: where both have a key, the source's is the one clients were served from.
        head: list[Argument] = ["MIGRATE", ip, port, "", 0, int(timeout_s * 1000), "REPLACE"]
        if self._password:
            head += ["AUTH", self._password]
        return (*head, "KEYS", *keys)

    def _give(self, slots: list[int]) -> None:
        """Make the target the owner, the target first: it raises its config epoch, so whoever hears of it agrees. If
        this is cut off after the first step the source still sends clients on, and learns by gossip."""
        if not slots:
            return
        moved = slot_set(slots)
        replies = self._target.link.pipeline(owning(self._target.node_id, slots))
        replies += tell(self._source.link, moved, self._target.node_id)
        for reply in replies:
            if isinstance(reply, ReplyError):
                raise reply

    def _settle(self, slots: list[int]) -> None:
        """See that the other masters heard; tell those that did not. Two nodes that raised their epochs at the same
        moment may have kept one from believing the target's claim."""
        moved = slot_set(slots)
        for other in self._others:
            try:
                rows = parse_cluster_nodes(text(other.call("CLUSTER", "NODES")))
                heard = next((row.slots for row in rows if row.node_id == self._target.node_id), NO_SLOTS)
                tell(other, moved & ~heard, self._target.node_id)
            except LinkError:
                # A third node that is away learns by gossip when it is back.
                continue

    def _close_untouched(self, slots: list[int]) -> None:
        """Take the marks off slots of which no key has moved: they stay whole with the source."""
        on_target = count_keys(self._target.link, slots)
        for slot in slots:
            if not on_target[slot]:
                for link in (self._source.link, self._target.link):
                    link.call("CLUSTER", "SETSLOT", slot, "STABLE")
