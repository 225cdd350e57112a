"""What a reviewer reads of an edit: figures before and after, warnings that come and go, and what the update does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components.advice.advice import Advice
from components.config.formats import NONE, count, memory, milliseconds, percent, rate, seconds, times, usd
from components.config.units import MIB
from components.plan.nodes.catalogue import HOURS_PER_MONTH
from preview.diff.clients import users_told
from preview.diff.revision import Revision
from preview.diff.update import Update, time_span
from preview.document import Block, Facts, Note, Section, Table

_LINES_OF_A_REASON = 12
_NO_DIFFERENCE = "as before"


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of a plan in its machine form, by its path there."""

    label: str
    path: str
    show: Callable[[Any], str]
    shows_difference: bool = False
    """Whether the difference is worth a column: of money and capacity, not of a name."""
    is_named_when_same: bool = True


def _text(value: Any) -> str:
    return str(value)


def _bytes(value: Any) -> str:
    return f"{value:,} bytes"


def _mib(value: Any) -> str:
    return memory(float(value) * MIB)


def _percent_2(value: Any) -> str:
    return percent(value, 2)


def _dollars(value: Any) -> str:
    return f"{usd(value)} USD a month"


CAPACITY = (
    Figure("pool", "pool", _text),
    Figure("masters", "masters", _text, True),
    Figure("replicas", "replicas", _text, True),
    Figure("memory of all pods", "total_request_memory_mib", _mib),
    Figure("node type", "nodes.instance_type", _text),
    Figure("nodes", "nodes.nodes_total", _text, True),
    Figure("capacity", "capacity.ops_total", rate, True),
    Figure("times the wanted rate", "capacity.headroom", times),
    Figure("p95 latency", "latency.p95_ms", milliseconds),
    Figure("memory in use", "working_set.own.memory_percent", percent),
)
MONEY = (
    Figure("cost without traffic", "cost.infrastructure_usd", _dollars, True),
    Figure("nodes for 3 years, upfront", "cost.nodes_reserved_3y_usd", _dollars, True),
    Figure("traffic between zones at most", "cost.cross_zone.0.total_usd", _dollars, True),
)
RISK = (
    Figure("lost with one shard", "resilience.blast_radius_percent", _percent_2),
    Figure("failover of a master", "resilience.promotion_seconds", seconds),
    Figure("full resync", "resilience.reprotection_seconds", seconds),
    Figure("pods on a lost node", "resilience.node_pods", _text),
    Figure("second copy after a lost node", "resilience.node_unprotected_seconds", seconds),
    Figure("masters left without a zone", "resilience.zone_masters_left", _text),
    Figure("moving the working set", "resize.copy_seconds", seconds),
)
SERVER = tuple(
    Figure(label, path, show, is_named_when_same=False)
    for label, path, show in (
        ("version", "server.title", _text),
        ("license", "server.license", _text),
        ("slots with keys move", "server.slot_move", _text),
        ("memory of a key", "working_set.key_bytes", _bytes),
        ("memory of all slots", "working_set.slots_bytes", memory),
    )
)
"""Of a version of the program that did not name the server, nothing is known to differ."""
GROUPS: Mapping[str, tuple[Figure, ...]] = {"Capacity": CAPACITY, "Money": MONEY, "Risk": RISK, "Server": SERVER}


def value_at(plan: Mapping[str, Any], path: str) -> Any:
    """What stands there; None where another version of the program has no such figure."""
    value: Any = plan
    for part in path.split("."):
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list | tuple) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def sections(stack: str, revision: Revision, update: Update, said: Sequence[str] = ()) -> tuple[Section, ...]:
    """The whole of the comparison. `said` is what the program warns of beside the plan's own warnings, such as nodes
    that are too many."""
    after = update.after
    return (
        _headline(stack, revision, after, update),
        *_figures(revision, after),
        *_warnings(revision, after),
        _steps(update, said),
        *_resources(update),
    )


