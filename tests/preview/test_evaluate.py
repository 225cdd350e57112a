"""A stack's config as the CLI would hand it to the program, and what comes of it."""

import json
from pathlib import Path

import pytest

from preview.errors import EvaluationError
from preview.evaluate import evaluate, masked, stack_config
from preview.resources import Resource


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the project's own declaration and no stack."""
    (tmp_path / "Pulumi.yaml").write_text(Path("Pulumi.yaml").read_text())
    return tmp_path


def test_a_refused_config_registers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    registered: list[str] = []
    monkeypatch.setattr("preview.engine.Resource", lambda **fields: registered.append(fields["urn"]))

    with pytest.raises(EvaluationError):
        evaluate("prod", {"podMemory": "3TB"})

    assert registered == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (b"config: [", "Pulumi.broken.yaml is no valid YAML"),
        (b"\xff\xfe\xff", "Pulumi.broken.yaml is no valid YAML"),
        (b"- 1", "Pulumi.broken.yaml must be a map"),
        (b"config: 3", "config must be a map"),
    ],
)
def test_a_stack_file_that_cannot_be_read_is_named(text: bytes, fault: str, project: Path) -> None:
    (project / "Pulumi.broken.yaml").write_bytes(text)

    with pytest.raises(EvaluationError, match=fault):
        stack_config("broken", {}, project)


def test_a_folder_in_the_place_of_a_stack_file_is_named(project: Path) -> None:
    (project / "Pulumi.folder.yaml").mkdir()

    with pytest.raises(EvaluationError, match=r"Pulumi.folder.yaml cannot be read: Is a directory"):
        stack_config("folder", {}, project)


def test_what_yaml_takes_for_a_date_or_a_number_reaches_the_program_as_text(project: Path) -> None:
    (project / "Pulumi.odd.yaml").write_text(
        "config:\n  redis-image-cache:podMemory: 2024-01-01\n  aws:maxRetries: 8\n"
    )

    config = stack_config("odd", {}, project)

    assert config["redis-image-cache:podMemory"] == '"2024-01-01"'
    assert config["aws:maxRetries"] == "8"


def test_an_override_sets_one_value_deep_in_a_map_and_leaves_the_rest() -> None:
    config = stack_config("prod", {"workload.hitRate": "0.9", "podMemory": "128GB"})

    assert config["redis-image-cache:podMemory"] == "128GB"
    workload = json.loads(config["redis-image-cache:workload"])
    assert workload == json.loads(stack_config("prod", {})["redis-image-cache:workload"]) | {"hitRate": 0.9}


def test_an_override_beside_a_date_leaves_the_date(project: Path) -> None:
    tags = "  redis-image-cache:eks:\n    tags: {expires: 2027-01-01}\n"
    (project / "Pulumi.dated.yaml").write_text(f"config:\n{tags}")
    config = stack_config("dated", {"eks.clusterName": "images"}, project)
    assert json.loads(config["redis-image-cache:eks"]) == {"clusterName": "images", "tags": {"expires": "2027-01-01"}}


@pytest.mark.parametrize(
    ("key", "fault"),
    [
        ("redis-image-cach:podMemory", "did you mean redis-image-cache:podMemory?"),
        ("awss:region", "did you mean aws:region?"),
        ("shop:podMemory", "allowed are redis-image-cache, pulumi, aws"),
    ],
)
def test_an_override_that_nobody_reads_is_refused_instead_of_counting_for_nothing(key: str, fault: str) -> None:
    with pytest.raises(EvaluationError) as refused:
        stack_config("prod", {key: "128GB", "podMemory": "64GB"})
    assert str(refused.value).startswith(f"--set {key}: nothing here reads the namespace {key.partition(':')[0]}; ")
    assert fault in str(refused.value)


def test_secrets_are_masked_leaf_by_leaf_and_nothing_else_is() -> None:
    secret = Resource(
        "urn", "kubernetes:core/v1:Secret", "s", inputs={"data": {"a": ["b"]}, "c": 1}, secrets=frozenset({"data"})
    )

    assert masked(secret)["inputs"] == {"data": {"a": ["[secret]"]}, "c": 1}
