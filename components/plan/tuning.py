"""What Redis and its pod's life are set to, derived from the pod's memory and the load of one master. Pure."""

from dataclasses import dataclass
from math import ceil

from components.config.units import GIB, MIB
from components.plan.traffic import SINGLE_FLOW_BYTES_PER_SECOND

FORK_STALL_MS_PER_GIB = 20
"""fork() stops Redis's main thread for 10-20 ms per GB while it duplicates the page tables (docs/reference/redis.md,
"Failover"); this is the upper end."""
NODE_TIMEOUT_MS_MIN = 5000
"""A replica of a lost master is promoted about 3.5 s after this time: 8.5 s after the loss (docs/reference/redis.md,
"Failover")."""
FENCE_AFTER_SHARE = 0.6
"""Of the node timeout. A node pings every node it has not heard from for half of it (clusterCron in Redis),
so in a healthy cluster no answer is older than that and a round trip."""
_STALL_MARGIN = 1.5
"""Node timeout over the longest stall of a fork, so that no fork looks like the loss of its node."""
_BACKLOG_SECONDS = 20
"""A broken replication link is back within node timeout and election, 8.5 s; this is twice that. A pod that restarts
has lost its memory and needs a full resync however long the backlog is."""
_BACKLOG_SHARE_MAX = 0.05
"""The backlog counts into maxmemory: what it takes, images lose."""
_RESYNC_BYTES_PER_WRITTEN_BYTE = 1.1
"""Memory a resync adds per byte written meanwhile. The write waits in the replication buffer; the pages it lands on are
copied only while the snapshot has not sent them yet, so that addition is largest halfway (measured: 0.26-0.29 of
the bytes written until then) and gone at the end. Together at most 0.98 of the bytes written, measured with 1 GB of
1 MB values, maxmemory full, Redis 7.0.15; plus a tenth."""
_OVERHEAD_SHARE = 0.05
"""Fragmentation and page tables beyond what maxmemory counts; with whole size classes of images there is little."""
_MIXED_OVERHEAD_SHARE = 0.2
"""The same where images of many sizes push each other out: what a removed image leaves is not of the size of the next
one. Measured: 1.16 times maxmemory with 1 GB (docs/reference/redis.md, "Memory of a value"), 1.22 with 256 MB
(docs/bench.md)."""
_OVERHEAD_BYTES_MIN = 16 * MIB
"""An idle process with its cluster bus, the probes and the script files in memory."""
_SYNC_MARGIN = 1.5
"""A resync shares its flow and its core with the load, so deadlines allow it half as long again."""
_CLIENT_SHARE = 0.05
_CLIENT_BYTES_MIN = 64 * MIB
"""Buffers of all clients count into maxmemory: without a bound, slow readers would evict images."""
_LARGEST_VALUE_SHARE = 0.75
"""Of what all clients' buffers may take together. Redis reads a value into one buffer, for which the allocator takes up
to a quarter more; a client that is over the bound is cut off without a word (docs/reference/redis.md, "Memory of a
value")."""
_LARGEST_VALUE_BYTES_MAX = 512 * MIB
"""Redis's own limit of a string."""
_HANDOVER_SECONDS = 15
"""Two attempts: Redis gives up a hand-over after 5 s (CLUSTER_MF_TIMEOUT in its source)."""
_STOP_DEADLINE_SECONDS_MAX = 600
"""EKS gives up draining a node after 15 minutes (managed node group update)."""
LONGEST_SCRIPT_SECONDS = 60
"""A script or function that makes Redis answer BUSY for so long is ended (`scripts/long_script.sh`). It has run for at
least 5 s more (busy-reply-threshold), in which the shard answered nobody. One image takes milliseconds; a minute is far
beyond any use of a cache, and leaves the other minute of two for noticing and for a failover."""
_SHUTDOWN_SECONDS = 10
"""How long Redis waits at its end for replicas that lag behind."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One Kubernetes probe. It fails for good after `failure_threshold` failures in a row."""

    period_seconds: int
    timeout_seconds: int
    failure_threshold: int


