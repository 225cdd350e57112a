"""What is known of each server: every line has figures, those of its own engine and as near as was measured."""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.config.engines import LINES, Engine, Line
from components.plan.servers import server_figures

PAGE = Path(__file__).resolve().parents[2] / "docs" / "engines-measured.md"


def line_of(title: str) -> Line:
    (found,) = [line for line in LINES if line.title == title]
    return found


@pytest.mark.parametrize(
    ("title", "measured_on"),
    [
        ("Redis 7.2", "Redis 7.0.15"),
        ("Redis 7.4", "Redis 7.4.1"),
        ("Redis 8.2", "Redis 8.2.3"),
        ("Redis 8.4", "Redis 8.2.3"),
        ("Redis 8.6", "Redis 8.6.2"),
        ("Redis 8.10", "Redis 8.6.2"),
        ("Valkey 8.0", "Valkey 8.1.1"),
        ("Valkey 8.1", "Valkey 8.1.1"),
        ("Valkey 9.0", "Valkey 9.1.2"),
        ("Valkey 9.1", "Valkey 9.1.2"),
    ],
)
def test_a_line_has_the_figures_of_the_nearest_that_was_measured(title: str, measured_on: str) -> None:
    assert server_figures(line_of(title)).measured_on == measured_on


@given(st.sampled_from(LINES))
def test_figures_are_of_the_line_s_own_engine_and_first_number(line: Line) -> None:
    engine, _, release = server_figures(line).measured_on.partition(" ")
    assert engine == line.engine.proper_name
    assert release.split(".")[0] == str(line.major)


def test_later_lines_of_an_engine_do_not_take_more_for_a_key() -> None:
    def bytes_of(lines: Iterable[Line]) -> list[int]:
        return [server_figures(line).key_bytes for line in lines]

    for engine in Engine:
        found = bytes_of(line for line in LINES if line.engine is engine)
        assert found == sorted(found, reverse=True)
        assert all(50 < key_bytes < 200 for key_bytes in found)


def test_slots_take_much_on_redis_8_alone() -> None:
    """It keeps a histogram of the sizes of each slot's keys."""
    for line in LINES:
        slots_bytes = server_figures(line).slots_bytes
        if line.engine is Engine.REDIS and line.major == 8:
            assert 40e6 < slots_bytes < 45e6
        else:
            assert slots_bytes < 6e6


def test_the_figures_are_those_of_the_page() -> None:
    """docs/engines-measured.md, which `make bench-engines` writes. Bytes are rounded up."""
    rows = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        name, *cells = re.split(r"  +", line.strip())
        rows[name] = cells
    titles = rows["bytes beside the values"]
    assert len(titles) == 6
    for index, title in enumerate(titles):
        engine = title.partition(" ")[0]
        (found,) = {
            figures
            for line in LINES
            if line.engine.proper_name == engine and (figures := server_figures(line)).measured_on == title
        }

        def cell(name: str, column: int = index) -> float:
            return float(rows[name][column].replace(",", ""))

        assert 0 <= found.key_bytes - cell("a key, with a name of 40 bytes") <= 1
        assert 0 <= found.slot_bytes - max(0, cell("a slot that has keys")) <= 1
    for name, cells in rows.items():
        if name.endswith("beside the first"):
            assert all(0.8 < float(cell) < 1.25 for cell in cells), name
