"""Keys of a stack file that stand twice or are nobody's are refused, with the line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.config.load import NAMESPACE
from preview.errors import EvaluationError
from preview.stack_file import NAMESPACES, encrypted, read_stack_config, read_value, read_yaml


@pytest.fixture
def stack_file(tmp_path: Path) -> Path:
    return tmp_path / "Pulumi.odd.yaml"


def refusal(path: Path, text: str) -> list[str]:
    path.write_text(text)
    with pytest.raises(EvaluationError) as refused:
        read_stack_config(path)
    return str(refused.value).splitlines()


def test_a_key_that_stands_twice_is_refused_at_any_depth_with_both_lines(stack_file: Path) -> None:
    text = """config:
  redis-image-cache:podMemory: 64GB
  redis-image-cache:workload:
    hitRate: 0.8
    hitRate: 0.9
  redis-image-cache:podMemory: 128GB
"""
    rest = "only the last would count, so remove one"
    assert refusal(stack_file, text) == [
        f"Pulumi.odd.yaml, line 5: config.redis-image-cache:workload.hitRate stands twice, first in line 4; {rest}",
        f"Pulumi.odd.yaml, line 6: config.redis-image-cache:podMemory stands twice, first in line 2; {rest}",
    ]


def test_two_keys_on_one_line_are_found_too(stack_file: Path) -> None:
    (line,) = refusal(stack_file, "config: {redis-image-cache:nodes: {packing: limits, packing: requests}}\n")
    assert "line 1: config.redis-image-cache:nodes.packing stands twice, first in line 1" in line


def test_two_configs_in_one_file_are_refused(stack_file: Path) -> None:
    (line,) = refusal(stack_file, "config:\n  aws:region: us-east-1\nconfig:\n  aws:region: us-east-2\n")
    assert "line 3: config stands twice, first in line 1" in line


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        (
            "config:\n  redis-imagecache:podMemory: 64GB\n",
            "line 2: redis-imagecache:podMemory: nothing here reads the namespace redis-imagecache; "
            "did you mean redis-image-cache:podMemory?",
        ),
        (
            "config:\n  podMemory: 64GB\n",
            "line 2: podMemory: a key of a config has a namespace; write redis-image-cache:pod",
        ),
        (
            "config:\n  datadog:site: eu\n",
            "line 2: datadog:site: nothing here reads the namespace datadog; allowed are",
        ),
        ("confg:\n  aws:region: us-east-1\n", "line 1: confg: no such key; did you mean config?"),
        ("config: {}\npodMemory: 64GB\n", "line 2: podMemory: no such key; allowed here: config, "),
    ],
)
def test_a_key_that_is_nobodys_is_refused_with_its_line(text: str, fragment: str, stack_file: Path) -> None:
    (line,) = refusal(stack_file, text)
    assert fragment in line


def test_all_foreign_keys_come_at_once(stack_file: Path) -> None:
    text = "confg: 1\nconfig:\n  a:b: 1\n  c: 2\n"
    assert [line.split(":")[0] for line in refusal(stack_file, text)] == [
        f"Pulumi.odd.yaml, line {number}" for number in (1, 3, 4)
    ]


def test_what_pulumi_writes_itself_is_read(stack_file: Path) -> None:
    stack_file.write_text(
        "secretsprovider: awskms://x\nencryptedkey: k\nencryptionsalt: s\nenvironment: [e]\n"
        "config:\n  aws:region: us-east-1\n  redis-image-cache:access:\n    password:\n      secure: v1:x\n"
    )
    assert set(read_stack_config(stack_file)) == {"aws:region", "redis-image-cache:access"}


def test_encrypted_values_are_found_at_any_depth_and_no_others(stack_file: Path) -> None:
    stack_file.write_text(
        "config:\n  aws:secretKey: {secure: v1:a}\n  redis-image-cache:access:\n    password: {secure: v1:b}\n"
        "    list: [{secure: v1:c}, x]\n    other: {secure: 1, more: 2}\n"
    )
    assert encrypted(stack_file) == {
        "aws:secretKey": "v1:a",
        "redis-image-cache:access.password": "v1:b",
        "redis-image-cache:access.list.0": "v1:c",
    }


def test_an_anchor_that_is_used_again_stands_once(stack_file: Path) -> None:
    stack_file.write_text("config:\n  aws:a: &x {k: 1}\n  aws:b: *x\n")
    assert read_stack_config(stack_file)["aws:b"] == {"k": 1}


@pytest.mark.parametrize("value", ["&a [*a]", "&a {b: *a}", "[1, {b: &a [{c: *a}]}]"])
def test_a_value_that_holds_itself_is_refused_with_its_line(value: str, stack_file: Path) -> None:
    fault = "the value that begins here holds itself, by an alias (*); write out what is meant"
    text = f"config:\n  redis-image-cache:nodes:\n    x: {value}\n"
    assert refusal(stack_file, text) == [f"Pulumi.odd.yaml, line 3: {fault}"]
    with pytest.raises(EvaluationError) as refused:
        read_value(value, "--set nodes")
    assert str(refused.value) == f"--set nodes: line 1: {fault}"


@pytest.mark.parametrize(
    ("written", "read", "meant"),
    [
        ("0300", "192", "300"),
        ("-010", "-8", "-10"),
        ("1:30", "90", "90"),
        ("1:30.5", "90.5", "90.5"),
        ("0x10", "16", "16"),
        ("0b1", "1", "1"),
        ("8_000", "8000", "8000"),
    ],
)
def test_a_number_that_yaml_reads_as_another_is_refused_with_its_line_and_the_one_that_is_meant(
    written: str, read: str, meant: str, stack_file: Path
) -> None:
    text = f"config:\n  redis-image-cache:workload:\n    ttlSeconds: {written} # a comment\n"
    assert refusal(stack_file, text) == [
        f"Pulumi.odd.yaml, line 3: config.redis-image-cache:workload.ttlSeconds: {written} is {read} in YAML; write "
        f"{meant}, or quote it where a text is meant"
    ]


@given(st.text("0123456789_:xbo.-+", min_size=1, max_size=6))
def test_a_number_that_is_read_is_the_one_that_people_read(written: str) -> None:
    try:
        found = read_value(f"[{written}]", "--set x")
    except EvaluationError:
        return
    (read,) = found
    if isinstance(read, int | float):
        assert read == float(written)
        assert "_" not in written


def test_a_quoted_number_is_the_text_it_is(stack_file: Path) -> None:
    stack_file.write_text('config:\n  aws:x: ["0300", 0.5, 1.5e+3, .5, -7, 0, "1:30", 0800]\n')
    assert read_stack_config(stack_file)["aws:x"] == ["0300", 0.5, 1500.0, 0.5, -7, 0, "1:30", "0800"]


def test_a_file_that_is_no_yaml_is_named_with_the_line(stack_file: Path) -> None:
    (first, *_) = refusal(stack_file, "config:\n  a: [1\nb: 2\n")
    told = "\n".join(refusal(stack_file, "config:\n  a: [1\nb: 2\n"))
    assert first.startswith("Pulumi.odd.yaml is no valid YAML: ")
    assert "in Pulumi.odd.yaml, line 3" in told
    assert "unicode string" not in told


def test_the_stacks_of_this_project_are_read() -> None:
    for path in Path().glob("Pulumi*.yaml"):
        assert read_yaml(path)
    assert f"{NAMESPACE}:podMemory" in read_stack_config(Path("Pulumi.prod.yaml"))


def test_every_provider_that_is_installed_may_have_config() -> None:
    installed = [
        line.partition("==")[0].removeprefix("pulumi-")
        for line in Path("requirements.txt").read_text().splitlines()
        if line.startswith("pulumi-")
    ]
    assert set(installed) <= set(NAMESPACES)


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=8))
def test_as_many_are_refused_as_stand_more_than_once(tmp_path_factory: pytest.TempPathFactory, keys: list[str]) -> None:
    path = tmp_path_factory.mktemp("stack") / "Pulumi.odd.yaml"
    text = "config:\n" + "".join(f"  aws:{key}: 1\n" for key in keys)
    if len(set(keys)) == len(keys):
        path.write_text(text)
        assert len(read_stack_config(path)) == len(keys)
    else:
        assert len(refusal(path, text)) == len(keys) - len(set(keys))
