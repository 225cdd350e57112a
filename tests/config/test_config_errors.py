"""Bad config is refused with one clear line a fault, all at once, before anything is registered."""

import contextlib
import json
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from components.config.load import ConfigErrors, load_settings
from components.config.settings import Settings
from components.config.units import format_size, kubernetes_quantity, parse_size

EKS = {"clusterName": "c", "subnets": {f"us-east-1{letter}": f"subnet-{letter}" for letter in "abc"}}
GOOD = {
    key: declared["default"] if isinstance(declared["default"], str) else json.dumps(declared["default"])
    for key, declared in yaml.safe_load(Path("Pulumi.yaml").read_text())["config"].items()
} | {"eks": json.dumps(EKS)}


def faults(**changes: object) -> list[str]:
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in changes.items()}
    with pytest.raises(ConfigErrors) as refusal:
        load_settings(GOOD | texts)
    return refusal.value.messages


def test_the_defaults_of_the_project_file_are_valid_settings() -> None:
    assert load_settings(GOOD).pod_memory == 64 * 2**30


def test_the_project_file_declares_exactly_the_keys_that_settings_has() -> None:
    aliases = {field.alias for field in Settings.model_fields.values()}

    assert set(yaml.safe_load(Path("Pulumi.yaml").read_text())["config"]) == aliases


def test_the_project_file_names_every_key_that_a_map_may_have() -> None:
    declared = yaml.safe_load(Path("Pulumi.yaml").read_text())["config"]

    for alias, field in ((field.alias or "", field) for field in Settings.model_fields.values()):
        section = next(
            (
                kind
                for kind in [field.annotation, *getattr(field.annotation, "__args__", ())]
                if hasattr(kind, "model_fields")
            ),
            None,
        )
        if section is not None:
            inner = {inner.alias for inner in section.model_fields.values()}
            assert inner <= set(re.findall(r"\w+", declared[alias]["description"])), alias


@pytest.mark.parametrize("value", ["0", "-1", "64", "64 GB", "64XB", "0GB", "", "64gb", "1.5TB", "[1]"])
def test_a_pod_memory_that_is_no_size_is_refused_with_key_value_and_rule(value: str) -> None:
    (message,) = faults(podMemory=value)

    assert "redis-image-cache:podMemory" in message
    assert json.dumps(value) in message or value in message
    assert "MB, GB or TB" in message


def test_a_size_that_is_nearly_right_is_answered_with_the_right_spelling() -> None:
    assert "did you mean 64GB?" in faults(podMemory="64 GB")[0]
    assert "did you mean 2TB?" in faults(totalMemory="2TiB")[0]


def test_a_pod_larger_than_all_masters_together_is_refused_with_the_largest_that_works() -> None:
    (message,) = faults(podMemory="3TB")

    largest = message.rsplit(" ", 1)[1]
    assert load_settings(GOOD | {"podMemory": largest}).pod_memory == parse_size(largest)


def test_fewer_than_three_masters_are_refused_with_the_largest_pod_that_works() -> None:
    (message,) = faults(totalMemory="128GB")

    assert "2 masters" in message
    largest = re.search(r"at most (\d+MB)", message)
    assert largest is not None
    assert load_settings(GOOD | {"totalMemory": "128GB", "podMemory": largest[1]})


@pytest.mark.parametrize(
    ("changes", "fragments"),
    [
        ({"workload": {"hitRate": 1.5}}, ["workload.hitRate = 1.5", "at most 1"]),
        (
            {"eks": EKS | {"subnets": {"us-east-1a": "", "us-east-1b": None}}},
            ["eks.subnets", "us-east-1a", "us-east-1b"],
        ),
        ({"workload": [1]}, ["workload = [1]", "must be a map"]),
        ({"eks": []}, ["eks = []", "must be a map"]),
        ({"nodes": 7}, ["nodes = 7", "must be a map"]),
        ({"podmemory": "64GB"}, ["podmemory", "did you mean podMemory"]),
        ({"workload": {"hitrate": 1}}, ["workload.hitrate", "did you mean hitRate"]),
        ({"eks": EKS | {"subnet": {}}}, ["eks.subnet:", "did you mean subnets"]),
        ({"eks": {"subnets": EKS["subnets"]}}, ["eks.clusterName is missing"]),
        ({"eks": {}}, ["eks or kubeContext is missing"]),
        ({"kubeContext": "kind"}, ["kubeContext", "only one of the two"]),
        ({"nodes": {"capacityType": "spot"}}, ["nodes.capacityType = spot", "nodes.production: false"]),
        ({"storage": {"iops": 4000, "className": "gp3"}}, ["storage.iops", "className"]),
        ({"replicasPerMaster": "0"}, ['replicasPerMaster = "0"', "at least 1"]),
        ({"eks": EKS | {"subnets": {"us-east-1a": "subnet-1"}}}, ["1 of at least 3 zones", "allowFewerZones"]),
        ({"nodes": {"instanceType": 4}}, ["nodes.instanceType = 4", "must be a text"]),
    ],
)
def test_each_fault_is_one_line_with_key_value_and_rule(changes: dict[str, object], fragments: list[str]) -> None:
    messages = faults(**changes)

    assert len(messages) == 1
    assert all(fragment in messages[0] for fragment in fragments), messages[0]


def test_all_faults_come_at_once_those_between_keys_too() -> None:
    messages = faults(podMemory="64", workload={"hitRate": 2, "ttl": 1}, nodes={"capacityType": "spot"}, colour="red")

    for fragment in ("colour", "podMemory", "workload.hitRate", "workload.ttl", "nodes.capacityType"):
        assert any(fragment in message for message in messages), fragment


def test_a_wrong_password_is_never_shown() -> None:
    for access in ({"password": "hunter2"}, ["hunter2"], "hunter2"):
        assert not any("hunter2" in message for message in faults(access=access))


KEYS = st.sampled_from(sorted(GOOD))
VALUES = st.one_of(
    st.text(max_size=12),
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8)),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
        max_leaves=6,
    ).map(json.dumps),
)


@given(st.dictionaries(KEYS, VALUES, min_size=1, max_size=4))
def test_whatever_a_key_holds_it_is_read_or_refused_in_lines_that_name_a_key(changes: dict[str, str]) -> None:
    messages: list[str] = []
    with contextlib.suppress(ConfigErrors):
        try:
            assert isinstance(load_settings(GOOD | changes), Settings)
        except ConfigErrors as refusal:
            messages = refusal.messages or ["a refusal without a reason"]
            raise

    assert all(message.startswith("redis-image-cache:") for message in messages)


@given(st.integers(min_value=1, max_value=2**24))
def test_a_size_survives_being_written_and_read(size_mib: int) -> None:
    assert parse_size(format_size(size_mib * 2**20)) == size_mib * 2**20
    assert kubernetes_quantity(size_mib).endswith("Gi" if size_mib % 1024 == 0 else "Mi")
