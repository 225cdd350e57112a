"""Sections as GitHub's Markdown."""

import re

from hypothesis import given
from hypothesis import strategies as st

from preview.document import Facts, Note, Section, Table
from preview.markdown import render_markdown

TEXTS = st.text(st.sampled_from("ab|<>&@*_`[]#~\\ \n1"), max_size=12)


def cells(line: str) -> list[str]:
    """The cells of a row, as GitHub divides it: at bars that are not escaped."""
    return re.split(r"(?<!\\)(?:\\\\)*\|", line)[1:-1]


def test_facts_under_one_label_share_a_row() -> None:
    shown = render_markdown([Section("Topic", "detail", (Facts((("a", "one"), ("", "two"), ("b", "three"))),))])
    assert shown == "### Topic: detail\n\n|  |  |\n| :-- | :-- |\n| a | one<br>two |\n| b | three |\n"


def test_notes_that_follow_each_other_are_one_paragraph_after_their_table() -> None:
    table = Table(("", "x"), (("a", "1"),))
    shown = render_markdown([Section("Topic", "", (table, Note("One."), Note("Two."), table))])
    assert shown.count("\n\nOne. Two.\n\n|") == 1


def test_an_alert_has_a_sign_and_a_detail_is_folded() -> None:
    shown = render_markdown([Section("A", "", (), is_alert=True), Section("B", "<x>", (Note("n"),), is_detail=True)])
    assert shown.startswith("### ⚠️ A\n")
    assert "<details><summary>B: &lt;x&gt;</summary>\n\nn\n\n</details>" in shown


def test_code_stays_code_and_nobody_is_called() -> None:
    shown = render_markdown([Section("A", "", (Note("`pulumi up` by @team <script>"),))])
    assert "`pulumi up` by &commat;team &lt;script&gt;" in shown


@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS), min_size=1, max_size=4))
def test_whatever_stands_in_a_cell_a_row_keeps_its_cells_and_no_markup_gets_in(
    rows: list[tuple[str, str, str]],
) -> None:
    shown = render_markdown([Section("T", "", (Table(("h", "i", "j"), tuple(rows)),))])
    lines = shown.splitlines()[2:]
    assert len(lines) == len(rows) + 2
    assert {len(cells(line)) for line in lines} == {3}
    # A backslash that is escaped itself escapes nothing.
    outside = re.sub(r"(?<!\\)((?:\\\\)*)`[^`]*`", r"\1", shown)
    assert not re.search(r"<|>|@", outside)
