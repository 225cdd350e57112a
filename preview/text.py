"""A plan as text for people."""

from collections import Counter
from collections.abc import Iterable, Sequence

from components.advice.advice import Advice
from components.config.settings import Settings
from preview.document import Section, Table
from preview.resources import Resource
from preview.sections import decision, reasons
from preview.sections.summary import summary
from preview.writer import Style, Writer


def render_plan(plan: Advice, settings: Settings, *, stack: str, style: Style | None = None) -> str:
    """The whole plan: the decision, and the reasons."""
    return render_sections(plan_sections(plan, settings, stack), style)


def plan_sections(plan: Advice, settings: Settings, stack: str) -> tuple[Section, ...]:
    """What `render_plan` writes."""
    return (*decision(plan, settings, stack), *reasons(plan, settings))


def render_summary(plan: Advice, settings: Settings, *, stack: str, style: Style | None = None) -> str:
    """What `render_plan` begins with."""
    return render_sections([summary(plan, settings, stack)], style)


def render_resources(resources: Iterable[Resource], style: Style | None = None) -> str:
    """What would be registered: how many resources of each type."""
    counts = Counter(resource.type for resource in resources)
    rows = tuple((kind, f"{number}") for kind, number in sorted(counts.items()))
    return render_sections([Section("Resources", f"{counts.total()}", (Table(("type", "number"), rows),))], style)


def render_sections(sections: Sequence[Section], style: Style | None = None) -> str:
    """Sections alone."""
    writer = Writer(style or Style())
    writer.sections(sections)
    return writer.text()
