"""`python -m preview` as people and machines call it."""

import argparse
import gc
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.config.settings import Access
from components.manifests.tls import FILES
from components.manifests.users import secret_keys
from preview import command
from preview.errors import EvaluationError


@pytest.fixture(autouse=True)
def _garbage_is_looked_for_again() -> Iterator[None]:
    yield
    gc.enable()


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a refused call says on standard error."""
    assert command.main(arguments) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: ")
    return shown.err


@pytest.mark.parametrize("module", [["preview"], ["sandbox", "plan"]], ids=" ".join)
def test_the_command_and_its_alias_refuse_bad_config_without_a_traceback(module: list[str]) -> None:
    call = [
        sys.executable,
        "-m",
        *module,
        "--set",
        "podMemory=64 GB",
        "--set",
        "workload.hitRate=1.5",
        "--set",
        "red=1",
    ]

    finished = subprocess.run(call, capture_output=True, text=True, timeout=120, check=False)

    assert finished.returncode == 1
    assert finished.stdout == ""
    for fragment in ("podMemory", "did you mean 64GB?", "workload.hitRate = 1.5", "red: no such key"):
        assert fragment in finished.stderr
    assert "Traceback" not in finished.stderr


def test_a_piped_plan_has_100_columns_no_colour_and_ends_with_the_resources(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)

    assert command.main(["--stack", "prod"]) == 0

    shown = capsys.readouterr().out
    assert shown.startswith("PLAN: stack prod, 16 masters + 16 replicas")
    assert "\x1b" not in shown
    assert 80 < max(map(len, shown.splitlines())) <= 100
    assert shown.splitlines()[-1].split() == ["redis-image-cache:index:RedisPool", "1"]


def test_the_json_form_holds_plan_outputs_warnings_and_resources_without_secrets(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert command.main(["--stack", "prod", "--set", "podMemory=128GB", "--json"]) == 0

    shown = json.loads(capsys.readouterr().out)
    assert set(shown) == {"plan", "outputs", "warnings", "resources"}
    assert (shown["plan"]["masters"], shown["plan"]["replicas"]) == (8, 8)
    assert (shown["plan"]["request_memory_mib"], shown["plan"]["limit_memory_mib"]) == (154 * 1024, 185 * 1024)
    keys = {"urn", "type", "name", "parent", "dependsOn", "provider", "inputs"}
    assert all(keys <= set(resource) for resource in shown["resources"])
    secrets = {item["name"].rpartition("-")[2]: item for item in shown["resources"] if item["type"].endswith(":Secret")}
    kept = {"auth": secret_keys(Access.defaults()), "certificate": FILES}
    assert secrets.keys() == kept.keys()
    for name, secret in secrets.items():
        assert secret["inputs"]["stringData"] == dict.fromkeys(kept[name], "[secret]")


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (("--stack", "staging"), "the stacks here are local, prod"),
        (("--set", "podMemory"), "--set takes KEY=VALUE"),
        (("--set", "workload={hitRate"), "--set workload={hitRate: {hitRate is neither JSON nor YAML"),
        (
            ("--set", 'workload={"hitRate": 0.8, "hitRate": 0.9}'),
            "--set workload: line 1: hitRate stands twice, first in line 1",
        ),
        (("--set", "workload.hitRate=["), "--set workload.hitRate=[: [ is neither JSON nor YAML"),
        (("--set", "nodes.instanceType=m6i.2xlarge"), "m6i.2xlarge"),
        (("--set", "nodes.instanceType=r7g.12large"), "did you mean r7g.12xlarge?"),
        (("--set", "nodes.instanceType=r7g.12large", "--set", "colour=red"), "did you mean r7g.12xlarge?"),
        (("--set", "nodes.instanceType=foo", "--set", "colour=red"), "nodes.instanceType = foo: no EC2 type of the"),
        (("--set", "nodes.instanceType=foo"), "not in the catalogue"),
        (("--compare", "64GB"), "--compare takes two pod sizes or more"),
        (("--compare", "64GB, 64GB"), "--compare takes two pod sizes or more"),
        (("--compare", "256GB,1TB"), "256GB: redis-image-cache:eks.subnets: 4 masters over 3 zones"),
        (("--compare", "256GB,1TB"), "1TB: redis-image-cache:podMemory = 1TB"),
        (("--stack", "local", "--html", "/nowhere/plan.html"), "name a file in a folder that is there"),
        (("--stack", "local", "--measured-memory", "5"), "--measured-memory 5: must be a whole number"),
        (("--stack", "local", "--measured-memory", "9000TB"), "and a Redis Cluster carries at most 500"),
        (
            ("--stack", "local", "--set", "workload.objectBytes=10000000", "--measured-hit-rate", "1e9"),
            "--measured-hit-rate 1e+09: ",
        ),
        (("--stack", "local", "--measured-hit-rate", "2"), "--measured-hit-rate 2: measured hit rate is 2.0"),
        (("--stack", "local", "--compression", "0"), "--compression 0: compression ratio is 0.0"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_a_mistaken_call_says_what_is_there_instead(
    arguments: tuple[str, ...], fragment: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fragment in refused(capsys, *arguments)


def test_a_fault_that_all_compared_sizes_have_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, "--compare", "64GB,128GB", "--set", "colour=red").count("colour: no such key") == 1


def test_a_compared_size_that_is_refused_keeps_its_column_and_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--compare", "128GB,256GB"]) == 0

    shown = capsys.readouterr().out
    assert "DIFFERENT: between 128GB and 256GB" in shown
    assert "no majority" in " ".join(shown.split("NO PLAN")[1].split())


def test_two_compared_sizes_that_are_refused_leave_the_third_its_column(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--compare", "64GB,banana,256GB"]) == 0

    shown = capsys.readouterr().out
    assert re.search(r"capacity +[\d,]+/s +– +–", shown)
    reasons = shown.split("NO PLAN")[1]
    assert re.search(r"^  banana  .*must be a whole number", reasons, re.MULTILINE)
    assert re.search(r"^  256GB   .*one zone holds\s+2 of them", reasons, re.MULTILINE)


def test_the_page_is_written_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "plan.html"

    assert command.main(["--stack", "local", "--html", str(page)]) == 0

    assert capsys.readouterr().out == f"wrote {page}\n"
    assert page.read_text().startswith("<!doctype html>")


def test_measured_figures_stand_between_the_plan_and_the_resources(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--stack", "local", "--measured-hit-rate", "0.9", "--compression", "0.3"]) == 0

    shown = capsys.readouterr().out
    places = [shown.index(title) for title in ("CHANGING SIZE", "RIGHT SIZE", "COMPRESSION", "RESOURCES")]
    assert places == sorted(places)


def test_a_reader_that_has_seen_enough_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_: argparse.Namespace) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(command, "_show", gone)
    monkeypatch.setattr("sys.stderr", open("/dev/null", "w"))  # noqa: SIM115 - the command closes it

    assert command.main([]) == 0


def test_overrides_are_split_at_the_first_sign_of_equality() -> None:
    assert command.overrides(["a=b=c", "d="]) == {"a": "b=c", "d": ""}
    with pytest.raises(EvaluationError, match="given =x"):
        command.overrides(["=x"])
