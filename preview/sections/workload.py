"""What the workload asks of the stack: memory for the images, bandwidth, time for an answer."""

from components.advice.advice import Advice
from components.config.formats import gbps, memory, milliseconds, percent, plain, rate, seconds, share, times
from components.config.settings import Settings
from preview.document import Facts, Note, Section, Table

_LIMITS = {"resync-core": "core, in a full resync", "resync": "full resync", "flow": "replication"}
"""Rules whose names are no words of people, in a table."""


def working_set(plan: Advice, settings: Settings) -> Section:
    """The sizing document's scenarios and the stack's own, and what helps where it does not fit."""
    found, workload = plan.working_set, settings.workload
    table = Table(
        ("hit rate", "writes", "images", "memory", "of all memory", "fits"),
        tuple(
            (
                share(case.hit_rate) + mark,
                rate(case.writes_per_second),
                f"{case.images:,}",
                memory(case.size_bytes),
                percent(case.memory_percent),
                "yes" if case.fits else "no",
            )
            for mark, case in [("", case) for case in found.scenarios] + [(" *", found.own)]
        ),
    )
    facts = [
        ("an image", f"{workload.object_bytes:,} bytes, which take {found.size_class_bytes:,} bytes of memory"),
        ("its key", f"{found.key_bytes:,} bytes of memory, as measured on {plan.server.figures.measured_on}"),
        *([("the slots", f"{memory(found.slots_bytes)} of memory on all masters together")] * bool(found.slots_bytes)),
        ("lowest hit rate", f"{share(found.break_even_hit_rate, 1)} if images had all of the memory"),
        ("", f"{share(found.break_even_hit_rate_beside_backlog, 1)} beside the replication backlog"),
    ]
    if not found.own.fits:
        facts += [
            ("to make it fit", "The warning working-set-exceeds-memory says what was tried."),
            ("otherwise", f"From {seconds(found.seconds_to_eviction or 0)} after a start on, images are evicted."),
        ]
    return Section(
        "Working set", "images that are alive at a time", (table, Note("* is this stack."), Facts(tuple(facts)))
    )


def network(plan: Advice) -> Section:
    """Bandwidth, and the sizing document's table of requests a second."""
    traffic = plan.traffic
    rows = [(f"{plain(row.gbps_per_master)} Gbps", row) for row in plan.capacity_by_interface]
    if plan.nodes:
        rows.append((f"{plain(round(plan.capacity.gbps_per_master, 2))} Gbps *", plan.capacity))
    table = Table(
        ("network per pod", "per master", "all masters", "of wanted", "used", "limited by"),
        tuple(
            (
                name,
                rate(row.ops_per_master),
                rate(row.ops_total),
                times(row.headroom),
                percent(row.use_percent),
                _LIMITS.get(row.bound_by, row.bound_by),
            )
            for name, row in rows
        ),
    )
    return Section(
        "Network",
        "what masters send",
        (
            Facts(
                (
                    ("sent to clients", f"{gbps(traffic.read_gbps_per_master)} by each master"),
                    ("sent to replicas", f"{gbps(traffic.replication_gbps_per_master)} by each master"),
                    ("sent in total", f"{gbps(traffic.egress_gbps_per_master)} by each master"),
                    ("", f"{gbps(traffic.read_gbps + traffic.replication_gbps)} by all masters"),
                )
            ),
            table,
            *([Note("* is the share of a node's network, when all of its pods are masters.")] if plan.nodes else []),
        ),
    )


def latency(plan: Advice) -> Section:
    """The predicted latency with its parts."""
    found = plan.latency
    return Section(
        "Latency",
        "predicted by a model",
        (
            Facts(
                (
                    ("transfer, one TCP flow", milliseconds(found.transfer_ms)),
                    ("work of Redis", milliseconds(found.processing_ms)),
                    ("round trip", milliseconds(found.round_trip_ms)),
                    ("wait for the core", _waits(found.core_wait_p50_ms, found.core_wait_p95_ms)),
                    ("wait for the network", _waits(found.link_wait_p50_ms, found.link_wait_p95_ms)),
                    ("p50", milliseconds(found.p50_ms)),
                    ("p95", f"{milliseconds(found.p95_ms)}, {milliseconds(found.wanted_p95_ms)} wanted"),
                )
            ),
            Note("This is what a hit takes. A miss is told as quickly, and then waits for the origin of the images."),
            *(
                [Note("unbounded: more is asked for than can be answered, so the queue only grows.")]
                if found.p95_ms is None
                else []
            ),
        ),
    )


def _waits(p50_ms: float | None, p95_ms: float | None) -> str:
    return f"{milliseconds(p50_ms)} (p50), {milliseconds(p95_ms)} (p95)"