def refused(stack: str, revision: Revision, reason: str) -> tuple[Section, ...]:
    """The working tree has no plan: why, and nothing else."""
    rows = (("stack", stack), ("compared with", revision.name), ("refused", "Nothing can be deployed as it is."))
    return (Section("Refused", f"stack {stack}", (Facts(rows), Facts(_reason(reason))), is_alert=True),)


def _headline(stack: str, revision: Revision, after: Advice, update: Update) -> Section:
    rows = [("compared with", revision.name)]
    if revision.reason is not None:
        rows += [("before", "no plan"), *_reason(revision.reason)]
    if revision.has_other_program:
        rows.append(("program", "It differs too. Each side is computed by its own."))
    steps = update.steps()
    total = update.total()
    takes = f", {time_span(*total)}" if total and total[1] >= 1 else ""
    if any(step.least_seconds is None for step in steps):
        takes += ", and what AWS takes for nodes"
    nothing = f"`pulumi up` changes nothing{' that can be read offline' if update.dangers else ''}."
    done = f"{count(len(steps), 'step')}{takes}" if steps else nothing
    rows.append(("update", update.instead or done))
    headroom = f"{times(after.capacity.headroom)} of what is wanted"
    rows.append(("capacity", headroom if after.capacity.headroom >= 1 else f"{headroom}: too little"))
    if after.cost is not None:
        cost = after.cost.infrastructure_usd
        former = value_at(revision.plan, "cost.infrastructure_usd")
        change = "" if former is None else f", {difference(former, cost)}"
        if former is not None and update.renews_classes and usd(former) != usd(cost):
            change += ", with volumes made anew: those that exist keep their price"
        rows.append(("cost", f"{_dollars(cost)} without traffic{change}"))
    return Section("Change", f"stack {stack}", (Facts(tuple(rows)),))


def _reason(text: str) -> tuple[tuple[str, str], ...]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    shown = lines[:_LINES_OF_A_REASON]
    if len(lines) > len(shown):
        shown.append(f"and {count(len(lines) - len(shown), 'line')} more")
    return tuple(("reason" if index == 0 else "", line) for index, line in enumerate(shown))


def _figures(revision: Revision, after: Advice) -> tuple[Section, ...]:
    """What differs, as tables by topic; and what does not, in a line. Nothing where no figure differs."""
    new = after.to_json()
    blocks: list[Block] = []
    same: list[str] = []
    for topic, figures in GROUPS.items():
        if figures is SERVER and revision.plan and "server" not in revision.plan:
            continue
        rows = []
        for figure in figures:
            values = value_at(revision.plan, figure.path), value_at(new, figure.path)
            before, now = (
                _shown(figure, plan, value) for plan, value in zip((revision.plan, new), values, strict=True)
            )
            if before != now:
                change = difference(*values) if figure.shows_difference else ""
                # What is shown with a digit behind the point can differ by less than one.
                rows.append((figure.label, before, now, "" if change == _NO_DIFFERENCE else change))
            elif now != NONE and figure.is_named_when_same:
                same.append(figure.label)
        if rows:
            shown = 4 if any(row[3] for row in rows) else 3
            columns = (topic.lower(), "before", "after", "change")[:shown]
            blocks.append(Table(columns, tuple(row[:shown] for row in rows)))
    if blocks and same:
        blocks.append(Note(f"The same before and after: {', '.join(same)}."))
    return (Section("Figures", "before and after", tuple(blocks)),) if blocks else ()


def _shown(figure: Figure, plan: Mapping[str, Any], value: Any) -> str:
    if value is None and not (figure.show is milliseconds and "latency" in plan):
        return NONE
    return figure.show(value)


def difference(before: Any, after: Any) -> str:
    """`+1,200 (+8 %)`, `-300 (-2 %)`, `as before`; nothing where a side has no figure."""
    if not isinstance(before, int | float) or not isinstance(after, int | float):
        return ""
    # As they are shown, so that a reader who subtracts finds the same.
    before, after = round(before), round(after)
    change = after - before
    if change == 0:
        return _NO_DIFFERENCE
    share = f" ({100 * change / before:+,.0f} %)" if before and abs(change / before) >= 0.005 else ""
    return f"{change:+,.0f}{share}"


