"""Starts, watches and ends jobs by which servers move slots themselves."""

from __future__ import annotations

from reconciler.act.endpoint import Endpoint
from reconciler.connection import Argument, Connection, ReplyError, integer, text
from reconciler.observe.native_jobs import NativeJob, NativeWay, read_jobs
from reconciler.slots import ranges

NOTHING_TO_CANCEL = "No migrations ongoing"
"""What a Valkey answers when the job has ended meanwhile."""


def start_job(way: NativeWay, source: Endpoint, target: Endpoint, slots: int) -> str:
    """Begin to move slots, which the source must own; the job's name. Raises `ReplyError` if a server refuses it."""
    bounds: list[Argument] = [bound for pair in ranges(slots) for bound in pair]
    if way is NativeWay.MIGRATION:
        return text(target.connection.call("CLUSTER", "MIGRATION", "IMPORT", *bounds))
    source.connection.call("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", *bounds, "NODE", target.node_id)
    for job in _jobs(source.connection, way):
        # The newest comes first, and nobody else begins any while this run has its lock.
        if job.slots == slots and job.target == target.node_id:
            return job.name
    raise ReplyError(f"{source.name} has begun to move slots and does not know of it")


def find_job(connection: Connection, way: NativeWay, name: str) -> NativeJob | None:
    """A job as the node tells that has the say in it; None if it does not know it (any more)."""
    return next((job for job in _jobs(connection, way) if job.name == name), None)


def cancel_job(connection: Connection, way: NativeWay, name: str) -> None:
    """End a job. A Valkey ends all that it is the source of; there is one at a time."""
    if way is NativeWay.MIGRATION:
        integer(connection.call("CLUSTER", "MIGRATION", "CANCEL", "ID", name))
        return
    try:
        connection.call("CLUSTER", "CANCELSLOTMIGRATIONS")
    except ReplyError as error:
        if NOTHING_TO_CANCEL not in str(error):
            raise


def _jobs(connection: Connection, way: NativeWay) -> tuple[NativeJob, ...]:
    return read_jobs(way, connection.call(*way.value), 0)
