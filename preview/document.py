"""What is shown of a stack, before it has a form: sections of tables, facts and notes.

The terminal (`writer.py`) and the HTML page (`page.py`) show the same sections, so neither can say what the other
does not.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """Labels in the first column, figures in the others."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    emphasised: int | None = None
    """Index of the column that matters most."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Pairs of label and text, one fact each. An empty label belongs to the label above it."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Note:
    """One sentence about the blocks above it."""

    text: str


Block = Table | Facts | Note


@dataclass(frozen=True, slots=True)
class Section:
    """What stands under one title: a topic (`Cost`) and what is to be known of it at once (`USD a month`)."""

    topic: str
    detail: str
    blocks: tuple[Block, ...]
    is_alert: bool = False
    """Whether it must catch the eye."""
    is_detail: bool = False
    """Whether only some readers want it: a pull request's comment shows it folded."""
