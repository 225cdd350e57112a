"""How slots change owner when the stack is resized, and how long that takes, by both ways. Pure."""

from dataclasses import dataclass

from components.config.choices import MoveMode
from components.config.engines import Engine, Line
from components.config.settings import Settings
from components.config.units import MIB
from components.plan.core import core_use, migrate_bytes_per_second, native_bytes_per_second
from components.plan.servers import SLOT_COUNT
from components.plan.sizing import Sizing
from components.plan.traffic import SINGLE_FLOW_BYTES_PER_SECOND, Traffic, bytes_per_second
from components.plan.working_set import WorkingSet

SLOTS_PER_SECOND = 3_700
"""What the mover hands over beside the bytes: several round trips for each slot, from one process for all sources.
Measured: 16,384 slots with 300 small keys from four masters to four others in 4.4 s
(docs/reference/redis.md, "Moving slots")."""
NATIVE_SLOTS_PER_SECOND = 18_000
"""The same where servers move slots themselves: 16,384 slots with 12 small keys each from four masters to four others,
by Valkey 9.1.2 in 0.8 s and by Redis 8.6.2 in 0.5 s (docs/moving.md)."""
VALKEY_SLOTS_PER_SECOND = 1_100
"""The same on Valkey, which does not end a mark before its replicas have it. Measured: 16,384 slots with next to
nothing from three masters to three others, on Valkey 8.1.1, in 15 s, and in 9 s without keys (docs/engines.md)."""
KEYS_PER_SECOND = 60_000
"""Keys that the Job moves, of all masters together: it names each of them. Measured: 200,000 keys of 1 kB in 5.2 to
6.2 s, slots and the start of the Job included (docs/moving.md)."""
NATIVE_KEYS_PER_SECOND = 60_000
"""Keys that one master moves itself. Measured: 200,000 of four masters in 0.5 s and in 0.8 s, slots included
(docs/moving.md)."""
JOIN_SECONDS = 8
"""Until all nodes agree on who is new and a new node takes slots. Measured for a fourth master and its replica
(docs/reference/redis.md, "Moving slots"); a node that joined refuses every command for up to 5 s of it."""
DISCOVERY_SECONDS, DISCOVERY_SECONDS_MAX = 10, 90
"""Until the clients of every source know the targets of its slots: a few slots go ahead, all others wait. Measured with
one client of 40 requests/s: 5 to 16 s. At most: four rounds, and twice the patience of the last
(reconciler/act/client_discovery.py)."""
JOB_SECONDS = 2
"""A Job's own time: its pod starts and looks at every node. A Job with nothing to do took 1.1 s in the sandbox."""
_BYTES_PER_SECOND_MIN = MIB
"""Where the load leaves nothing of the network a move is still not endless: clients and move share it."""
_MANY_TTLS = 10
"""Where moving the keys takes this many TTLs, every image is replaced ten times meanwhile, so most of what travels is
expired soon. Handing over ownership alone in the same time adds a tenth to the misses that there are anyway."""
_DEADLINE_FACTOR = 3
"""A Job's deadline over the predicted time. While a node is replaced the rate halves, and a Job that is ended while it
works is worse than one that takes longer."""


@dataclass(frozen=True, slots=True)
class Resize:
    """A move of everything between masters like these, as many on both sides."""

    mode: MoveMode
    """copy or expire, never auto."""
    max_bytes_per_second: int
    """What the config allows for moving keys, over the whole cluster."""
    extra_misses_per_second: int
    copy_bytes_per_second_per_master: int
    """Rate at which mode copy takes keys from one master: the least of what its network, its core and the config
    leave."""
    copy_bound_by: str
    """network, core or config."""
    slots_seconds: float
    """Of mode copy, what handing over the slots takes, however little they hold."""
    copy_seconds: float
    """Mode copy, for the working set, which is at most what the masters hold."""
    copy_full_seconds: float
    """Mode copy, for all of the masters' memory."""
    copy_by_job_seconds: float
    copy_full_by_job_seconds: float
    """The same where servers do not move the slots themselves, because not both of them can."""
    expire_seconds: float
    """Mode expire, for the working set, within the budget of extra misses. The slots are handed over meanwhile."""
    expire_extra_misses: int
    deadline_seconds: int
    """What a Job allows for the move beside its other work."""

    @property
    def seconds(self) -> float:
        """Predicted time by the chosen way."""
        return self.copy_seconds if self.mode is MoveMode.COPY else self.expire_seconds


