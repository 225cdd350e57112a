"""Commands of the documents are run as they are written, as far as they start nothing."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from preview import command

_ROOT = Path(__file__).parents[2]
_DOCUMENTS = (*_ROOT.glob("*.md"), *(_ROOT / "docs").rglob("*.md"))
_FENCED = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`((?:make|python -m|kubectl) [^`]+)`")


def commands() -> Iterator[str]:
    """Every command in a block of shell, and inline ones that begin as ours do."""
    for document in _DOCUMENTS:
        text = document.read_text()
        for block in _FENCED.findall(text):
            for line in block.replace("\\\n", " ").splitlines():
                yield from (part.strip() for part in line.partition(" #")[0].split(";"))
        yield from _INLINE.findall(_FENCED.sub("", text))


WRITTEN = sorted(set(commands()) - {""})


def beginning_with(start: str) -> list[str]:
    return [line for line in WRITTEN if line.startswith(start)]


def test_the_documents_have_commands() -> None:
    assert len(beginning_with("make ")) > 10
    assert len(beginning_with("python -m preview")) > 5
    assert len(beginning_with("python -m sandbox")) > 3


@pytest.mark.parametrize("line", beginning_with("make "))
def test_make_has_every_target_that_is_written(line: str) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (_ROOT / "Makefile").read_text(), re.MULTILINE))
    words = [word for word in shlex.split(line)[1:] if "=" not in word]
    assert set(words) <= targets


def sizes_of_the_sandbox() -> list[str]:
    return [line for line in beginning_with("python -m sandbox up") if "--set" in line]


@pytest.mark.parametrize("line", sizes_of_the_sandbox())
def test_a_size_that_is_written_for_the_sandbox_has_a_plan(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    given = shlex.split(line)[4:]
    assert command.main(["--stack", "local", *given]) == 0, capsys.readouterr().err


def test_the_document_changes_the_size_of_what_runs() -> None:
    assert sizes_of_the_sandbox()


@pytest.mark.parametrize(
    "line", [line for line in beginning_with("python -m preview") if not re.search("--diff|--html|REF", line)]
)
def test_a_preview_runs_as_it_is_written(
    line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(_ROOT)
    status = command.main(shlex.split(line)[3:])
    assert status in ((0, 3) if "--fail-on" in line else (0,)), capsys.readouterr().err


INSIDE = [
    line
    for line in WRITTEN
    if line.startswith(("kubectl ", "python -m sandbox exec")) and " -- " in line and "…" not in line
]


def test_the_documents_have_commands_that_run_in_a_container() -> None:
    assert len(INSIDE) > 3


@pytest.mark.parametrize("line", INSIDE)
def test_what_runs_in_a_container_is_a_program_that_its_image_has(line: str) -> None:
    program, *arguments = shlex.split(line.partition(" -- ")[2].partition(" |")[0])
    if program == "sh":
        assert arguments[0] == "-c"
        subprocess.run(["sh", "-n", "-c", arguments[1]], check=True, timeout=10)
        program = arguments[1].split()[0]
    # printf is the shell's own. printenv is in no image of ours, and neither is bash.
    assert program in {"redis-cli", "printf"}


GOLDEN = "".join(path.read_text() for path in (_ROOT / "tests/golden").glob("prod-*.yaml"))
"""Stack prod's resources, with pods of 64 GB and of 128 GB."""


@pytest.mark.parametrize("line", [line for line in beginning_with("kubectl ") if re.search(r" -[nl] ", line)])
def test_what_kubectl_is_asked_for_is_there(line: str) -> None:
    asked = [f"name: {name}" for name in re.findall(r" -n (\S+)", line)]
    asked += [label.replace("=", ": ") for label in re.findall(r" -l (\S+)", line)]
    assert asked
    assert [text for text in asked if not re.search(rf"\b{re.escape(text)}$", GOLDEN, re.MULTILINE)] == []
