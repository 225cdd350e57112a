"""What is lost with a pod, a node or a zone, and how long that lasts."""

from components.advice.advice import Advice
from components.advice.resilience import Resilience
from components.config.formats import count, gbps, memory, percent, rate, seconds
from components.config.units import MIB
from components.plan.node_loss import NODE_REPAIR_SECONDS, UNREACHABLE_TOLERATION_SECONDS, VOLUME_DETACH_SECONDS
from components.plan.traffic import SINGLE_FLOW_GBPS
from preview.document import Facts, Section


def resilience(plan: Advice) -> Section:
    """Failover, full resync, and the loss of more than a pod."""
    return Section(
        "Resilience",
        "what is lost, and for how long",
        (Facts(_shard(plan)), Facts(_resync(plan)), *_node_and_zone(plan)),
    )


def _shard(plan: Advice) -> tuple[tuple[str, str], ...]:
    found = plan.resilience
    return (
        ("failover", f"A replica has taken over after {seconds(found.promotion_seconds)}."),
        ("replica again", f"after {seconds(found.reprotection_seconds)} with the data of this workload"),
        ("", f"after {seconds(found.reprotection_full_seconds)} with a full master"),
        ("", _on_a_busy_node(found)),
        (
            "blast radius",
            f"{percent(found.blast_radius_percent, 2)} of the images, if a master and its replicas are lost together",
        ),
    )


def _on_a_busy_node(found: Resilience) -> str:
    if found.reprotection_worst_seconds is None:
        return "never on a node full of busy masters: this load leaves nothing for it"
    return f"after {seconds(found.reprotection_worst_seconds)} on a node full of busy masters"


def _resync(plan: Advice) -> tuple[tuple[str, str], ...]:
    found, tuning = plan.resilience, plan.tuning
    flow = f"{SINGLE_FLOW_GBPS:g} Gbps"
    backlog = memory(tuning.repl_backlog_bytes)
    if found.repl_backlog_seconds:
        backlog += f", which holds the writes of {seconds(found.repl_backlog_seconds)}"
    return (
        ("memory when full", f"{memory(found.full_mib * MIB)} with images of one size"),
        ("", f"up to {memory(found.full_mixed_mib * MIB)} with images of many sizes"),
        ("full resync", f"A master needs up to {memory(found.resync_peak_mib * MIB)} with the data of this workload."),
        ("", f"A full master needs up to {memory(found.resync_peak_full_mib * MIB)}."),
        ("", f"That is at {flow}, which one connection carries."),
        *(("", text) for text in _worst(found)),
        ("", f"The limit of a pod is {memory(found.limit_memory_mib * MIB)}."),
        ("writes per master", f"{rate(found.writes_per_second_per_master)} with this workload"),
        (
            "",
            f"Up to {rate(found.safe_writes_per_second_per_master)}, the full resync of a full master fits at {flow}.",
        ),
        ("replication backlog", backlog),
        ("output buffer", f"{memory(tuning.replica_output_buffer_limit_bytes)} for a replica"),
    )


def _worst(found: Resilience) -> tuple[str, ...]:
    """What of it holds on a node whose pods are all masters and as busy as is wanted: the planner's rule, and the
    warning's."""
    if not found.resync_fits:
        return ("On a node full of busy masters none fits.",)
    return (
        f"On a node full of busy masters, {gbps(found.resync_worst_gbps)} are left.",
        f"There a master needs up to {memory(found.resync_worst_peak_mib * MIB)} with the data of this workload.",
        f"There the full resync of a full master {'fits' if found.resync_full_fits else 'does not fit'}.",
    )


def _node_and_zone(plan: Advice) -> tuple[Facts, ...]:
    found, nodes = plan.resilience, plan.nodes
    if nodes is None or found.node_reprotection_seconds is None or found.node_pods is None:
        return ()
    separation = "never share a zone" if nodes.zone_separation else "may share a zone"
    never = found.reprotection_worst_seconds is None
    again, unprotected = seconds(found.node_reprotection_seconds), seconds(found.node_unprotected_seconds or 0)
    copied = f"Every shard has its replicas again {again} after that: {unprotected} at most in all."
    return (
        Facts(
            (
                ("a node lost", f"It takes at most {count(found.node_pods, 'pod')}."),
                ("", f"Their replicas have taken over after {seconds(found.promotion_seconds)}."),
                ("", f"The pods are given up after {seconds(UNREACHABLE_TOLERATION_SECONDS)}."),
                ("", f"EKS replaces a node that only stops answering after {seconds(NODE_REPAIR_SECONDS)}."),
                ("", f"The pods' volumes are free at most {seconds(VOLUME_DETACH_SECONDS)} later."),
                ("", "Their data cannot be copied to new replicas beside this load." if never else copied),
                ("", 'docs/runbook.md, "A node is lost", makes it minutes.'),
                (
                    "a zone lost",
                    f"It leaves at least {found.zone_masters_left} of {count(plan.sizing.masters, 'master')}.",
                ),
                ("", f"The copies of a shard {separation}."),
            )
        ),
    )
