"""Whether the nodes agree with each other, which everything that gives slots away builds on."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.decide.actions import RuleResult
from reconciler.decide.state import ClusterState, first_few
from reconciler.observe.observation import NodeReport
from reconciler.slots import describe, slot_set


def _disagreement(report: NodeReport, other: NodeReport) -> str | None:
    """What one node does not know yet of another."""
    # Redis does not learn the owner of a slot by gossip while it imports that slot.
    importing = slot_set(slot for slot, _ in report.myself.importing)
    entry = report.known_nodes.get(other.node_id)
    if entry is None:
        return f"{report.name} does not know {other.name} yet"
    if other is not report and (entry.suspected or not entry.connected):
        return f"{report.name} is not connected to {other.name} yet"
    if (entry.slots ^ other.myself.slots) & ~importing and (other.is_master or entry.slots):
        own = describe(other.myself.slots)
        return f"{report.name} believes that {other.name} owns {describe(entry.slots)}, and it owns {own}"
    if entry.is_master != other.is_master:
        return f"{report.name} does not know yet whether {other.name} is a master"
    return None


def disagreements(state: ClusterState) -> list[str]:
    """What the wanted pods do not agree on yet: who belongs to them, and who owns what."""
    reports = state.desired_reports
    found = [text for report in reports for other in reports if (text := _disagreement(report, other))]
    if state.disputed_slots:
        found.append(f"more than one node owns {describe(state.disputed_slots)}")
    return found


def await_agreement(state: ClusterState) -> RuleResult:
    found = disagreements(state)
    return RuleResult(waiting=(first_few(found),) if found else ())


def unsettled_epochs(state: ClusterState) -> list[str]:
    """Owners of slots whose config epoch is not theirs alone, or not known to every master yet.

    Two masters with one config epoch settle that when they next ping each other: one of them raises its own. Should
    that be the source of a slot that has just gone to a target, then the source outranks the target and takes the slot
    back, with it loses its keys, and a moment later is told that the slot is not its own.
    """
    found = []
    for owner in state.masters:
        if not owner.myself.slots:
            continue
        for other in state.masters:
            entry = other.known_nodes.get(owner.node_id)
            if other is not owner and other.myself.config_epoch == owner.myself.config_epoch:
                found.append(f"{owner.name} and {other.name} have the same config epoch")
            elif entry is not None and entry.config_epoch != owner.myself.config_epoch:
                found.append(f"{other.name} does not know the config epoch of {owner.name} yet")
    return found


def reasons_not_to_move(state: ClusterState, targets: Iterable[str]) -> tuple[str, ...]:
    """What must come true before slots go to these nodes.

    A node that has just joined refuses every command of clients for up to 5 s (`clusterUpdateState` in the source of
    Redis), and says so.
    """
    closed = [
        f"{state.name(target)} does not accept commands of clients yet"
        for target in sorted(targets)
        if target not in state.reports or not state.reports[target].cluster_ok
    ]
    epochs = unsettled_epochs(state)
    return (*closed, *((first_few(epochs),) if epochs else ()))


def await_cluster_ok(state: ClusterState) -> RuleResult:
    """The end of *form*: every pod serves, and every slot has an owner."""
    waiting = [
        f"{report.name} does not report cluster_state ok yet"
        for report in state.desired_reports
        if not report.cluster_ok
    ]
    if state.unowned_slots:
        waiting.append(f"nobody owns {describe(state.unowned_slots)}")
    return RuleResult(waiting=tuple(waiting))
