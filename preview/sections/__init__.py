"""The sections of a plan, in the order in which they are read: what is decided, what is wrong with it, and why."""

from components.advice.advice import Advice
from components.advice.alternatives import decisive
from components.config.settings import Settings
from preview.document import Section
from preview.sections.alternatives import alternatives
from preview.sections.cost import cost
from preview.sections.nodes import nodes
from preview.sections.pod_sizes import pod_sizes, scaling_out
from preview.sections.resilience import resilience
from preview.sections.resize import resize
from preview.sections.summary import summary
from preview.sections.warnings import warnings
from preview.sections.workload import latency, network, working_set


def decision(plan: Advice, settings: Settings, stack: str) -> tuple[Section, ...]:
    """What stands first: the summary, then another way that costs clearly less, since nobody need read on who takes
    that way, and the warnings."""
    return (summary(plan, settings, stack), *thought_over(plan, settings), *warnings(plan))


def thought_over(plan: Advice, settings: Settings) -> tuple[Section, ...]:
    """The alternatives where one of them would change the decision; nothing otherwise."""
    return alternatives(plan, settings) if decisive(plan.alternatives) else ()


def reasons(plan: Advice, settings: Settings) -> tuple[Section, ...]:
    """Everything that stands below the decision. No alternative that changes it is among them."""
    return (
        *(() if decisive(plan.alternatives) else alternatives(plan, settings)),
        pod_sizes(plan),
        *nodes(plan),
        *cost(plan, settings),
        working_set(plan, settings),
        network(plan),
        latency(plan),
        resilience(plan),
        scaling_out(plan),
        resize(plan),
    )
