"""Text as wide as the terminal: what is wrapped, what is split, and when there is colour."""

import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preview.document import Facts, Note, Section, Table
from preview.writer import Style, Writer, style_of

CELLS = st.text("abcdefgh0123456789.%", min_size=1, max_size=14)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COLUMNS", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


def written(*blocks: Table | Facts | Note, columns: int = 80) -> str:
    writer = Writer(Style(columns))
    writer.sections([Section("Topic", "detail", blocks)])
    return writer.text()


@st.composite
def tables(draw: st.DrawFn) -> Table:
    width = draw(st.integers(2, 12))
    rows = draw(st.lists(st.tuples(*[CELLS] * width), min_size=1, max_size=5))
    return Table(draw(st.tuples(*[CELLS] * width)), tuple(rows), draw(st.none() | st.integers(1, width - 1)))


@settings(max_examples=20, deadline=None)
@given(tables(), st.sampled_from([80, 100, 200]))
def test_a_table_fits_and_none_of_its_cells_is_cut_or_lost(table: Table, columns: int) -> None:
    shown = written(table, columns=columns)
    assert max(map(len, shown.splitlines())) <= columns
    parts = [part.splitlines() for part in shown.split("\n", 1)[1].split("\n\n")]
    columns_shown = [list(zip(*(line.split() for line in part), strict=True)) for part in parts]
    expected = list(zip(table.header, *table.rows, strict=True))
    assert {part[0] for part in columns_shown} == {expected[0]}
    assert [column for part in columns_shown for column in part[1:]] == expected[1:]


@settings(max_examples=20, deadline=None)
@given(tables(), st.sampled_from([80, 120]))
def test_a_table_is_split_only_when_it_must_be_and_then_evenly(table: Table, columns: int) -> None:
    widths = [max(map(len, cells)) for cells in zip(table.header, *table.rows, strict=True)]
    sizes = [
        len(part.splitlines()[0].split()) - 1
        for part in written(table, columns=columns).split("\n", 1)[1].split("\n\n")
    ]
    assert (len(sizes) == 1) == (2 + sum(widths) + 2 * (len(widths) - 1) <= columns)
    assert max(sizes) == sizes[0]
    assert sizes[0] - min(sizes[:-1], default=sizes[0]) <= 0


def test_labels_of_a_section_are_as_wide_as_its_longest() -> None:
    shown = written(Facts((("a", "first"),)), Facts((("longer", "second"), ("", "third"))))
    assert shown == "TOPIC: detail\n  a       first\n\n  longer  second\n          third\n"


def test_a_note_stands_close_to_its_block_and_the_next_block_apart() -> None:
    table = Table(("", "b"), (("a", "1"),))
    assert written(table, Note("Why."), table) == "TOPIC: detail\n     b\n  a  1\n  Why.\n\n     b\n  a  1\n"


def test_running_text_stays_readable_on_a_wide_terminal() -> None:
    shown = written(Note("word " * 100), Facts((("label", "word " * 100),)), columns=200)
    assert 100 < max(map(len, shown.splitlines())) <= 110


@pytest.mark.parametrize(
    "figure", ["5 min 21 s", "2 h 5 min", "1.6 Gbps", "16,200 USD", "96 %", "8.5 ms", "12 GiB", "3 cores"]
)
@pytest.mark.parametrize("before", range(50, 80))
def test_no_line_ends_within_a_figure(figure: str, before: int) -> None:
    text = f"{'w' * before} {figure}, and more"
    for block in (Note(text), Facts((("label", text),))):
        assert f"{figure}," in written(block)


def test_a_long_word_is_written_to_its_end_on_several_lines() -> None:
    for block in (Note("w" * 200), Facts((("label", "w" * 200),))):
        shown = written(block)
        assert shown.count("w") == 200
        assert max(map(len, shown.splitlines())) <= 80


def test_a_label_that_is_too_wide_ends_its_line_behind_one_of_its_parts() -> None:
    shown = written(Table(("type", "number"), ((f"kubernetes:group/v1:{'K' * 55}", "7"),)))
    assert [line.split() for line in shown.splitlines()[2:]] == [["kubernetes:group/v1:", "7"], ["K" * 55]]


def test_what_looks_like_markup_or_an_emoji_is_written_as_it_is() -> None:
    assert "[red]:warning:[/red]" in written(Facts((("label", "[red]:warning:[/red]"),)))


@pytest.mark.parametrize(("columns", "expected"), [("40", 80), ("80", 80), ("137", 137), ("500", 200)])
def test_columns_are_taken_from_the_environment_within_bounds(
    columns: str, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert style_of(io.StringIO()).columns == expected
    assert style_of(Terminal()).columns == expected


def test_a_pipe_has_100_columns_and_no_colour() -> None:
    assert style_of(io.StringIO()) == Style(100, color=False)


@pytest.mark.parametrize(
    ("variable", "value", "color"),
    [("NO_COLOR", "1", False), ("NO_COLOR", "", True), ("TERM", "dumb", False), ("TERM", "xterm", True)],
)
def test_a_terminal_has_colour_unless_it_is_asked_for_none(
    variable: str, value: str, color: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    assert style_of(Terminal()).color is color


def test_a_terminal_has_no_colour_where_the_command_is_told_so() -> None:
    assert style_of(Terminal()).color
    assert not style_of(Terminal(), plain=True).color


def test_an_alert_stands_out_in_colour_alone() -> None:
    writers = [Writer(Style(color=color)) for color in (True, False)]
    for writer in writers:
        writer.sections([Section("Topic", "", (Note("text"),), is_alert=True)])
    coloured, plain = (writer.text() for writer in writers)
    assert "\x1b[1;33mTOPIC" in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == plain
