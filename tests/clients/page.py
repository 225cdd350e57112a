"""docs/clients.md: the settings as the drivers have them, and what was measured with them. Pure but for files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tests.clients.drivers import ALL, HERE, PATIENT_S, Client
from tests.clients.faults import FAULTS, TEXTS
from tests.clients.figures import Figures

PAGE = HERE.parents[1] / "docs/clients.md"
MEASURED = HERE / "measured.json"
"""The figures of the run that the page shows, so that the text around them can be edited without measuring again."""
_TEXT = HERE / "page.md"


@dataclass(frozen=True)
class Run:
    """Phase -> seconds until every shard took writes again, and phase -> client -> figures."""

    outages_s: Mapping[str, float]
    figures: Mapping[str, Mapping[str, Figures]]


@dataclass(frozen=True)
class Measured:
    """What `make clients` found."""

    date: str
    machine: str
    load: str
    versions: Mapping[str, str]
    recommended: Run
    patient: Run
    defaults: Run

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1, sort_keys=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Measured:
        read = json.loads(text)

        def run(data: dict[str, Any]) -> Run:
            figures = {
                key: {name: Figures(**values) for name, values in by_client.items()}
                for key, by_client in data["figures"].items()
            }
            return Run(data["outages_s"], figures)

        runs = (run(read[name]) for name in ("recommended", "patient", "defaults"))
        return cls(read["date"], read["machine"], read["load"], read["versions"], *runs)


def is_met(key: str, client: Client, figures: Figures) -> bool:
    """No request longer than the client's bound; none failed that was sent when every shard took writes again; and in
    a planned change or a crash, or of a patient client, none at all."""
    quiet = client.is_patient or any(fault.key == key and fault.quiet for fault in FAULTS)
    return figures.longest_s <= client.bound_s and not (figures.failed if quiet else figures.failed_afterwards)


def cell(figures: Figures) -> str:
    """`52 of 440, 2.0 s, -1.5 s`."""
    if figures.last_failed_s is None:
        return f"0 of {figures.sent}, {figures.longest_s:.1f} s"
    last = f"{figures.last_failed_s:+.1f} s".replace("-", "−")
    return f"{figures.failed} of {figures.sent}, {figures.longest_s:.1f} s, {last}"


def table(run: Run, clients: Sequence[Client], *, is_judged: bool = True) -> str:
    """A row for each phase, a column for each client. What missed its goal is bold where it is judged."""
    names = [client.name.partition(",")[0] for client in clients]
    lines = ["| | back after | " + " | ".join(names) + " |", "|---" * (len(clients) + 2) + "|"]
    for key, by_client in run.figures.items():
        cells = []
        for client in clients:
            text = cell(by_client[client.name])
            is_bold = is_judged and not is_met(key, client, by_client[client.name])
            cells.append(f"**{text}**" if is_bold else text)
        lines.append(f"| {TEXTS[key]} | {run.outages_s[key]:.1f} s | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def missed(run: Run, clients: Sequence[Client]) -> list[str]:
    """A line for each cell that missed its goal."""
    return [
        f"- {client.name}, *{TEXTS[key]}*: {cell(by_client[client.name])}"
        for key, by_client in run.figures.items()
        for client in clients
        if not is_met(key, client, by_client[client.name])
    ]


def _missed(measured: Measured, patients: Sequence[Client]) -> str:
    lines = missed(measured.recommended, ALL) + missed(measured.patient, patients)
    return "\n".join(lines) if lines else "Nothing, in this run."


def errors_table(run: Run) -> str:
    """What each client's requests failed with when a machine was lost."""
    lines = ["| client | failed or unanswered | longest | what failed |", "|---|---|---|---|"]
    for client in ALL:
        figures = run.figures["lost"][client.name]
        errors = sorted(figures.errors.items(), key=lambda item: -item[1])
        what = "; ".join(f"{count} × {text[:60]}" for text, count in errors[:2]).replace("|", " ") or "–"
        failed = f"{figures.failed} of {figures.sent}"
        lines.append(f"| {client.name} | {failed} | {figures.longest_s:.1f} s | {what} |")
    return "\n".join(lines)


def render(measured: Measured) -> str:
    """The whole page. `page.md` has a mark in braces for each part that is not text."""
    text = _TEXT.read_text()
    patients = [client.patient() for client in ALL]
    parts = {
        "date": measured.date,
        "machine": measured.machine,
        "load": measured.load,
        "table": table(measured.recommended, ALL),
        "missed": _missed(measured, patients),
        "patient_table": table(measured.patient, patients),
        "patience": f"{PATIENT_S:g} s",
        "defaults_table": table(measured.defaults, ALL, is_judged=False),
        "errors_table": errors_table(measured.defaults),
        "defaults_out": f"{measured.defaults.outages_s['lost']:.1f} s",
    }
    for client in ALL:
        parts[f"version {client.name}"] = measured.versions[client.name]
        parts[f"bound {client.name}"] = f"{client.bound_s:g} s"
        parts[f"patient bound {client.name}"] = f"{client.patient().bound_s:g} s"
        parts[f"code {client.name}"] = f"```{client.language}\n{client.code}```"
    for name, part in parts.items():
        text = text.replace("{" + name + "}", part)
    return text
