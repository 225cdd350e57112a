"""`--html FILE`: one page with charts and tables that opens offline and loads nothing."""

from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from components.advice.advice import Advice
from components.config.formats import memory, milliseconds, percent, rate, seconds, share, times, usd
from components.config.settings import Settings
from preview.document import Facts, Note, Section, Table
from preview.figures import Figure, figures
from preview.sections import reasons, thought_over
from preview.sections.summary import shape, summary
from preview.sections.warnings import warnings


@dataclass(frozen=True, slots=True)
class Card:
    """One figure that decides, large, with what it is to be judged by."""

    name: str
    figure: str
    note: str


def render_page(plan: Advice, settings: Settings, *, stack: str) -> str:
    """The page as one HTML document. Everything but the style sheet and the charts is escaped by Jinja."""
    environment = Environment(
        loader=PackageLoader("preview", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    source, _, _ = environment.loader.get_source(environment, "page.css") if environment.loader else ("", None, None)
    return environment.get_template("page.html").render(
        stack=stack,
        shape=shape(plan),
        style=Markup(source),  # noqa: S704 - our own file
        cards=_cards(plan, settings),
        thought_over=[_blocks(section) for section in thought_over(plan, settings)],
        alerts=[_blocks(section) for section in warnings(plan)],
        figures=[_figure(figure) for figure in figures(plan, settings)],
        sections=[_blocks(section) for section in (summary(plan, settings, stack), *reasons(plan, settings))],
    )


def _figure(figure: Figure) -> dict[str, object]:
    chart = Markup(figure.svg)  # noqa: S704 - drawn from numbers and the names of sizes; pygal escapes its texts
    return {"title": figure.title, "svg": chart, "legend": figure.legend, "notes": figure.notes}


def _blocks(section: Section) -> dict[str, object]:
    """A section as the template takes it, each block with the name of its kind."""
    kinds = {Table: "table", Facts: "facts", Note: "note"}
    return {
        "topic": section.topic,
        "detail": section.detail,
        "blocks": [(kinds[type(block)], block) for block in section.blocks],
    }


def _cards(plan: Advice, settings: Settings) -> list[Card]:
    found, answer, lost, cost = plan.working_set, plan.latency, plan.resilience, plan.cost
    cards = [
        Card(
            "memory in use",
            percent(found.own.memory_percent),
            f"{memory(found.own.size_bytes)} of {memory(found.memory_bytes)}",
        ),
        Card(
            "lowest hit rate",
            share(found.break_even_hit_rate_beside_backlog, 1),
            f"{share(settings.workload.hit_rate)} configured",
        ),
        Card(
            "capacity",
            rate(plan.capacity.ops_total),
            f"{times(plan.capacity.headroom)} the {rate(settings.workload.requests_per_second)} wanted",
        ),
        Card(
            "p95 latency",
            milliseconds(answer.p95_ms),
            f"predicted, {milliseconds(answer.wanted_p95_ms)} wanted",
        ),
        Card(
            "failover",
            seconds(lost.promotion_seconds),
            f"{percent(lost.blast_radius_percent, 2)} of the images in one shard",
        ),
    ]
    if cost:
        cards.append(
            Card(
                "cost a month",
                f"${usd(cost.infrastructure_usd)}",
                f"and up to ${usd(cost.cross_zone[0].total_usd)} for traffic between zones",
            )
        )
    return cards
