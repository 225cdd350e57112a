"""Warnings about money: traffic between zones, memory and volumes that are paid for and not used."""

from collections.abc import Iterator
from math import ceil

from components.advice.cost import volume_usd
from components.advice.figures import Figures
from components.advice.plan_warning import PlanWarning
from components.advice.remedies import cost_of, plan_of
from components.advice.right_sizing import MEMORY_TARGET, Step
from components.config.formats import figure, memory, percent, usd
from components.config.rules import MASTERS_MIN
from components.config.settings import GP3_IOPS_INCLUDED, GP3_MIB_PER_SECOND_INCLUDED, Settings
from components.config.units import format_size

IDLE_SHARE = 0.1
"""Of the memory: where images take less, fewer masters do, unless the load needs them."""


def cross_zone(figures: Figures, everywhere: Step | None) -> Iterator[PlanWarning]:
    """Traffic between zones that costs more than the nodes."""
    cost = figures.cost
    if cost is None or cost.cross_zone_to_nodes_ratio <= 1:
        return
    spread, *others = cost.cross_zone
    sentences = []
    if others and others[0].total_usd < spread.total_usd:
        sentences.append(
            "Clients that read from a copy in their own zone, which answers with what it had a moment ago, bring it "
            f"to {usd(others[0].total_usd)} USD."
        )
    if everywhere is not None and everywhere.infrastructure_usd is not None:
        more = everywhere.infrastructure_usd - cost.infrastructure_usd
        if others[-1].total_usd + more < min(option.total_usd for option in cost.cross_zone[:-1]):
            sentences.append(
                f"With --set replicasPerMaster={everywhere.pods // everywhere.masters - 1} they bring it to "
                f"{usd(others[-1].total_usd)} USD, and nodes and volumes cost {usd(abs(more))} USD "
                f"{'more' if more > 0 else 'less'}."
            )
    yield PlanWarning(
        "cross-zone-traffic-dominates",
        f"Traffic between zones costs {usd(spread.total_usd)} USD a month. That is "
        f"{_ratio(cost.cross_zone_to_nodes_ratio)} times the nodes.",
        " ".join(sentences) or "Compare the plan's alternatives.",
    )


def more_memory(figures: Figures, cheaper: Step | None) -> Iterator[PlanWarning]:
    """A larger stack for less money."""
    if cheaper is None or figures.cost is None:
        return
    yield PlanWarning(
        "more-memory-costs-less",
        f"{figures.sizing.masters} masters cost {usd(figures.cost.infrastructure_usd)} USD a month, and "
        f"{cheaper.masters} masters cost {usd(cheaper.infrastructure_usd)}. Each of them sends less, so that a node "
        "carries more of them.",
        f"Use --set totalMemory={format_size(cheaper.total_memory_bytes)}.",
    )


def too_large(settings: Settings, figures: Figures) -> Iterator[PlanWarning]:
    """Memory or volumes of which next to nothing is used."""
    found, masters = figures.working_set, figures.sizing.masters
    if found.own.size_bytes < IDLE_SHARE * found.memory_bytes and masters > MASTERS_MIN:
        wanted = max(MASTERS_MIN, ceil(found.own.size_bytes / MEMORY_TARGET / settings.pod_memory))
        for fewer in range(wanted, masters):
            total = fewer * settings.pod_memory
            smaller = plan_of(settings, total_memory=total)
            if smaller is None or _usd(smaller[1]) >= _usd(figures) > 0:
                continue
            yield PlanWarning(
                "larger-than-needed",
                f"The images take {memory(found.own.size_bytes)} of {memory(found.memory_bytes)}, which is "
                f"{percent(found.own.memory_percent, 1)}.",
                f"Use --set totalMemory={format_size(total)}.{cost_of(figures, smaller[1])}",
            )
            break
    extra = figures.sizing.pods * volume_usd(0, settings.storage)
    if extra > 0:
        yield PlanWarning(
            "volume-faster-than-needed",
            "The volumes hold only nodes.conf, a few kilobytes that are written when the cluster changes. More than "
            f"gp3's own {GP3_IOPS_INCLUDED:,} IOPS and {GP3_MIB_PER_SECOND_INCLUDED} MiB/s cost {usd(extra)} USD a "
            "month.",
            "Take storage.iops and storage.throughputMibPerSecond out of the config.",
        )


def _ratio(value: float) -> str:
    """With a tenth below ten: traffic for 1.4 times as much is not said to cost 1 times as much."""
    return figure(value, 1 if value < 9.95 else 0)


def _usd(figures: Figures) -> float:
    return figures.cost.infrastructure_usd if figures.cost else 0.0
