"""Commands of the documents are run as they are written, as far as they start nothing."""

from __future__ import annotations

import re
import shlex
import subprocess

import pytest

from preview import command
from sandbox.control.cli import parser
from tests.repository.written import INSIDE, ROOT, beginning_with, commands_of


def test_the_documents_have_commands() -> None:
    assert len(beginning_with("make ")) > 10
    assert len(beginning_with("python -m preview")) > 5
    assert len(beginning_with("python -m sandbox")) > 3


@pytest.mark.parametrize("line", beginning_with("make "))
def test_make_has_every_target_that_is_written(line: str) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    words = [word for word in shlex.split(line)[1:] if "=" not in word]
    assert set(words) <= targets


def sizes_of_the_sandbox() -> list[str]:
    return [line for line in beginning_with("python -m sandbox up") if "--set" in line]


@pytest.mark.parametrize("line", sizes_of_the_sandbox())
def test_a_size_that_is_written_for_the_sandbox_has_a_plan(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    given = parser().parse_args(shlex.split(line)[3:])
    changes = [word for change in given.set for word in ("--set", change)]
    assert command.main(["--stack", given.stack, *changes]) == 0, capsys.readouterr().err


def test_the_document_changes_the_size_of_what_runs() -> None:
    assert sizes_of_the_sandbox()


@pytest.mark.parametrize(
    "line", [line for line in beginning_with("python -m preview") if not re.search("--diff|--html|REF", line)]
)
def test_a_preview_runs_as_it_is_written(
    line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    status = command.main(shlex.split(line)[3:])
    if "--measured-from" in line:
        # It asks a Prometheus that nobody has here; tests/preview/test_prometheus.py has one.
        assert "no address" in capsys.readouterr().err
        return
    assert status in ((0, 3) if "--fail-on" in line else (0,)), capsys.readouterr().err


@pytest.mark.parametrize("line", beginning_with("python -m sandbox"))
def test_the_sandbox_has_every_command_that_is_written(line: str) -> None:
    words = shlex.split(line)[3:]
    if len(words) < 2:
        # It is only named.
        words.append("--help")
    if "--help" in words:
        with pytest.raises(SystemExit, match=r"^0$"):
            parser().parse_args(words)
    else:
        parser().parse_args(words)


@pytest.mark.parametrize(
    "line",
    [
        line
        for line in commands_of("kubectl")
        if re.match(r"kubectl -n redis-\S+ \w", line) and not re.search(r" secret\b|jsonpath|yaml", line)
    ],
)
def test_what_is_written_for_a_pool_and_kubectl_is_a_command_of_the_sandbox_too(line: str) -> None:
    parser().parse_args(shlex.split(line)[1:])


def test_the_documents_have_commands_that_run_in_a_container() -> None:
    assert len(INSIDE) > 3


@pytest.mark.parametrize("line", INSIDE)
def test_what_runs_in_a_container_is_a_program_that_its_image_has(line: str) -> None:
    program, *arguments = shlex.split(line.partition(" -- ")[2].partition(" |")[0])
    if program == "sh":
        assert arguments[0] == "-c"
        subprocess.run(["sh", "-n", "-c", arguments[1]], check=True, timeout=10)
        program = re.split(r"[ ;]", arguments[1])[0]
    # printf is the shell's own; id, ps and env are busybox's. printenv is in no image of ours, and neither is bash.
    assert program in {"redis-cli", "printf", "id", "ps", "env"}