def derive_resize(
    settings: Settings, sizing: Sizing, traffic: Traffic, working_set: WorkingSet, gbps_per_master: float
) -> Resize:
    """Mode and duration of a move. `gbps_per_master` is the network of one pod, which it shares with its clients."""
    workload, resize = settings.workload, settings.resize
    objects_full = working_set.room_bytes / working_set.image_bytes
    objects = min(working_set.own.images, objects_full)

    free_gbps = max(0.0, gbps_per_master - traffic.egress_gbps_per_master)
    tls = settings.tls.mode.has_tls
    core = core_use(workload, settings.replicas_per_master, tls)
    core_share = workload.requests_per_second / sizing.masters * core.mean_seconds
    line = settings.images.server.line
    native = line.native_move is not None

    def bounds(core_bytes_per_second: float) -> dict[str, float]:
        return {
            "network": min(bytes_per_second(free_gbps), SINGLE_FLOW_BYTES_PER_SECOND),
            "core": core_bytes_per_second,
            "config": resize.max_mib_per_second * MIB / sizing.masters,
        }

    def copying(limits: dict[str, float], by_servers: bool) -> tuple[float, float]:
        """Of the working set, and of full masters."""
        per_master = max(_BYTES_PER_SECOND_MIN, min(limits.values()))
        rate = min(per_master * sizing.masters, resize.max_mib_per_second * MIB)
        # What full masters hold is counted as they hold it: how large their values are nobody knows then.
        return (
            moving_seconds(objects, objects * workload.object_bytes, rate, line, sizing.masters, by_servers),
            moving_seconds(objects_full, sizing.usable_memory_bytes, rate, line, sizing.masters, by_servers),
        )

    by_job_limits = bounds(migrate_bytes_per_second(core_share, tls))
    limits = bounds(native_bytes_per_second(core_share, tls)) if native else by_job_limits
    bound_by = min(limits, key=lambda name: limits[name])
    copy_seconds, copy_full_seconds = copying(limits, native)
    copy_by_job_seconds, copy_full_by_job_seconds = copying(by_job_limits, by_servers=False)
    slots_seconds = slots_alone_seconds(line, native)
    # Without their keys the Job hands slots over by itself, on every server.
    expire_slots_seconds = slots_alone_seconds(line, by_servers=False)

    mode = resize.mode
    if mode is MoveMode.AUTO:
        # The slots take their time in both modes, so the keys decide.
        is_long = copy_seconds - slots_seconds > _MANY_TTLS * workload.ttl_seconds
        mode = MoveMode.EXPIRE if is_long else MoveMode.COPY
    longest = (
        copy_full_by_job_seconds
        if mode is MoveMode.COPY
        else max(expire_slots_seconds, objects_full / resize.extra_misses_per_second)
    )
    return Resize(
        mode=mode,
        max_bytes_per_second=resize.max_mib_per_second * MIB,
        extra_misses_per_second=resize.extra_misses_per_second,
        copy_bytes_per_second_per_master=max(_BYTES_PER_SECOND_MIN, int(limits[bound_by])),
        copy_bound_by=bound_by,
        slots_seconds=slots_seconds,
        copy_seconds=copy_seconds,
        copy_full_seconds=copy_full_seconds,
        copy_by_job_seconds=copy_by_job_seconds,
        copy_full_by_job_seconds=copy_full_by_job_seconds,
        expire_seconds=max(expire_slots_seconds, objects / resize.extra_misses_per_second),
        expire_extra_misses=int(objects),
        deadline_seconds=int(_DEADLINE_FACTOR * longest) + 1,
    )


def slots_alone_seconds(line: Line, by_servers: bool) -> float:
    """What all slots take, however little they hold."""
    if by_servers:
        return SLOT_COUNT / NATIVE_SLOTS_PER_SECOND
    return SLOT_COUNT / (VALKEY_SLOTS_PER_SECOND if line.engine is Engine.VALKEY else SLOTS_PER_SECOND)


def moving_seconds(
    keys: float, size_bytes: float, bytes_per_second: float, line: Line, masters: int, by_servers: bool
) -> float:
    """All slots with so much in them, by mode copy. The Job sends the keys of all masters, or the servers do, each its
    own."""
    keys_per_second = NATIVE_KEYS_PER_SECOND * masters if by_servers else KEYS_PER_SECOND
    return slots_alone_seconds(line, by_servers) + max(size_bytes / bytes_per_second, keys / keys_per_second)
