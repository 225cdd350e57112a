"""Jobs by which the nodes of the cluster of dictionaries move slots themselves, as Valkey 9 and Redis 8.4 do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.connection import Reply, ReplyError
from reconciler.observe.native_jobs import NativeWay
from reconciler.slots import NO_SLOTS, members, ranges, slot_range
from tests.reconciler.fake_node import EPOCH_S, FakeNode

if TYPE_CHECKING:
    from tests.reconciler.fake_cluster import FakeCluster

VERSIONS = {
    NativeWay.MIGRATESLOTS: {"redis_version": "7.2.4", "valkey_version": "9.1.2"},
    NativeWay.MIGRATION: {"redis_version": "8.6.2"},
}


@dataclass(repr=False)
class FakeJob:
    way: NativeWay
    name: str
    source: FakeNode
    target: FakeNode
    slots: int
    created_s: float
    ends_s: float
    state: str = "snapshotting"
    message: str = ""
    retries: bool = False

    @property
    def runs(self) -> bool:
        return self.state == "snapshotting" or self.retries


def start(world: FakeCluster, source: FakeNode, target: FakeNode, way: NativeWay, bounds: list[str]) -> FakeJob:
    slots = NO_SLOTS
    for first, last in zip(bounds[::2], bounds[1::2], strict=True):
        slots |= slot_range(int(first), int(last))
    if world.refuses_jobs:
        raise ReplyError(world.refuses_jobs)
    if any(node.migrating or node.importing for node in (source, target)):
        raise ReplyError("Slots are being manually imported")
    busy = [job for job in world.jobs if job.runs]
    if any(job.slots & slots for job in busy):
        raise ReplyError("I am already migrating slot 0.")
    if way is NativeWay.MIGRATION and any({id(job.source), id(job.target)} & {id(source), id(target)} for job in busy):
        raise ReplyError("another ASM task is already in progress")
    if slots & ~source.slots:
        raise ReplyError("Slots are not served by this node.")
    assert target.serves(world.time_s), "slots would go to a node that refuses its clients"
    assert target.libraries.keys() >= world.functions, "slots would go where their functions are not"
    assert not (slots == source.slots and not target.slots), "the emptied source would become a replica of the target"
    name = f"{len(world.jobs) + 1:040x}"
    job = FakeJob(way, name, source, target, slots, world.time_s, world.time_s + world.job_s)
    world.jobs.insert(0, job)
    return job


def settle(world: FakeCluster) -> None:
    """Ends the jobs whose time has come."""
    for job in world.jobs:
        if job.state != "snapshotting" or world.time_s < job.ends_s:
            continue
        in_place = job.source.alive and job.source.master_id is None and job.slots & ~job.source.slots == 0
        if world.failing_jobs:
            job.state, job.message = "failed", world.failing_jobs.pop(0)
            job.retries = job.way is NativeWay.MIGRATION
        elif not in_place or not job.target.alive or job.target.master_id is not None:
            job.state, job.message = "failed", "Connection lost to target."
        else:
            _hand_over(job)
    world.check()


def _hand_over(job: FakeJob) -> None:
    source, target = job.source, job.target
    target.epoch = 1 + max([target.epoch, *(known.epoch for known in target.table.values())])
    for slot in members(job.slots):
        target.keys.setdefault(slot, set()).update(source.keys.pop(slot, set()))
    source.slots &= ~job.slots
    target.slots |= job.slots
    for node in (source, target):
        for node_id, known in node.table.items():
            known.slots = known.slots | job.slots if node_id == target.node_id else known.slots & ~job.slots
    job.state = "success" if job.way is NativeWay.MIGRATESLOTS else "completed"


def cancel(world: FakeCluster, node: FakeNode, name: str | None) -> int:
    """Of a node's jobs the one of that name, or all that it is the source of."""
    going = [job for job in world.jobs if job.runs and (job.name == name if name else job.source is node)]
    for job in going:
        job.state, job.retries = "cancelled" if name is None else "canceled", False
    return len(going)


def listed(world: FakeCluster, node: FakeNode) -> Reply:
    """What a node tells of the jobs it takes part in."""
    told: list[Reply] = []
    for job in world.jobs:
        if node not in (job.source, job.target):
            continue
        slots = " ".join(f"{first}-{last}" for first, last in ranges(job.slots))
        created_s = EPOCH_S + job.created_s
        if job.way is NativeWay.MIGRATESLOTS:
            fields: dict[str, str | int] = {
                "name": job.name,
                "operation": "EXPORT" if node is job.source else "IMPORT",
                "slot_ranges": slots,
                "target_node": job.target.node_id,
                "source_node": job.source.node_id,
                "create_time": int(created_s),
                "state": job.state,
                "message": job.message,
            }
        else:
            fields = {
                "id": job.name,
                "slots": slots,
                "source": job.source.node_id,
                "dest": job.target.node_id,
                "operation": "migrate" if node is job.source else "import",
                "state": job.state,
                "last_error": job.message,
                "create_time": int(created_s * 1000),
            }
        told.append([word.encode() if isinstance(word, str) else word for pair in fields.items() for word in pair])
    return told
