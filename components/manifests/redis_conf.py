"""redis.conf, each directive under its reason. Pure; valid for Redis 7.0 to 7.4.

What differs from pod to pod (address, announced host name, port, password) is added by `scripts/start.sh`.
"""

from components.config.choices import ClientCertificates, NodeEndpoint
from components.config.settings import Tls
from components.config.units import redis_size
from components.manifests import names
from components.plan.sizing import OVERHEAD_FACTOR
from components.plan.tuning import FORK_STALL_MS_PER_GIB, Tuning

NODES_CONF_PATH = "/data/nodes.conf"


_AUTH_CLIENTS = {
    ClientCertificates.NONE: "no",
    ClientCertificates.OPTIONAL: "optional",
    ClientCertificates.REQUIRED: "yes",
}
"""Value of tls-auth-clients."""


def redis_conf(tuning: Tuning, node_endpoint: NodeEndpoint, tls: Tls) -> str:
    """The redis.conf that all pods of a pool share."""
    paragraphs = (
        *_memory(tuning),
        *_cluster(tuning),
        _endpoints(node_endpoint),
        *_replication(tuning),
        *_nothing_on_disk(),
        *_clients(tuning),
        *_tls(tls),
        *_process(tuning),
    )
    lines = ["# Derived from the stack config; edits here are lost."]
    for reason, *directives in paragraphs:
        lines += ["", *(f"# {line}" for line in reason.splitlines()), *directives]
    return "\n".join(lines) + "\n"


def _memory(tuning: Tuning) -> tuple[tuple[str, ...], ...]:
    return (
        (
            f"The pod's limit is {OVERHEAD_FACTOR**2:.2f} times this: the rest is for copy-on-write and the "
            "replication buffer of a resync.",
            f"maxmemory {redis_size(tuning.maxmemory_bytes)}",
        ),
        (
            "A cache keeps what is asked for. A replica leaves eviction to its master until it is promoted.",
            "maxmemory-policy allkeys-lru",
            "replica-ignore-maxmemory yes",
        ),
        (
            "Images whose time is over still take memory until they are collected: 8 to 11 % of it by default, and\n"
            "2 % with the most effort.",
            "active-expire-effort 10",
        ),
        (
            "A dropped data set is freed by a background thread. (A single image is freed at once either way: Redis\n"
            "defers only values of more than 64 elements.)",
            "replica-lazy-flush yes",
            "lazyfree-lazy-user-flush yes",
            "lazyfree-lazy-eviction yes",
            "lazyfree-lazy-expire yes",
            "lazyfree-lazy-server-del yes",
            "lazyfree-lazy-user-del yes",
        ),
        (
            "Images fill whole size classes of the allocator, so there is little to defragment, and it would be done\n"
            "on the one core that serves requests.",
            "activedefrag no",
        ),
        (
            "If the kernel must kill, then the snapshot's process before the one that serves.",
            "oom-score-adj yes",
            "oom-score-adj-values 0 200 800",
        ),
    )


def _cluster(tuning: Tuning) -> tuple[tuple[str, ...], ...]:
    return (
        ("The only file that outlives the process.", "cluster-enabled yes", f"cluster-config-file {NODES_CONF_PATH}"),
        (
            f"Above the longest stall of the main thread (fork: {FORK_STALL_MS_PER_GIB} ms per GB), else as short as a "
            "failover should be.",
            f"cluster-node-timeout {tuning.node_timeout_ms}",
        ),
        (
            "One lost shard must not stop the others: with the default, both copies of one shard gone means 0 of all\n"
            "keys readable.",
            "cluster-require-full-coverage no",
        ),
        (
            "A minority refuses writes, which would be lost; old images it may still serve, no longer than their TTL.",
            "cluster-allow-reads-when-down yes",
        ),
        (
            "An old copy, or an empty one, is better than a shard that is down until somebody comes.",
            "cluster-replica-validity-factor 0",
        ),
        (
            "Replica i stays with master i, in another zone than it. Pairs are the repair Job's business.",
            "cluster-allow-replica-migration no",
        ),
    )


def _endpoints(node_endpoint: NodeEndpoint) -> tuple[str, ...]:
    directive = f"cluster-preferred-endpoint-type {node_endpoint.value}"
    if node_endpoint is NodeEndpoint.IP:
        return (
            "Some clients cannot look up the cluster's names (access.nodeEndpoint). A client that slept while all\n"
            "pods came back with new addresses may know none of them any more.",
            directive,
        )
    return (
        "Clients are led from node to node by name. Otherwise a client that slept while all pods came back with new\n"
        "addresses would ask the old ones for ever.",
        directive,
    )


