"""Whether the servers that are wanted can be in one cluster with those that serve, and read their data
(docs/engines.md, "From one version to another")."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.decide.actions import RuleResult
from reconciler.decide.state import ClusterState
from reconciler.json_reader import Version
from reconciler.observe.observation import NodeReport


def refuse_what_cannot_be_read(state: ClusterState) -> RuleResult:
    """Before a pod is replaced or made. A roll would stop at its first replica, which asks its master for all data
    again and again; no key would get to a pool that cannot read it; and what each takes the other for harms clients."""
    wanted = state.desired.server
    if wanted is None:
        return RuleResult()
    for report in state.masters:
        if not report.myself.slots or report.version is None:
            continue
        running = f"{report.engine.capitalize()} {report.version[0]}.{report.version[1]}"
        stays = report.node_id in state.desired_ids
        if not _is_among(report, wanted.shares_bus_with):
            return RuleResult(
                refused=f"{report.name} runs {running}, and {wanted.title} cannot be in one cluster with it. Nothing "
                f"was changed. Set images.redis to {running} or later, or take the cache away first and let a new one "
                "fill itself"
            )
        reads = wanted.follows if stays else wanted.takes_keys_of
        if _is_among(report, reads) or not (stays or state.desired.move.mode == "copy"):
            continue
        newest = reads.get(report.engine)
        least = "none of that engine" if newest is None else f"at most {newest[0]}.{newest[1]} of that engine"
        anew = "podMemory to another size too, and resize.mode" if stays else "resize.mode"
        return RuleResult(
            refused=f"{report.name} runs {running}, and {wanted.title} cannot read its data ({least}). Nothing was "
            f"changed. Set images.redis to {running} or later, or {anew} to expire: then the cache is filled anew"
        )
    return RuleResult()


def _is_among(report: NodeReport, newest: Mapping[str, Version]) -> bool:
    least = newest.get(report.engine)
    return report.version is None or (least is not None and report.version <= least)
