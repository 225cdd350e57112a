"""A page of text in at most 100 columns: headings, paragraphs and tables, coloured for a terminal or plain."""

from io import StringIO

from rich.console import Console
from rich.padding import Padding
from rich.table import Table as DrawnTable
from rich.text import Text

from preview.tables import Table

WIDTH = 100


class Page:
    """Collects lines; `text()` gives them without trailing blanks."""

    def __init__(self, color: bool) -> None:
        self._out = StringIO()
        self._console = Console(
            file=self._out,
            width=WIDTH,
            color_system="standard" if color else None,
            force_terminal=color,
            highlight=False,
            markup=False,
            emoji=False,
            legacy_windows=False,
        )

    def heading(self, text: str) -> None:
        """A section's title, with a blank line before it."""
        self._console.print()
        self._console.print(Text(text, style="bold"))

    def gap(self) -> None:
        """A blank line between two tables of a section."""
        self._console.print()

    def line(self, text: str, *, indent: int = 2, style: str = "") -> None:
        """A paragraph, wrapped; further lines are indented like the first."""
        self._console.print(Padding(Text(text, style=style), (0, 0, 0, indent)))

    def item(self, label: str, text: str, *, style: str = "") -> None:
        """`label  text`, the text wrapped beside its label."""
        table = DrawnTable.grid(padding=(0, 2))
        table.add_column(width=12, no_wrap=True, style=style)
        table.add_column()
        table.add_row(label, text)
        self._console.print(Padding(table, (0, 0, 0, 2)))

    def table(self, table: Table) -> None:
        """Left-aligned labels, right-aligned figures; the emphasised column is marked and stands out in colour."""
        drawn = DrawnTable(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
        for index, title in enumerate(table.header):
            drawn.add_column(
                f"{title} <" if index == table.emphasised else title,
                justify="left" if index == 0 else "right",
                style="bold" if index == table.emphasised else "",
                overflow="fold",
            )
        for row in table.rows:
            drawn.add_row(*row)
        self._console.print(Padding(drawn, (0, 0, 0, 2)))

    def text(self) -> str:
        """All of it, ending in a line break."""
        return "\n".join(line.rstrip() for line in self._out.getvalue().splitlines()).strip("\n") + "\n"
