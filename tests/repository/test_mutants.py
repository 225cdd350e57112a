"""The mutation tool tells the mutants that tests notice from those that they miss, and ends those that never end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutants.edits import mutants

MODULE = '''
"""Shares of a whole."""

LIMIT: int = 3
"""At most."""


def fits(count: int) -> bool:
    """Whether so many fit."""
    return count <= LIMIT


def first_free(taken: set[int]) -> int:
    number = 1
    while number in taken:
        number += 1
    return number


def refused(count: int) -> None:
    if count > 50:
        raise ValueError(f"{count + 1} is more than 50")
'''

TESTS = """
from shop.stock import first_free, fits


def test_three_fit() -> None:
    assert fits(3)
    assert not fits(5)


def test_the_first_free_number_follows_the_taken_ones() -> None:
    assert first_free({1, 2}) == 3
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").touch()
    (tmp_path / "shop" / "stock.py").write_text(MODULE)
    (tmp_path / "test_stock.py").write_text(TESTS)
    (tmp_path / "pyproject.toml").write_text('[tool.pytest.ini_options]\nmarkers = ["redis", "sandbox", "long"]\n')
    return tmp_path


def judged(project: Path, *arguments: str) -> str:
    """What the tool prints for all mutants of the project's package."""
    checkout = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-m", "tests.mutants", *arguments, "--tests", "test_stock.py", "--sample", "0"]
    finished = subprocess.run(
        command,
        cwd=project,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(checkout), str(project)])},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


def line_of(text: str) -> int:
    return MODULE.splitlines().index(next(line for line in MODULE.splitlines() if text in line)) + 1


@pytest.mark.long
def test_a_mutant_is_killed_survives_or_is_ended_and_the_checkout_stays_as_it_is(project: Path) -> None:
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}

    shown = judged(project, "shop", "--killed").splitlines()

    def told(text: str, what: str) -> list[str]:
        start = f"shop/stock.py:{line_of(text)}: {what}"
        return [line for line in shown if start in line]

    assert [line.split()[0] for line in told("return count <=", "comparison")] == ["killed"]
    # Four is never asked for, so nobody notices that it fits; two in place of three is noticed.
    assert sorted(line.split()[0] for line in told("LIMIT: int", "constant")) == ["SURVIVED", "killed"]
    assert "+LIMIT: int = 4" in shown
    (endless,) = told("number += 1", "statement dropped")
    assert endless.startswith("killed")
    assert endless.endswith("test_the_first_free_number_follows_the_taken_ones (out of time))")
    assert told("if count > 50", "condition never met")[0].endswith("(no test runs this line)")
    assert shown[-1].startswith("killed ")
    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before


@pytest.mark.long
def test_tests_that_fail_without_a_mutant_are_shown_and_nothing_is_judged(project: Path) -> None:
    (project / "test_stock.py").write_text("def test_wrong() -> None:\n    assert 1 == 2\n")

    with pytest.raises(AssertionError, match="the tests do not pass without a mutant"):
        judged(project, "shop")


def test_no_mutant_changes_a_text_an_annotation_or_a_docstring(tmp_path: Path) -> None:
    path = tmp_path / "texts.py"
    path.write_text(
        "\n".join(
            [
                '"""Of 3 parts."""',
                "from typing import Literal",
                "__slots__ = ('a', 'b')",
                "Kind = Literal[1, 2]",
                "def shown(a: int | None, b: dict[str, Literal[3]]) -> Literal[4]:",
                '    """Not 5."""',
                '    print("so many", 6)',
                '    log.warning("more", 7 + 8)',
                '    raise ValueError(f"{a + 9}", 10)',
            ]
        )
    )

    assert [(mutant.line, mutant.what) for mutant in mutants(path)] == [(9, "statement dropped")]


@pytest.mark.parametrize(
    ("line", "changed"),
    [
        ("x = a < b", {"x = a <= b"}),
        ("x = a is not None", {"x = a is None"}),
        ("x = a and b", {"x = a or b", "x = True and b", "x = a and True"}),
        ("x = not a", {"x =  a"}),
        ("x = min(a, b)", {"x = max(a, b)"}),
        ("x = 1", {"x = 2", "x = 0"}),
        ("x = 625_000_000", {"x = 1250000000", "x = 312500000"}),
        ("x = 'a' + b", set()),
        ("x = a + [b]", {"x = (a)", "x = ([b])", "x = a + [*()]"}),
        ("x = {'a': b}", {"x = {**{}}"}),
        ("x = [i for i in a if i > b]", {"x = [i for i in a if i >= b]", "x = [i for i in a if not (i > b)]"}),
        ("def f() -> str | None: return a", {"def f() -> str | None: return None", 'def f() -> str | None: return ""'}),
        ("RULES = (a, b)", {"RULES = (*(), b)", "RULES = (a, *())"}),
        ("x = a[(b)] * (c)  # a * b", {"x = a[(b)] / (c)  # a * b"}),
    ],
)
def test_a_line_has_these_mutants(tmp_path: Path, line: str, changed: set[str]) -> None:
    path = tmp_path / "module.py"
    path.write_text(line)

    assert {mutant.source().decode() for mutant in mutants(path)} == changed
