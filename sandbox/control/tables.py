"""Tables for people, without a box and without a colour: the same in a pipe, in a log and on a screen."""

from __future__ import annotations

import io
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text


def plain_console(width: int) -> tuple[Console, io.StringIO]:
    """A console of so many columns, and where it writes to."""
    out = io.StringIO()
    return Console(file=out, width=width, color_system=None, highlight=False, force_terminal=False), out


def plain_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """What is too long for its column goes on in the next line: nothing is cut off."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in head:
        table.add_column(Text(title), overflow="fold", no_wrap=False)
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def written(out: io.StringIO) -> str:
    """What a console wrote, without the spaces at the ends of lines."""
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()).rstrip() + "\n"