@dataclass(frozen=True, slots=True)
class Tuning:
    """Settings of one Redis pod and the deadlines around it."""

    maxmemory_bytes: int
    replicas_per_master: int
    node_timeout_ms: int
    fence_after_ms: int
    """A master that has not heard a majority of masters for so long holds back writes (`scripts/fence.sh`)."""
    repl_backlog_bytes: int
    replica_output_buffer_limit_bytes: int
    client_memory_limit_bytes: int
    largest_value_bytes: int
    """A larger one is answered with an error as soon as its length is known. It would push out images, and then its
    client would be cut off."""
    resync_seconds: int
    """Shortest full resync of a full master, over one TCP flow."""
    resync_peak_bytes: int
    """Memory of the master at the end of a full resync at the given write rate, with the data that rate fills."""
    resync_peak_full_bytes: int
    """The same with maxmemory full of data; more than the pod's limit means that such a resync is cut off."""
    safe_write_bytes_per_second: int
    """Up to this write rate a full resync of a full master ends within the pod's limit."""
    shutdown_timeout_seconds: int
    start_takeover_seconds: int
    stop_deadline_seconds: int
    termination_grace_seconds: int
    min_ready_seconds: int
    form_deadline_seconds: int
    alive_timeout_seconds: int
    startup: Probe
    readiness: Probe
    liveness: Probe

    def script_env(self) -> dict[str, int]:
        """Environment that the scripts in `scripts/` read beside the pod's own name, address and Service."""
        return {
            "NODE_TIMEOUT_MS": self.node_timeout_ms,
            "FENCE_AFTER_MS": self.fence_after_ms,
            "START_TAKEOVER_SECONDS": self.start_takeover_seconds,
            "STOP_DEADLINE_SECONDS": self.stop_deadline_seconds,
            "ALIVE_TIMEOUT_SECONDS": self.alive_timeout_seconds,
            "LONGEST_SCRIPT_SECONDS": LONGEST_SCRIPT_SECONDS,
        }


