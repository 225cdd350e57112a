"""Writes sections as text, as wide as the terminal, with colour or without any escape sequence."""

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import StringIO
from math import ceil
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table as DrawnTable
from rich.text import Text

from preview.document import Block, Facts, Note, Section, Table

COLUMNS_PIPED = 100
"""Width where no terminal says another."""
COLUMNS_MIN, COLUMNS_MAX = 80, 200
SENTENCE_COLUMNS_MAX = 110
"""Wider lines of running text are hard to read, however wide the terminal is."""
_INDENT = 2
_GAP = 2
_GLUE = "\ufdd0"
"""Stands for a blank at which no line ends. It is a noncharacter, which no text has."""
_WITHIN_FIGURE = re.compile(
    r"(?<=[0-9]) (?=(?:%|ms|s|min|h|KiB|MiB|GiB|Gbps|USD|cores?)(?!\w))|(?<=[0-9] min) (?=[0-9])|(?<=[0-9] h) (?=[0-9])"
)


@dataclass(frozen=True, slots=True)
class Style:
    """How wide the text may be, in columns, and whether colours are understood."""

    columns: int = COLUMNS_PIPED
    color: bool = False


def style_of(stream: TextIO, plain: bool = False) -> Style:
    """What suits a stream: `COLUMNS` before the terminal's own width, and no colour where it shall be `plain`, where
    NO_COLOR is set, where the terminal is dumb, or where there is none."""
    is_terminal = stream.isatty()
    columns = shutil.get_terminal_size((COLUMNS_PIPED, 0)).columns
    if not is_terminal and "COLUMNS" not in os.environ:
        # Standard output may still be a terminal when another stream is asked for.
        columns = COLUMNS_PIPED
    color = is_terminal and not plain and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return Style(min(max(columns, COLUMNS_MIN), COLUMNS_MAX), color)


class Writer:
    """Collects what is written; `text()` gives it without trailing blanks."""

    def __init__(self, style: Style) -> None:
        self._columns = style.columns
        self._out = StringIO()
        self._console = Console(
            file=self._out,
            width=style.columns,
            color_system="standard" if style.color else None,
            force_terminal=style.color,
            no_color=not style.color,
            highlight=False,
            markup=False,
            emoji=False,
            legacy_windows=False,
        )

    def sections(self, sections: Iterable[Section]) -> None:
        """Sections one after the other, each after a blank line."""
        for section in sections:
            self._console.print()
            title = f"{section.topic.upper()}: {section.detail}" if section.detail else section.topic.upper()
            self._console.print(Text(title, style="bold yellow" if section.is_alert else "bold"))
            self._blocks(section.blocks)

    def text(self) -> str:
        """All of it, ending in a line break."""
        lines = self._out.getvalue().replace(_GLUE, " ").splitlines()
        return "\n".join(line.rstrip() for line in lines).strip("\n") + "\n"

    def _blocks(self, blocks: tuple[Block, ...]) -> None:
        labels = [cell_len(label) for block in blocks if isinstance(block, Facts) for label, _ in block.rows]
        before: Block | None = None
        for block in blocks:
            # Notes stand close to the block that they explain; another block begins after a blank line.
            if before is not None and not isinstance(block, Note):
                self._console.print()
            match block:
                case Table():
                    self._table(block)
                case Facts():
                    self._facts(block, max(labels))
                case Note():
                    self._print(Text(_kept_together(block.text), style="dim"), min(self._columns, SENTENCE_COLUMNS_MAX))
            before = block

    def _facts(self, facts: Facts, label_columns: int) -> None:
        grid = DrawnTable.grid(padding=(0, _GAP, 0, 0))
        grid.add_column(width=label_columns, no_wrap=True, style="dim")
        grid.add_column(overflow="fold")
        for label, text in facts.rows:
            grid.add_row(label, _kept_together(text))
        self._print(grid, min(self._columns, SENTENCE_COLUMNS_MAX))

    def _table(self, table: Table) -> None:
        for number, part in enumerate(_fitting(table, self._columns - _INDENT)):
            if number:
                self._console.print()
            drawn = DrawnTable(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="dim")
            for index, title in enumerate(part.header):
                drawn.add_column(
                    title,
                    justify="left" if index == 0 else "right",
                    style="bold" if index == part.emphasised else "",
                    overflow="fold",
                )
            others = sum(
                _GAP + max(map(cell_len, cells)) for cells in list(zip(part.header, *part.rows, strict=True))[1:]
            )
            for label, *cells in part.rows:
                drawn.add_row(_in_lines(label, self._columns - _INDENT - others), *cells)
            self._print(drawn, self._columns)

    def _print(self, what: RenderableType, columns: int) -> None:
        self._console.print(Padding(what, (0, 0, 0, _INDENT)), width=columns)


def _kept_together(text: str) -> str:
    """A text whose figures stay on the line of their units: `5 min 21 s`."""
    return _WITHIN_FIGURE.sub(_GLUE, text)


def _in_lines(label: str, columns: int) -> str:
    """A label that is too wide, as the type of a resource can be, with a line end behind one of its parts."""
    if cell_len(label) <= columns:
        return label
    end = 1 + max(label.rfind(sign, 0, columns) for sign in ":/. ")
    return f"{label[:end]}\n{label[end:]}" if end else label


def _fitting(table: Table, columns: int) -> Iterator[Table]:
    """The table, or where it is too wide several tables of it, each with the labels and some of the other columns.

    Folding cells instead would break figures and names in their middle.
    """
    widths = [max(map(cell_len, cells)) for cells in zip(table.header, *table.rows, strict=True)]
    for parts in range(1, len(widths)):
        size = ceil((len(widths) - 1) / parts)
        groups = [range(first, min(first + size, len(widths))) for first in range(1, len(widths), size)]
        if parts == len(widths) - 1 or all(
            widths[0] + sum(_GAP + widths[index] for index in group) <= columns for group in groups
        ):
            break
    for group in groups:
        shown = (0, *group)
        yield Table(
            tuple(table.header[index] for index in shown),
            tuple(tuple(row[index] for index in shown) for row in table.rows),
            shown.index(table.emphasised) if table.emphasised in shown else None,
        )
