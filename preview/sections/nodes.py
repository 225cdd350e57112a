"""Why the nodes are what they are: the rule that binds, and the types that would do as well."""

from components.advice.advice import Advice
from components.config.formats import count, gbps, memory, percent, plain, usd
from components.config.units import MIB
from components.plan.nodes.choice import NodePlan, Rejection
from preview.document import Facts, Note, Section, Table

OTHER_TYPES_SHOWN = 4
DOCUMENT_NODE_TYPE = "m6i.2xlarge"
"""The type that the sizing document names."""


def nodes(plan: Advice) -> tuple[Section, ...]:
    """One section; none where the nodes are not ours."""
    chosen = plan.nodes
    if chosen is None:
        return ()
    notes = [
        "Network is the sustained bandwidth, not the burst.",
        f"The nodes take {count(chosen.vcpus_total, 'vCPU')} of the account's quota.",
    ]
    notes.append(_room_for_a_drain(chosen))
    if chosen.system_reserved_cpu_millicores:
        notes.append(
            f"The kubelet keeps {chosen.system_reserved_cpu_millicores}m of CPU back, so that no further pod is "
            "scheduled to a full node."
        )
    document = next((entry for entry in chosen.rejected if entry.instance_type == DOCUMENT_NODE_TYPE), None)
    return (
        Section(
            "Nodes",
            f"why {chosen.instance_type}",
            (
                _limits(plan, chosen),
                *map(Note, notes),
                *_others(chosen),
                *map(Note, _for_three_years(plan)),
                *(_why_not(document) if document else ()),
            ),
        ),
    )


def _room_for_a_drain(chosen: NodePlan) -> str:
    """What it costs that the pods of a drained or lost node find a place in their zone."""
    if chosen.spare_per_zone:
        return (
            f"{count(chosen.spare_per_zone, 'spare node')} in each zone for the pods of one that is drained or lost: "
            f"{usd(chosen.spare_usd_per_month)} USD a month."
        )
    return (
        "No spare nodes: to drain a node, its zone is given one more for the time, at "
        f"{chosen.drain_usd_per_hour:.2f} USD an hour (docs/runbook.md). nodes.sparePerZone: 1 would keep one ready."
    )


def _for_three_years(plan: Advice) -> list[str]:
    """Nodes that would be the cheaper ones if they were paid for three years."""
    if plan.cost is None:
        return []
    own, cheapest = plan.cost.reserved_3y, plan.cost.cheapest_reserved_3y
    if cheapest.instance_type == own.instance_type:
        return [f"Paid for three years upfront, {own.instance_type} is the cheapest too."]
    return [
        f"Paid for three years upfront, {count(cheapest.nodes_total, 'node')} of {cheapest.instance_type} would be the "
        f"cheapest: {usd(cheapest.usd_per_month)} USD a month instead of {usd(own.usd_per_month)} "
        f"(--set nodes.instanceType={cheapest.instance_type})."
    ]


def _why_not(document: Rejection) -> tuple[Facts, ...]:
    return (
        Facts(((document.instance_type, "The sizing document names it. It does not pass:"), ("", document.reason))),
    )


def _limits(plan: Advice, chosen: NodePlan) -> Table:
    """What a full node takes of each limit, and how many pods that limit alone would allow."""
    limits, per_node = chosen.per_node_limits, count(chosen.pods_per_node, "pod")
    return Table(
        ("limit of one node", "used at most", "there is", "room for"),
        (
            (
                "memory, by the pods' limits",
                memory(chosen.pods_memory_mib * MIB),
                memory(chosen.allocatable_memory_mib * MIB),
                count(limits.by_memory, "pod"),
            ),
            (
                "network, all pods being masters",
                gbps(chosen.worst_egress_gbps),
                f"{plain(chosen.sustained_gbps)} Gbps",
                count(limits.by_network, "pod"),
            ),
            ("a sixth of all pods", per_node, count(plan.sizing.pods, "pod"), count(limits.by_share, "pod")),
            (
                "a minority of the masters",
                per_node,
                count(plan.sizing.masters, "master"),
                count(limits.by_majority, "pod"),
            ),
        ),
    )


def _others(chosen: NodePlan) -> tuple[Table | Note, ...]:
    """The chosen type and the next cheapest ones that pass, on the same terms."""
    others = [kind for kind in chosen.passing if kind.instance_type != chosen.instance_type]
    if not others:
        return (Note("No other type of the catalogue passes."),)
    own = tuple(kind for kind in chosen.passing if kind.instance_type == chosen.instance_type)
    table = Table(
        ("types that pass", "processor", "nodes", "pods on a node", "network used", "USD a month"),
        tuple(
            (
                f"{kind.instance_type} *" if kind in own else kind.instance_type,
                kind.architecture,
                f"{kind.nodes_total}",
                f"{kind.pods_per_node}",
                percent(kind.worst_use_percent),
                usd(kind.usd_per_month),
            )
            for kind in (*own, *others[:OTHER_TYPES_SHOWN])
        ),
    )
    left = len(others) - len(others[:OTHER_TYPES_SHOWN])
    notes = [Note("USD are those of nodes on demand with their root volumes. * is this stack.")]
    if left:
        notes.append(Note(f"{count(left, 'more type')} {'passes' if left == 1 else 'pass'}."))
    return (table, *notes)