def _warnings(revision: Revision, after: Advice) -> tuple[Section, ...]:
    former = {str(item.get("code")) for item in revision.plan.get("warnings") or ()}
    now = {warning.code: warning for warning in after.warnings}
    new = [warning for code, warning in now.items() if code not in former]
    gone, kept = sorted(former - now.keys()), sorted(former & now.keys())
    blocks: list[Block] = [
        Facts((("new", warning.code), ("problem", warning.what), ("change", warning.change))) for warning in new
    ]
    rows = []
    if gone:
        rows.append(("gone", ", ".join(gone)))
    if kept:
        rows.append(("as before", ", ".join(kept)))
    if rows:
        blocks.append(Facts(tuple(rows)))
    detail = f"{len(new)} new, {len(gone)} gone"
    return (Section("Warnings", detail, tuple(blocks), is_alert=bool(new)),) if blocks else ()


def _steps(update: Update, said: Sequence[str]) -> Section:
    steps = update.steps()
    noted = [Facts(tuple(("note" if index == 0 else "", text) for index, text in enumerate(said)))] if said else []
    alerts = [Facts((("danger", danger.text),)) for danger in update.dangers]
    if update.instead:
        return Section("Update", "no steps", (*alerts, *noted), is_alert=True)
    if not steps:
        same = Note("Every resource is the same on both sides.")
        return Section("Update", "nothing to do", (*alerts, same, *noted), is_alert=bool(alerts))
    rows = tuple((f"{number}. {step.time}", step.what) for number, step in enumerate(steps, 1))
    return Section(
        "Update",
        f"{count(len(steps), 'step')}, in this order",
        (*alerts, Facts(rows), *noted, *map(Note, _notes(update))),
        is_alert=bool(alerts),
    )


def _notes(update: Update) -> list[str]:
    """What else a reviewer has to know of the time between."""
    notes = [*update.edit.told_servers()]
    if update.before:
        if (
            any(item.kind == "Secret" for item in update.edit.replaced)
            and not users_told(update.edit)
            and not update.edit.changes_rights_of_nodes_alone
        ):
            notes.append(
                "Passwords or rights of users change. The Job release refuses a password that the nodes do not know "
                'beside the one of before: docs/runbook.md, "Change the password", has the two edits.'
            )
        if any(step.replaces_pods for step in update.steps()):
            notes.append(
                "The cache serves meanwhile. While a pod is replaced, its shard is without that copy for up to "
                f"{seconds(update.unprotected_seconds)}."
            )
        cost = value_at(update.before, "cost.infrastructure_usd")
        if update.exchanges_the_pool and update.after.cost is not None and cost is not None:
            hourly = (cost + update.after.cost.infrastructure_usd) / HOURS_PER_MONTH
            notes.append(f"Until the old pool goes, both are paid: {hourly:,.2f} USD an hour together.")
        notes.append(update.edit.way_back)
    notes.append(
        "Times are predicted: the lower with the data of this workload, the upper with full masters and slow volumes."
    )
    return notes


def _resources(update: Update) -> tuple[Section, ...]:
    edit = update.edit
    if edit.names_another_cluster:
        # Everything would be made there and deleted here, and nothing is updated.
        return ()
    replaced = {item.urn for item in edit.replaced}
    columns = (
        Counter(item.type for item in edit.created),
        Counter(item.type for item in edit.changed if item.urn not in replaced),
        Counter(item.type for item in edit.replaced),
        Counter(item.type for item in edit.deleted),
    )
    kinds = sorted({kind for column in columns for kind in column})
    if not kinds:
        return ()
    rows = tuple((kind, *(f"{column[kind] or NONE}" for column in columns)) for kind in kinds)
    words = ("created", "updated", "replaced", "deleted")
    detail = ", ".join(
        f"{column.total()} {word}" for column, word in zip(columns, words, strict=True) if column.total()
    )
    if update.instead:
        detail += ", were it not refused"
    return (Section("Resources", detail, (Table(("type", *words), rows),), is_detail=True),)
