"""The reference of the config says what the settings say, and editors find a misspelt key."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from components.config import reference
from components.config.load import fields_of, section_of
from components.config.settings import Settings

VALIDATOR = Draft7Validator(reference.schema())
PROD: dict[str, Any] = yaml.safe_load(Path("Pulumi.prod.yaml").read_text())


def test_the_written_reference_is_the_generated_one() -> None:
    written = "run `python -m components.config.reference`"
    assert reference.MARKDOWN.read_text(encoding="utf-8") == reference.markdown(), written
    assert reference.SCHEMA.read_text(encoding="utf-8") == reference.schema_text(), written


def test_the_reference_has_a_row_for_every_key() -> None:
    rows = [line.split(" | ")[0] for line in reference.markdown().splitlines() if line.startswith("| `")]
    keys = []
    for key, field in fields_of(Settings).items():
        section = section_of(field)
        keys += [f"| `{inner}`" for inner in fields_of(section)] if section else [f"| `{key}`"]
    assert sorted(rows) == sorted(keys)


def test_the_schema_is_a_schema() -> None:
    Draft7Validator.check_schema(reference.schema())


@pytest.mark.parametrize("stack", ["prod", "local"])
def test_the_schema_accepts_the_stack_files_and_they_name_it(stack: str) -> None:
    text = Path(f"Pulumi.{stack}.yaml").read_text()
    assert [error.message for error in VALIDATOR.iter_errors(yaml.safe_load(text))] == []
    first = text.splitlines()[0]
    assert first == f"# yaml-language-server: $schema={reference.SCHEMA.relative_to(Path.cwd())}"


def changed(path: str, value: Any) -> dict[str, Any]:
    """Stack prod with one value more or otherwise; a dot leads into a map."""
    stack = copy.deepcopy(PROD)
    *parents, key = path.split(".")
    holder = stack["config"]
    for parent in parents:
        holder = holder.setdefault(parent, {})
    holder[key] = value
    return stack


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("redis-image-cache:podmemory", "64GB"),
        ("podMemory", "64GB"),
        ("redis-image-cache:workload.hitrate", 0.9),
        ("redis-image-cache:podMemory", "64"),
        ("redis-image-cache:podMemory", "0GB"),
        ("redis-image-cache:replicasPerMaster", 4),
        ("redis-image-cache:replicasPerMaster", "two"),
        ("redis-image-cache:workload.hitRate", 1.5),
        ("redis-image-cache:workload.hitRate", 1),
        ("redis-image-cache:eks.clusterName", "имя"),
        ("redis-image-cache:workload", []),
        ("redis-image-cache:nodes.architecture", "arm"),
        ("redis-image-cache:nodes.production", "maybe"),
        ("redis-image-cache:eks.subnets", {"us-east-1": "subnet-1"}),
        ("redis-image-cache:eks.subnets", {"us-east-1a": "sub-1"}),
        ("redis-image-cache:eks.subnets", {}),
        ("redis-image-cache:eks", {"clusterName": "c"}),
        ("redis-image-cache:access.password", "short"),
        ("redis-image-cache:access.password", {"secured": "v1:x"}),
        ("redis-image-cache:access.allowFromNamespaces", "web"),
        ("redis-image-cache:storage.iops", 100),
    ],
)
def test_the_schema_refuses_what_the_program_refuses(path: str, value: Any) -> None:
    assert not VALIDATOR.is_valid(changed(path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("redis-image-cache:replicasPerMaster", "2"),
        ("redis-image-cache:workload.hitRate", "0.9"),
        ("redis-image-cache:workload.hitRate", 0),
        ("redis-image-cache:nodes.production", "false"),
        ("redis-image-cache:eks", {}),
        ("redis-image-cache:storage.size", None),
        ("redis-image-cache:storage.size", "20GB"),
        ("redis-image-cache:access", {"secure": "v1:x"}),
        ("redis-image-cache:access.password", {"secure": "v1:x"}),
        ("aws:region", "eu-west-1"),
        ("pulumi:disable-default-providers", ["kubernetes"]),
    ],
)
def test_the_schema_accepts_what_the_cli_writes(path: str, value: Any) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(changed(path, value))] == []


def test_defaults_in_the_schema_are_spelt_as_in_a_stack_file() -> None:
    config = reference.schema()["properties"]["config"]["properties"]
    assert config["redis-image-cache:podMemory"]["default"] == "64GB"
    assert config["redis-image-cache:replicasPerMaster"]["default"] == 1
    assert json.loads(reference.schema_text()) == reference.schema()