def derive_tuning(
    *,
    maxmemory_bytes: int,
    limit_bytes: int,
    write_bytes_per_second_per_master: float,
    object_bytes: int,
    ttl_seconds: int,
    replicas_per_master: int,
) -> Tuning:
    """The tuning of a pod with `limit_bytes` of memory whose master takes the given writes.

    Memory peak of a master in a full resync (Redis 7): the data, plus what is copied on write while the snapshot is
    sent, plus the replication buffer, in which the writes since the fork wait. Buffer and backlog share their
    memory, client buffers count into maxmemory. The additions grow with write rate x duration, and the output limit
    is what the free memory permits: a resync that would not fit is cut off by Redis before the kernel ends the pod.

    Raises ValueError when a figure is not above zero or the limit leaves no memory beside maxmemory.
    """
    for name, value in (
        ("maxmemory_bytes", maxmemory_bytes),
        ("limit_bytes", limit_bytes),
        ("object_bytes", object_bytes),
        ("ttl_seconds", ttl_seconds),
    ):
        if value <= 0:
            raise ValueError(f"{name} is {value}; it must be more than 0")
    if write_bytes_per_second_per_master < 0:
        raise ValueError(f"write_bytes_per_second_per_master is {write_bytes_per_second_per_master}; not below 0")

    overhead = overhead_bytes(maxmemory_bytes)
    free_bytes = limit_bytes - maxmemory_bytes - overhead
    if free_bytes <= 0:
        raise ValueError(
            f"a limit of {limit_bytes} bytes leaves nothing beside maxmemory {maxmemory_bytes} and an overhead of "
            f"{overhead}; give the pod more memory or Redis less"
        )
    write_rate = write_bytes_per_second_per_master
    backlog_bytes = int(
        min(max(write_rate * _BACKLOG_SECONDS, 4 * object_bytes, MIB), maxmemory_bytes * _BACKLOG_SHARE_MAX)
    )
    # Redis never holds a replica to less than the backlog, which costs no memory beyond maxmemory.
    output_limit_bytes = max(int(free_bytes / _RESYNC_BYTES_PER_WRITTEN_BYTE), backlog_bytes)

    resync_seconds = ceil(maxmemory_bytes / SINGLE_FLOW_BYTES_PER_SECOND)
    data_bytes = min(maxmemory_bytes, write_rate * ttl_seconds)
    peak_bytes = resync_peak_bytes(data_bytes, maxmemory_bytes, write_rate, data_bytes / SINGLE_FLOW_BYTES_PER_SECOND)
    peak_full_bytes = resync_peak_bytes(maxmemory_bytes, maxmemory_bytes, write_rate, resync_seconds)

    stall_ms = fork_stall_ms(maxmemory_bytes)
    node_timeout_ms = max(NODE_TIMEOUT_MS_MIN, ceil(stall_ms * _STALL_MARGIN / 1000) * 1000)
    node_timeout_seconds = ceil(node_timeout_ms / 1000)
    start_takeover_seconds = 2 * node_timeout_seconds + 5
    stop_deadline_seconds = min(_STOP_DEADLINE_SECONDS_MAX, ceil(resync_seconds * _SYNC_MARGIN) + _HANDOVER_SECONDS)
    client_memory_limit_bytes = max(_CLIENT_BYTES_MIN, int(maxmemory_bytes * _CLIENT_SHARE))
    alive_timeout_seconds = max(10, 2 * ceil(stall_ms / 1000))
    return Tuning(
        maxmemory_bytes=maxmemory_bytes,
        replicas_per_master=replicas_per_master,
        node_timeout_ms=node_timeout_ms,
        fence_after_ms=int(node_timeout_ms * FENCE_AFTER_SHARE),
        repl_backlog_bytes=backlog_bytes,
        replica_output_buffer_limit_bytes=output_limit_bytes,
        client_memory_limit_bytes=client_memory_limit_bytes,
        largest_value_bytes=min(_LARGEST_VALUE_BYTES_MAX, int(client_memory_limit_bytes * _LARGEST_VALUE_SHARE)),
        resync_seconds=resync_seconds,
        resync_peak_bytes=int(peak_bytes),
        resync_peak_full_bytes=int(peak_full_bytes),
        safe_write_bytes_per_second=int(output_limit_bytes / resync_seconds),
        shutdown_timeout_seconds=_SHUTDOWN_SECONDS,
        start_takeover_seconds=start_takeover_seconds,
        stop_deadline_seconds=stop_deadline_seconds,
        # The last attempt to hand over may begin at the deadline.
        termination_grace_seconds=stop_deadline_seconds + _HANDOVER_SECONDS + _SHUTDOWN_SECONDS + 5,
        min_ready_seconds=node_timeout_seconds,
        form_deadline_seconds=300 + 2 * resync_seconds,
        alive_timeout_seconds=alive_timeout_seconds,
        # The start script listens only after names are resolved and the takeover is over, at most this much later.
        startup=Probe(
            period_seconds=1, timeout_seconds=alive_timeout_seconds + 2, failure_threshold=start_takeover_seconds + 45
        ),
        # Every second, since it also fences; not ready after about as many seconds, or three answers that never came.
        readiness=Probe(period_seconds=1, timeout_seconds=6, failure_threshold=3),
        liveness=Probe(period_seconds=10, timeout_seconds=alive_timeout_seconds + 2, failure_threshold=6),
    )


def resync_peak_bytes(data_bytes: float, maxmemory_bytes: int, write_rate: float, seconds: float) -> float:
    """Memory of a master at the end of a full resync of `data_bytes` that takes so long, at so many written bytes/s."""
    written = write_rate * seconds
    return data_bytes + overhead_bytes(maxmemory_bytes) + _RESYNC_BYTES_PER_WRITTEN_BYTE * written


def overhead_bytes(maxmemory_bytes: int) -> int:
    """What a full Redis takes beyond maxmemory, a resync apart."""
    return max(_OVERHEAD_BYTES_MIN, int(maxmemory_bytes * _OVERHEAD_SHARE))


def mixed_overhead_bytes(maxmemory_bytes: int) -> int:
    """The same with images of many sizes."""
    return max(_OVERHEAD_BYTES_MIN, int(maxmemory_bytes * _MIXED_OVERHEAD_SHARE))


def fork_stall_ms(data_bytes: float) -> float:
    """How long a fork stops the main thread of a Redis that holds so much."""
    return FORK_STALL_MS_PER_GIB * data_bytes / GIB
