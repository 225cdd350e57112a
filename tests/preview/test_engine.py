"""The recording engine: the project's own program, and any function that registers resources."""

import json
from pathlib import Path

import pulumi
import pytest
from pulumi_kubernetes.core.v1 import ConfigMap

from preview.engine import record
from preview.evaluate import stack_config
from preview.provider import subnet_zones_in


def ask(token: str, question: dict[str, str]) -> dict[str, object]:
    """What a program is told when it looks something up."""
    answers: list[dict[str, object]] = []
    record(lambda: answers.append(dict(pulumi.runtime.invoke(token, question).value)), "p", "s", ZONED, {"group": 3})
    return answers[0]


ZONED = {"p:eks": json.dumps({"subnets": {"us-east-1a": "subnet-1"}})}


def test_two_evaluations_of_one_config_are_equal() -> None:
    config = stack_config("local", {})

    first, second = (record(Path("__main__.py"), "redis-image-cache", "local", config) for _ in range(2))

    assert first.resources == second.resources
    assert first.outputs == second.outputs


def test_a_function_is_a_program_and_needs_no_config() -> None:
    def program() -> None:
        settings = ConfigMap("settings", data={"colour": "red"})
        pulumi.export("name", settings.metadata.name)
        pulumi.log.warn("look")

    recording = record(program, "example", "test")

    (resource,) = recording.resources
    assert (resource.type, resource.name) == ("kubernetes:core/v1:ConfigMap", "settings")
    assert resource.inputs["data"] == {"colour": "red"}
    assert resource.urn.startswith("urn:pulumi:test::example::")
    assert recording.outputs == {"name": resource.inputs["metadata"]["name"]}
    assert recording.warnings == ["look"]


def test_a_program_sees_its_own_config_and_none_of_an_earlier_one() -> None:
    seen: list[str | None] = []

    def program() -> None:
        seen.append(pulumi.Config("p").get("colour"))

    record(program, "p", "s", {"p:colour": "red"})
    record(program, "p", "s")

    assert seen == ["red", None]


def test_what_a_program_raises_is_raised() -> None:
    def program() -> None:
        raise pulumi.RunError("no such size")

    with pytest.raises(pulumi.RunError, match="no such size"):
        record(program, "p", "s")


def test_another_content_gives_an_autonamed_object_another_name() -> None:
    names = [
        record(lambda text=text: ConfigMap("settings", data={"a": text}), "p", "s").resources[0].inputs["metadata"]
        for text in ("1", "1", "2")
    ]

    assert names[0] == names[1] != names[2]


def test_two_resources_of_one_urn_are_refused() -> None:
    def program() -> None:
        ConfigMap("twice")
        ConfigMap("twice")

    with pytest.raises(ValueError, match="two resources have the URN"):
        record(program, "p", "s")


def test_a_subnet_lies_where_the_caller_says_or_else_where_the_config_lists_it() -> None:
    zones: list[object] = []

    def program() -> None:
        for subnet in ("subnet-1", "subnet-2", "subnet-3"):
            zones.append(pulumi.runtime.invoke("aws:ec2/getSubnet:getSubnet", {"id": subnet}).value["availabilityZone"])

    record(program, "p", "s", ZONED, subnet_zones={"subnet-2": "us-east-1b"})

    assert zones == ["us-east-1a", "us-east-1b", "unknown"]


@pytest.mark.parametrize("text", ["{", "[1]", "7", "null", '{"subnets": [1]}', '{"subnets": null}', '{"a": 1}'])
def test_a_value_without_subnets_places_none(text: str) -> None:
    assert subnet_zones_in({"key": text}) == {}


def test_node_groups_are_those_the_caller_says() -> None:
    assert ask("aws:eks/getNodeGroups:getNodeGroups", {"clusterName": "c"}) == {"names": ["group"]}
    group = ask("aws:eks/getNodeGroup:getNodeGroup", {"clusterName": "c", "nodeGroupName": "group"})
    assert group == {"scalingConfigs": [{"desiredSize": 3}]}


def test_a_question_nobody_can_answer_offline_is_an_error() -> None:
    with pytest.raises(Exception, match="which cannot be answered offline"):
        ask("aws:ec2/getVpc:getVpc", {})
