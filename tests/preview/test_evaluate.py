"""A stack's config as the CLI would hand it to the program, and what comes of it."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.config.load import fields_of, section_of, takes_text
from components.config.settings import Settings
from preview.errors import EvaluationError
from preview.evaluate import decide_stack, evaluate, masked, stack_config
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


TEXTS = [
    (key, inner)
    for key, field in fields_of(Settings).items()
    if (section := section_of(field))
    for inner in fields_of(section)
    if takes_text((key, inner))
]


def test_texts_words_and_secrets_are_told_from_numbers_lists_and_maps() -> None:
    for path in (("access", "keyPrefix"), ("tls", "mode"), ("access", "password"), ("tls", "issuer"), ("kubeContext",)):
        assert takes_text(path), path
    for path in (("eks", "tags", "team"), ("eks", "subnets", "us-east-1a"), ("images", "redis")):
        assert takes_text(path), path
    for path in (("workload", "ttlSeconds"), ("protect",), ("access", "deliverTo"), ("eks", "tags"), ("nodes",)):
        assert not takes_text(path), path
    assert not takes_text(("nodes", "colour"))
    assert not takes_text(("podMemory", "x"))


@given(
    st.sampled_from(TEXTS), st.sampled_from(["images:", "off", "no", "7.4", "0300", "1:30", "null", "[a", "{}", "#x"])
)
def test_an_override_of_a_text_is_the_text_whatever_yaml_would_make_of_it(path: tuple[str, str], text: str) -> None:
    config = stack_config("prod", {".".join(path): text})

    assert json.loads(config[f"redis-image-cache:{path[0]}"])[path[1]] == text


@given(st.text(min_size=1))
def test_an_override_of_any_text_is_that_text(text: str) -> None:
    config = stack_config("prod", {"access.keyPrefix": text, "kubeContext": text})

    assert json.loads(config["redis-image-cache:access"])["keyPrefix"] == text
    assert config["redis-image-cache:kubeContext"] == text


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


def test_the_hit_rate_from_which_on_stack_prod_fits_its_memory_is_the_plans() -> None:
    told = re.search(r"# below ([0-9.]+) the working set no longer fits 1TB", Path("Pulumi.prod.yaml").read_text())
    assert told is not None
    assert told[1] == f"{decide_stack('prod', {}).advice.working_set.break_even_hit_rate_beside_backlog:.3f}"


@given(
    st.sampled_from(["1MB", "100MB", "2000MB", "512GB", "600GB", "1TB", "2TB", "9TB"]),
    st.sampled_from(["256GB", "1TB", "3TB"]),
    st.sampled_from(["10", "8000", "15000"]),
)
@settings(max_examples=12, deadline=None)
def test_the_size_that_is_named_where_no_number_of_masters_fits_gives_a_plan(pod: str, total: str, rate: str) -> None:
    asked = {"podMemory": pod, "totalMemory": total, "workload.requestsPerSecond": rate}
    try:
        decide_stack("prod", asked)
    except EvaluationError as refused:
        if "number of masters would be" in str(refused):
            named = str(refused).split("; tried, and planned: --set podMemory=")[1]
            assert decide_stack("prod", asked | {"podMemory": named}).advice.nodes


@pytest.mark.parametrize(
    "asked",
    [
        {"workload.objectBytes": "536870912"},
        {"workload.requestsPerSecond": "20000000"},
        {"workload.p95LatencyMs": "1"},
        {"workload.requestsPerSecond": "300000", "workload.objectBytes": "8000000"},
    ],
)
def test_where_no_number_of_masters_helps_values_of_the_workload_are_named_that_do(asked: dict[str, str]) -> None:
    with pytest.raises(EvaluationError) as refused:
        decide_stack("prod", asked)
    told, _, options = str(refused.value).partition("; tried, and planned: ")
    assert "use a smaller podMemory" not in told
    for option in options.split(" or "):
        key, _, value = option.removeprefix("--set ").partition("=")
        assert decide_stack("prod", asked | {key: value}).advice.nodes


def test_beside_another_fault_no_size_of_a_pod_is_said_to_be_planned() -> None:
    with pytest.raises(EvaluationError) as refused:
        decide_stack("prod", {"podMemory": "2TB", "colour": "red"})
    assert "tried, and planned" not in str(refused.value)


def test_secrets_are_masked_leaf_by_leaf_and_nothing_else_is() -> None:
    secret = Resource(
        "urn", "kubernetes:core/v1:Secret", "s", inputs={"data": {"a": ["b"]}, "c": 1}, secrets=frozenset({"data"})
    )

    assert masked(secret)["inputs"] == {"data": {"a": ["[secret]"]}, "c": 1}
