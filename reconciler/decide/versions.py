"""Whether the servers that are wanted can read the data of those that serve (docs/engines.md, "What differs")."""

from __future__ import annotations

from reconciler.decide.actions import RuleResult
from reconciler.decide.state import ClusterState


def refuse_what_cannot_be_read(state: ClusterState) -> RuleResult:
    """Before a pod is replaced or made. A roll would stop at its first replica, which asks its master for all data
    again and again; and no key would get to a pool that cannot read it."""
    wanted = state.desired.server
    if wanted is None:
        return RuleResult()
    for report in state.masters:
        if not report.myself.slots or report.version is None:
            continue
        stays = report.node_id in state.desired_ids
        if not stays and state.desired.move.mode != "copy":
            continue
        newest = (wanted.follows if stays else wanted.takes_keys_of).get(report.engine)
        if newest is not None and report.version <= newest:
            continue
        running = f"{report.engine.capitalize()} {report.version[0]}.{report.version[1]}"
        least = "none of that engine" if newest is None else f"at most {newest[0]}.{newest[1]} of that engine"
        return RuleResult(
            refused=f"{report.name} runs {running}, and {wanted.title} cannot read its data ({least}). Nothing was "
            f"changed. Set images.redis to {running} or later"
            + ("" if stays else ", or resize.mode to expire: then the cache is filled anew")
        )
    return RuleResult()
