"""The table as people and files get it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.host import servers
from tests.faults.deployment import machine
from tests.faults.report import GAP, WIDTHS, Measured, main, markdown, table
from tests.faults.rows import ROWS, Result

words = st.text("abcdefg ,;≤%.0123456789", max_size=90)
results = st.none() | st.builds(Result, text=words, is_met=st.booleans())
found = st.lists(st.builds(Measured, row=st.sampled_from(ROWS), plain=results, ours=results), max_size=5)


@given(found)
def test_the_table_never_exceeds_100_columns_and_loses_no_word(rows: list[Measured]) -> None:
    text = table(rows)
    assert all(len(line) <= 100 and line == line.rstrip() for line in text.splitlines())
    read = [[squeezed(cell) for cell in cells] for cells in read_back(text)]
    assert read == [[squeezed(cell) for cell in row.cells] for row in rows]


def squeezed(text: str) -> str:
    return "".join(text.split())


def read_back(text: str) -> list[tuple[str, ...]]:
    """The cells of each row: what stands below each other in a column, without the breaks between lines."""
    starts = [sum(WIDTHS[:column]) + column * len(GAP) for column in range(len(WIDTHS))]
    _, _, *body = text.splitlines()
    return [
        tuple(
            "".join(line[start : start + width] for line in block.split("\n"))
            for start, width in zip(starts, WIDTHS, strict=True)
        )
        for block in "\n".join(body).split("\n\n")
        if block
    ]


@given(found)
def test_the_page_has_a_row_for_each_fault_and_a_verdict_from_what_was_measured(rows: list[Measured]) -> None:
    lines = [line for line in markdown(rows, "2026-01-01", "a machine").splitlines() if line.startswith("| ")]
    assert len(lines) == 1 + len(rows)
    for line, row in zip(lines[1:], rows, strict=True):
        verdict = "–" if row.ours is None else "met" if row.ours.is_met else "MISSED"
        assert line.endswith(f"| {verdict} |")


def test_a_row_that_does_not_exist_is_refused_with_those_that_do(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--only", "crash,lsot"])
    said = capsys.readouterr().err
    assert "there is no row lsot" in said
    assert "lost" in said


def test_every_row_has_a_name_of_its_own() -> None:
    assert len({row.key for row in ROWS}) == len(ROWS)


def test_figures_name_the_server_that_the_pods_ran_not_the_machine_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    there = tuple(servers.ServerProgram(servers.REDIS, version, "/nowhere") for version in ((7, 0, 15), (7, 4, 1)))
    monkeypatch.delenv("TEST_SERVER", raising=False)
    monkeypatch.setattr(servers, "servers", lambda: there[:1])
    assert machine().endswith(", Redis 7.0.15")
    monkeypatch.setattr(servers, "servers", lambda: there)
    assert machine().endswith(", Redis 7.4.1")
