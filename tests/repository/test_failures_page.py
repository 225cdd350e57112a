"""docs/failures.md says what was tried on the real engine, row by row."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.mistakes import MISTAKES, Mistake

_PAGE = Path(__file__).parents[2] / "docs/failures.md"


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_every_mistake_that_is_tried_stands_there_with_what_a_person_reads(mistake: Mistake) -> None:
    (row,) = [line for line in _PAGE.read_text().splitlines() if line.startswith(f"| {mistake.name} |")]
    for words in mistake.reads:
        assert words in row