def _replication(tuning: Tuning) -> tuple[tuple[str, ...], ...]:
    replicas = tuning.replicas_per_master
    wait_seconds = 0 if replicas == 1 else 2
    return (
        (
            "A link that breaks for less than this many bytes of writes is mended without a full resync. It counts\n"
            "into maxmemory.",
            f"repl-backlog-size {tuning.repl_backlog_bytes}",
            "repl-backlog-ttl 3600",
        ),
        (
            "Writes wait here while a resync runs. With the default of 256 MB a replica under load is cut off, starts\n"
            "again and never gets in sync. As much as fits the pod's memory beside copy-on-write.",
            f"client-output-buffer-limit replica {tuning.replica_output_buffer_limit_bytes} 0 0",
        ),
        (
            "A snapshot goes from memory to memory: the volume would be the slowest part. With one replica there is\n"
            "nobody else to wait for.",
            "repl-diskless-sync yes",
            f"repl-diskless-sync-delay {wait_seconds}",
            f"repl-diskless-sync-max-replicas {replicas}",
            "repl-diskless-load on-empty-db",
        ),
        (
            "Images are compressed already; LZF doubled the time of a resync and found nothing.",
            "rdbcompression no",
        ),
        (
            "An eighth faster. Neither the stream of writes nor the clients' traffic has a checksum beyond TCP's\n"
            "either, so this one would not make the copy trustworthy.",
            "rdbchecksum no",
        ),
        (
            "A write leaves for the replica at once: what is still under way when a master dies is lost.",
            "repl-disable-tcp-nodelay no",
        ),
        (
            "A replica whose master is gone goes on answering those who ask it to (READONLY).",
            "replica-serve-stale-data yes",
            "replica-read-only yes",
        ),
        (
            "Above every stall of either side; a shorter one would cut links that come back.",
            "repl-timeout 60",
            "repl-ping-replica-period 5",
        ),
    )


def _nothing_on_disk() -> tuple[tuple[str, ...], ...]:
    return (
        (
            "Content lives for minutes and has a second copy in memory; loading it from a disk would take longer than\n"
            "filling it anew.",
            'save ""',
            "appendonly no",
            "stop-writes-on-bgsave-error no",
            "dir /data",
        ),
        (
            "A replica with old data syncs through its volume. What it leaves there a later start would load, however\n"
            "old, and the next such sync would not fit beside it.",
            "rdb-del-sync-files yes",
        ),
    )


def _clients(tuning: Tuning) -> tuple[tuple[str, ...], ...]:
    return (
        (
            "Answers that slow readers have not taken yet count into maxmemory, and push out images. Beyond this\n"
            "much, the clients that hold most of it are disconnected.",
            f"maxmemory-clients {tuning.client_memory_limit_bytes}",
            "maxclients 10000",
        ),
        (
            "A value that would go beyond that is refused with an error when its length has been read. Otherwise its\n"
            "client is cut off without a word, after the value has pushed out images.",
            f"proto-max-bulk-len {tuning.largest_value_bytes}",
        ),
        (
            "Idle connections are pooled on purpose; dead ones are found within a minute or two.",
            "timeout 0",
            "tcp-keepalive 60",
        ),
        (
            "Only pods allowed by the network policy get here, and they need the password; replicas would be refused.",
            "protected-mode no",
        ),
    )


def _tls(tls: Tls) -> tuple[tuple[str, ...], ...]:
    if not tls.mode.has_tls:
        return ()
    return (
        (
            "The certificate that clients see, and that nodes show each other. The bus always wants one.",
            f"tls-cert-file {names.TLS_PATH}/{names.CERTIFICATE}",
            f"tls-key-file {names.TLS_PATH}/{names.PRIVATE_KEY}",
            f"tls-ca-cert-file {names.TLS_PATH}/{names.AUTHORITY}",
            f"tls-auth-clients {_AUTH_CLIENTS[tls.client_certificates]}",
        ),
        (
            "The bus stays where it is when the port for clients is another: by default it is found by that port.",
            f"cluster-port {names.BUS_PORT}",
        ),
    )


def _process(tuning: Tuning) -> tuple[tuple[str, ...], ...]:
    return (
        ("The pod has one core; more threads would take turns on it.", "io-threads 1"),
        (
            "TERM of a master that could not hand over: its replica catches up before it ends.",
            f"shutdown-timeout {tuning.shutdown_timeout_seconds}",
        ),
        (
            "What the wanted p95 is held against: INFO latencystats. LATENCY HISTORY keeps what took 100 ms or more.",
            "latency-tracking yes",
            "latency-tracking-info-percentiles 50 95 99",
            "latency-monitor-threshold 100",
        ),
        ("The pod's log is standard output.", "daemonize no", 'logfile ""', "loglevel notice"),
    )
