"""docs/checklist.md has every box of the sizing document's checklist, and for each something that can be run or read.

That its commands exist, and its files, is what test_written_commands, test_written_tools and test_documents hold every
document to.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.repository.written import WRITTEN

TEXT = Path("docs/checklist.md").read_text()
BOXES = {
    "Planning": 6,
    "Kubernetes Infrastructure Setup": 6,
    "Redis StatefulSet Deployment": 5,
    "Redis Cluster Initialization": 5,
    "Testing & Validation": 6,
    "Application Integration": 6,
    "Production Rollout": 8,
}
"""Phase -> how many boxes the document has for it."""


def rows() -> dict[str, list[list[str]]]:
    """Phase -> its rows, each with its cells."""
    found = {}
    for part in TEXT.split("\n## Phase ")[1:]:
        title = part.partition("\n")[0].partition(": ")[2]
        table = [line for line in part.splitlines() if line.startswith("| ")]
        found[title] = [[cell.strip() for cell in row.strip("|").split(" | ")] for row in table[1:]]
    return found


ROWS = [row for phase in rows().values() for row in phase]


def test_every_phase_has_as_many_boxes_as_the_document() -> None:
    assert {phase: len(boxes) for phase, boxes in rows().items()} == BOXES
    assert len({row[0] for row in ROWS}) == sum(BOXES.values())


def test_the_alerts_it_names_are_in_the_runbook() -> None:
    named = re.findall(r"alert (Redis\w+)", TEXT)
    assert named
    assert [name for name in named if f"\n### {name}\n" not in Path("docs/runbook.md").read_text()] == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_box_has_a_proof_that_can_be_run_or_read(row: list[str]) -> None:
    _, do, proof = row
    assert do
    if link := re.fullmatch(r"\[[^]]+\]\(([^)]+)\)", proof):
        assert Path("docs", link[1]).is_file()
        return
    quoted = re.fullmatch(r"`([^`]+)`", proof)
    assert quoted, f"{proof} is neither a command nor a file"
    if quoted[1].startswith("tests/"):
        path = Path(quoted[1])
        assert path.is_file()
        assert path.suffix != ".py" or "\ndef test_" in path.read_text()
    else:
        # Each of these is run, or taken apart, by the tests of written commands.
        assert quoted[1] in WRITTEN
