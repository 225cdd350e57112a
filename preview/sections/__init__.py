"""The sections of a plan, in the order in which they are read: what is decided, what is wrong with it, and why."""

from components.advice.advice import Advice
from components.config.settings import Settings
from preview.document import Section
from preview.sections.alternatives import alternatives
from preview.sections.cost import cost
from preview.sections.nodes import nodes
from preview.sections.pod_sizes import pod_sizes, scaling_out
from preview.sections.resilience import resilience
from preview.sections.resize import resize
from preview.sections.workload import latency, network, working_set


def reasons(plan: Advice, settings: Settings) -> tuple[Section, ...]:
    """Everything that stands below the summary and the warnings."""
    return (
        *alternatives(plan, settings),
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
