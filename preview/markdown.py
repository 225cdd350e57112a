"""Writes sections as GitHub's Markdown: for a comment on a pull request, or a job's summary."""

import re
from collections.abc import Iterable, Iterator

from preview.document import Block, Facts, Note, Section, Table

_SPECIAL = re.compile(r"([\\`*_{}\[\]|~#])")
_CODE = re.compile(r"(`[^`|\\]+`)")
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&commat;"}
"""The last would call people: a text of the config is no reason to write to them."""


def render_markdown(sections: Iterable[Section]) -> str:
    """All sections, ending in a line break. What is only for some readers is folded."""
    parts: list[str] = []
    for section in sections:
        title = f"{section.topic}: {section.detail}" if section.detail else section.topic
        body = "\n\n".join(_blocks(section.blocks))
        if section.is_detail:
            parts.append(f"<details><summary>{_escaped(title, is_html=True)}</summary>\n\n{body}\n\n</details>")
        else:
            sign = "⚠️ " if section.is_alert else ""
            parts.append(f"### {sign}{_escaped(title)}\n\n{body}")
    return "\n\n".join(parts) + "\n"


def _blocks(blocks: tuple[Block, ...]) -> Iterator[str]:
    notes: list[str] = []
    for block in blocks:
        if isinstance(block, Note):
            notes.append(_escaped(block.text))
            continue
        if notes:
            yield " ".join(notes)
            notes = []
        yield "\n".join(_table(block) if isinstance(block, Table) else _facts(block))
    if notes:
        yield " ".join(notes)


def _table(table: Table) -> Iterator[str]:
    yield _row(table.header)
    yield _row((":--", *("--:" for _ in table.header[1:])), is_markup=True)
    for row in table.rows:
        yield _row(row)


def _facts(facts: Facts) -> Iterator[str]:
    # GitHub's tables need a header; an empty one is shown as a thin line.
    yield _row(("", ""))
    yield _row((":--", ":--"), is_markup=True)
    merged: list[tuple[str, list[str]]] = []
    for label, text in facts.rows:
        if label or not merged:
            merged.append((label, []))
        merged[-1][1].append(text)
    for label, texts in merged:
        yield f"| {_escaped(label)} | {'<br>'.join(map(_escaped, texts))} |"


def _row(cells: Iterable[str], is_markup: bool = False) -> str:
    return f"| {' | '.join(cells if is_markup else map(_escaped, cells))} |"


def _escaped(text: str, is_html: bool = False) -> str:
    """The text as it is, whatever of Markdown or HTML it looks like. Words between backticks stay code."""
    if is_html:
        return _html(text)
    return "".join(
        part if _CODE.fullmatch(part) else _SPECIAL.sub(r"\\\1", _html(part))
        for part in _CODE.split(text.replace("\n", " "))
    )


def _html(text: str) -> str:
    return "".join(_HTML.get(letter, letter) for letter in text)
