"""What would change the decision: the whole cost of this stack and of other ways to do the same work."""

from components.advice.advice import Advice
from components.advice.alternatives import BreakEven, decisive
from components.config.formats import percent, usd
from components.config.settings import Settings
from preview.document import Facts, Note, Section, Table


def alternatives(plan: Advice, settings: Settings) -> tuple[Section, ...]:
    """One section; none where the nodes are not ours."""
    if not plan.alternatives:
        return ()
    table = Table(
        ("USD a month", "runs", "traffic", "total"),
        tuple(
            (option.name, usd(option.usd), usd(option.traffic_usd), usd(option.total_usd))
            for option in plan.alternatives
        ),
    )
    duty = settings.workload.duty_cycle
    notes = [
        f"Traffic counts with a mean load of {percent(100 * duty)} of the peak (workload.dutyCycle).",
        "Clients stand in every zone.",
        *map(_against_managed, plan.break_evens),
    ]
    facts = Facts(tuple((option.name, option.takes) for option in plan.alternatives[1:]))
    return (Section("Alternatives", _detail(plan), (table, *map(Note, notes), facts)),)


def _detail(plan: Advice) -> str:
    """What the section comes to: the other way, and what it costs."""
    cheaper = decisive(plan.alternatives)
    if cheaper is None:
        return "USD a month, with all traffic"
    return f"{cheaper.name}: {usd(cheaper.total_usd)} instead of {usd(plan.alternatives[0].total_usd)} USD a month"


def _against_managed(found: BreakEven) -> str:
    if found.duty_cycle <= 0:
        return f"ElastiCache, {found.engine}, costs less at any mean load."
    if found.duty_cycle >= 1:
        return f"This stack costs less than ElastiCache, {found.engine}, at any mean load."
    return (
        f"This stack costs less than ElastiCache, {found.engine}, below a mean load of "
        f"{percent(100 * found.duty_cycle, 1)}."
    )
