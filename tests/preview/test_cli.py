"""`python -m sandbox plan` as people and machines call it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from preview.engine import record
from preview.errors import EvaluationError
from preview.evaluate import evaluate, stack_config


def plan(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sandbox", "plan", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_the_json_form_holds_plan_outputs_warnings_and_resources_without_secrets() -> None:
    finished = plan("--stack", "prod", "--set", "podMemory=128GB", "--json")

    assert finished.returncode == 0, finished.stderr
    shown = json.loads(finished.stdout)
    assert set(shown) == {"plan", "outputs", "warnings", "resources"}
    assert (shown["plan"]["masters"], shown["plan"]["replicas"]) == (8, 8)
    assert (shown["plan"]["request_memory_mib"], shown["plan"]["limit_memory_mib"]) == (154 * 1024, 185 * 1024)
    keys = {"urn", "type", "name", "parent", "dependsOn", "provider", "inputs"}
    assert all(keys <= set(resource) for resource in shown["resources"])
    (secret,) = (resource for resource in shown["resources"] if resource["type"].endswith(":Secret"))
    assert secret["inputs"]["stringData"] == {"password": "[secret]"}


def test_bad_config_is_told_on_stderr_without_a_traceback_and_fails() -> None:
    finished = plan(
        "--stack", "prod", "--set", "podMemory=64 GB", "--set", "workload.hitRate=1.5", "--set", "colour=red"
    )

    assert finished.returncode == 1
    assert finished.stdout == ""
    for fragment in ("podMemory", "did you mean 64GB?", "workload.hitRate = 1.5", "colour: no such key"):
        assert fragment in finished.stderr
    assert "Traceback" not in finished.stderr


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (("--stack", "staging"), "the stacks here are"),
        (("--set", "podMemory"), "--set takes KEY=VALUE"),
        (("--stack", "prod", "--set", "nodes.instanceType=m6i.2xlarge"), "m6i.2xlarge"),
        (("--stack", "prod", "--set", "nodes.instanceType=r7g.12large"), "r7g.12large"),
    ],
)
def test_a_mistaken_call_says_what_is_there_instead(arguments: tuple[str, ...], fragment: str) -> None:
    finished = plan(*arguments)

    assert finished.returncode == 1
    assert fragment in finished.stderr
    assert "Traceback" not in finished.stderr


def test_a_refused_config_registers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    registered: list[str] = []
    monkeypatch.setattr("preview.engine.Resource", lambda **fields: registered.append(fields["urn"]))

    with pytest.raises(EvaluationError):
        evaluate("prod", {"podMemory": "3TB"})

    assert registered == []


def test_a_stack_file_that_is_no_yaml_is_named(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text(Path("Pulumi.yaml").read_text())
    (tmp_path / "Pulumi.broken.yaml").write_text("config: [")

    with pytest.raises(EvaluationError, match=r"Pulumi.broken.yaml is no valid YAML"):
        stack_config("broken", {}, tmp_path)


def test_an_override_sets_one_value_deep_in_a_map_and_leaves_the_rest() -> None:
    config = stack_config("prod", {"workload.hitRate": "0.9", "podMemory": "128GB"})

    assert config["redis-image-cache:podMemory"] == "128GB"
    workload = json.loads(config["redis-image-cache:workload"])
    assert workload == json.loads(stack_config("prod", {})["redis-image-cache:workload"]) | {"hitRate": 0.9}


def test_two_evaluations_of_one_config_are_equal() -> None:
    config = stack_config("local", {})

    first, second = (record(Path("__main__.py"), "redis-image-cache", "local", config) for _ in range(2))
    assert first.resources == second.resources
    assert first.outputs == second.outputs
