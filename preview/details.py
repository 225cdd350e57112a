"""The lower half of `make plan`: working set, network and latency, failure, scaling out."""

from components.advice.advice import Advice
from components.config.formats import gbps, gib, percent, rate, seconds
from components.config.settings import Settings
from components.config.units import MIB, format_size
from preview import tables as tables
from preview.page import Page


def working_set(page: Page, plan: Advice, settings: Settings) -> None:
    """The sizing document's scenarios and the stack's own, and what helps where it does not fit."""
    found, workload = plan.working_set, settings.workload
    page.heading(f"WORKING SET, {workload.object_bytes:,} bytes an image = {found.size_class_bytes:,} in memory")
    page.table(tables.scenarios(plan))
    page.line(
        f"break-even: {percent(100 * found.break_even_hit_rate, 1)} by memory alone, "
        f"{percent(100 * found.break_even_hit_rate_beside_backlog, 1)} beside the replication backlog"
    )
    if not found.own.fits:
        page.line(
            f"remedies: totalMemory {format_size(found.needed_total_memory_bytes)}, or ttlSeconds "
            f"{found.needed_ttl_seconds}, or evictions from {found.seconds_to_eviction} s on"
        )


def network(page: Page, plan: Advice) -> None:
    """Bandwidth, the sizing document's QPS table, and the predicted latency with its parts."""
    traffic = plan.traffic
    page.heading("NETWORK AND LATENCY")
    page.line(
        f"a master sends {gbps(traffic.read_gbps_per_master)} to clients and "
        f"{gbps(traffic.replication_gbps_per_master)} to replicas = {gbps(traffic.egress_gbps_per_master)}; all "
        f"of them {gbps(traffic.read_gbps + traffic.replication_gbps)}"
    )
    page.table(tables.capacities(plan))
    answer = plan.latency
    core, link = (
        "without end" if wait is None else f"{wait:.1f} ms"
        for wait in (answer.core_wait_p95_ms, answer.link_wait_p95_ms)
    )
    page.line(
        f"p50 {answer.p50_ms:.1f} ms = transfer {answer.transfer_ms:.1f} (one flow), Redis {answer.processing_ms:.1f}, "
        f"round trip {answer.round_trip_ms:.1f}; p95 adds waiting: for the core {core}, for the network {link} (model)"
    )


def failure(page: Page, plan: Advice) -> None:
    """What is lost with a pod, a node or a zone, and for how long."""
    found, limit = plan.resilience, plan.resilience.limit_memory_mib / 1024
    backlog = f", {seconds(found.repl_backlog_seconds)} of writes" if found.repl_backlog_seconds else ""
    page.heading("FAILURE")
    page.item(
        "blast radius", f"{percent(found.blast_radius_percent, 2)} of the images, when all copies of a shard are lost"
    )
    page.item("promotion", f"{seconds(found.promotion_seconds)} until a replica has taken over")
    page.item(
        "protection",
        f"{seconds(found.reprotection_seconds)} until its shard has its copies again, "
        f"{seconds(found.reprotection_full_seconds)} when full (one TCP flow: 5 Gbps)",
    )
    page.item(
        "resync",
        f"peaks at {found.resync_peak_mib / 1024:.1f} GiB, {found.resync_peak_full_mib / 1024:.1f} GiB when full; the "
        f"limit is {limit:.1f} GiB; safe up to {rate(found.safe_writes_per_second_per_master)} writes per master "
        f"({rate(found.writes_per_second_per_master)} now)",
    )
    page.item(
        "backlog",
        f"{gib(plan.tuning.repl_backlog_bytes)}{backlog}; output buffer of a replica "
        f"{gib(plan.tuning.replica_output_buffer_limit_bytes)}",
    )
    if plan.nodes and found.node_reprotection_seconds is not None:
        again = seconds(found.node_reprotection_seconds)
        page.item("node lost", f"{found.node_pods} pods, protected again {again} after a new node is there")
        apart = "never share a zone" if plan.nodes.zone_separation else "may share a zone"
        page.item(
            "zone lost",
            f"{found.zone_masters_left} of {plan.sizing.masters} masters left; copies of a shard {apart}",
        )


def resize(page: Page, plan: Advice) -> None:
    """Both ways to another size, between masters like these."""
    found = plan.resize
    page.heading("CHANGING SIZE, live")
    page.item(
        "copy",
        f"{seconds(found.copy_seconds)} for the working set, {seconds(found.copy_full_seconds)} when full, no miss: "
        f"{found.copy_bytes_per_second_per_master / MIB:,.0f} MiB/s from each master, bound by {found.copy_bound_by}",
    )
    page.item(
        "expire",
        f"{seconds(found.expire_seconds)} and {found.expire_extra_misses:,} extra misses, "
        f"{rate(found.extra_misses_per_second)} at most; nothing is copied",
    )
    page.item("chosen", f"{found.mode.value} (resize.mode); a Job waits {seconds(found.deadline_seconds)} for it")


def scale_out(page: Page, plan: Advice) -> None:
    """More masters of the same size."""
    page.heading("SCALING OUT with the same pods")
    page.table(tables.scale_out(plan))
