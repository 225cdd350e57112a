"""Bad config is refused with one clear line for each error, all at once, before anything is registered."""

import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from components.config.load import ConfigErrors, fields_of, load_settings, section_of, settings_of
from components.config.settings import Settings
from tests.plan.stacks import BY_TAG, CLIENTS, PRODUCTION

EKS = {"clusterName": "c", "subnets": {f"us-east-1{letter}": f"subnet-{letter}" for letter in "abc"}}
GIVEN: dict[str, Any] = {"eks": EKS, **PRODUCTION}
GOOD = {key: json.dumps(value) for key, value in GIVEN.items()}
PYDANTIC = re.compile(
    r"\b(tuple|dict|dictionary|str|string|int|integer|float|bool|boolean|NoneType|None|True|False|should|Input|iterable|"
    r"mapping|instance of|valid (string|integer|list|number|\w+))\b|\[type=|\['"
)
"""Words of Python and of the library that reads the config; they mean nothing to whoever writes a stack file."""
LIBRARY = re.compile(r"tuple|dictionary|valid (string|integer|list|number)|should |Input|instance of|\[type=")
"""The same where a value that is repeated may hold any other word."""


def errors(**changes: object) -> list[str]:
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in changes.items()}
    with pytest.raises(ConfigErrors) as refusal:
        load_settings(GOOD | texts)
    return refusal.value.messages


@pytest.mark.parametrize("value", ["0", "-1", "64", "64 GB", "64XB", "0GB", "", "64gb", "1.5TB", "[1]"])
def test_a_pod_memory_that_is_no_size_is_refused_with_key_value_and_rule(value: str) -> None:
    (message,) = errors(podMemory=value)

    assert "redis-image-cache:podMemory" in message
    assert json.dumps(value) in message or value in message
    assert "MB, GB or TB" in message


def test_a_size_that_is_nearly_right_is_answered_with_the_right_spelling() -> None:
    assert "did you mean 64GB?" in errors(podMemory="64 GB")[0]
    assert "did you mean 2TB?" in errors(totalMemory="2TiB")[0]


def test_fewer_than_three_masters_are_refused_with_what_to_do() -> None:
    for size in ("3TB", "700GB"):
        (message,) = errors(podMemory=size)
        assert "a Redis Cluster needs at least 3; make podMemory smaller or totalMemory larger" in message


def test_more_masters_than_a_cluster_carries_are_refused_with_what_to_do() -> None:
    (message,) = errors(podMemory="64GB", totalMemory="120TB")

    assert "podMemory = 64GB with totalMemory = 120TB: the number of masters would be 1920" in message
    assert "a Redis Cluster carries at most 500; make podMemory larger or totalMemory smaller" in message


@pytest.mark.parametrize(
    ("changes", "fragments"),
    [
        ({"workload": {"hitRate": 1.5}}, ["workload.hitRate = 1.5", "must be less than 1 ("]),
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
        ({"nodes": {"instanceType": ""}}, ["nodes.instanceType", "must not be empty"]),
        ({"nodes": {"architecture": "arm"}}, ["nodes.architecture", "did you mean arm64?", "'x86_64'"]),
        ({"nodes": {"capacityType": "on-demand"}}, ["nodes.capacityType", "did you mean onDemand?"]),
        ({"nodes": {"architecture": "amd64"}}, ["did you mean x86_64?"]),
        ({"nodes": {"architecture": "aarch64"}}, ["did you mean arm64?"]),
        ({"nodes": {"architecture": "X86-64"}}, ["did you mean x86_64?"]),
        ({"nodes": {"capacityType": "ON_DEMAND"}}, ["did you mean onDemand?"]),
        ({"nodes": {"capacityType": "spots"}}, ["did you mean spot?"]),
        ({"nodes": {"packing": "limit"}}, ["did you mean limits?"]),
        ({"nodes": {"placement": "require"}}, ["did you mean required?"]),
        ({"access": {"nodeEndpoint": "host-name"}}, ["did you mean hostname?"]),
        ({"nodes": {"packing": "none"}}, ["nodes.packing", ": must be one of"]),
        ({"resize": {"mode": "expires"}}, ["resize.mode", "did you mean expire?"]),
        ({"access": {"allowFromNamespaces": "web"}}, ["access.allowFromNamespaces", "must be a list"]),
        ({"access": {"allowFromNamespaces": ["web", 1]}}, ["access.allowFromNamespaces.1 = 1", "must be a text"]),
        (
            {"access": {"allowFromNamespaces": ["web", "Shop_1"]}},
            ["access.allowFromNamespaces", '"Shop_1"', "a-z, 0-9"],
        ),
        ({"access": {"allowFromPods": ["web"]}}, ["access.allowFromPods", '"web"', "web/app=shop,tier=front"]),
        ({"access": {}}, ["access.allowFromNamespaces", "access.allowFromPods", "nodes.production: false"]),
        ({"access": {"policiesEnforcedBy": "celium"}}, ["did you mean cilium?"]),
        ({"access": {"password": "short"}}, ["access.password = [secret]", "at least 16 characters"]),
        ({"eks": EKS | {"tags": ["a"]}}, ["eks.tags", "must be a map"]),
        ({"eks": EKS | {"subnets": {}}}, ["eks.subnets", "must not be empty"]),
        ({"eks": EKS | {"nodeRoleArn": "role"}}, ["eks.nodeRoleArn", "arn:aws:iam::123456789012:role/"]),
        ({"eks": EKS | {"clusterName": "c" * 101}}, ["eks.clusterName", "at most 100 characters"]),
        ({"eks": EKS | {"subnets": EKS["subnets"] | {"us-east1-d": "subnet-d"}}}, ["did you mean us-east-1d?"]),
        ({"eks": EKS | {"subnets": EKS["subnets"] | {"use1-az1": "subnet-d"}}}, ["use1-az1 is no availability zone"]),
        ({"eks": EKS | {"subnets": EKS["subnets"] | {"us-esat-1d": "subnet-d"}}}, ["did you mean us-east-1d?"]),
        ({"workload": {"requestsPerSecond": 1.5}}, ["workload.requestsPerSecond = 1.5", "must be a whole number"]),
        ({"workload": {"requestsPerSecond": float("inf")}}, ["must be a whole number"]),
        ({"workload": {"requestsPerSecond": 0}}, ["must be more than 0"]),
        ({"workload": {"requestsPerSecond": 10**30}}, ["must be at most 20000000", "the cores of 500 masters answer"]),
        ({"workload": {"ttlSeconds": 99_999_999_999}}, ["must be at most 31536000", "belongs in a store"]),
        ({"workload": {"p95LatencyMs": 10**12}}, ["must be at most 60000", "clients wait no longer"]),
        ({"workload": {"hitRate": 1}}, ["must be less than 1 (", "before its first hit an image was missed"]),
        ({"workload": {"hitRate": 80}}, ["must be less than 1; did you mean 0.8? (", "0 to less than 1"]),
        ({"workload": {"hitRate": "99.5 %"}}, ["must be a number; did you mean 0.995?"]),
        ({"workload": {"dutyCycle": 50}}, ["must be at most 1; did you mean 0.5?"]),
        ({"workload": {"requestsPerSecond": "8,000"}}, ["must be a whole number; did you mean 8000?"]),
        ({"workload": {"requestsPerSecond": "1e3"}}, ["must be a whole number; did you mean 1000?"]),
        # Where what is meant is refused too, it is not advised.
        ({"replicasPerMaster": "1,000"}, ["must be a whole number ("]),
        ({"workload": {"hitRate": "100%"}}, ["must be a number ("]),
        (
            {"eks": EKS | {"subnets": EKS["subnets"] | {"us-east-1d": "subnet-c"}}},
            ["subnet-c stands under us-east-1c and us-east-1d; a subnet lies in one zone; give us-east-1d its own"],
        ),
        (
            {"eks": EKS | {"clusterName": "имя"}},
            ["like images-prod (", "letters a to z, digits, - and _"],
        ),
        ({"eks": EKS | {"clusterName": "-images"}}, ["must be written like images-prod"]),
        (
            {"eks": EKS | {"tags": {"aws:team": "x"}}},
            ['"aws:team = x": AWS keeps names and values that begin'],
        ),
        ({"eks": EKS | {"tags": {"team": "AWS:x"}}}, ['"team = AWS:x"', "write another"]),
        ({"workload": {"hitRate": "most"}}, ["workload.hitRate", "must be a number"]),
        ({"monitoring": {"exporter": "maybe"}}, ["monitoring.exporter", "must be true or false"]),
        ({"storage": {"size": 20}}, ["storage.size = 20", "MB, GB or TB"]),
    ],
)
def test_each_error_is_one_line_with_key_value_and_rule(changes: dict[str, object], fragments: list[str]) -> None:
    messages = errors(**changes)

    assert len(messages) == 1
    assert all(fragment in messages[0] for fragment in fragments), messages[0]


@pytest.mark.parametrize(
    ("section", "key", "right"),
    [
        ("access", "allowFromNamespaces", "web"),
        ("access", "allowFromPods", "web/a=b"),
        ("images", "pullSecrets", "a-1"),
    ],
)
@given(wrong=st.lists(st.sampled_from(["Images", "", "a b", 5, None, "right"]), min_size=1, max_size=6))
def test_every_entry_of_a_list_that_is_wrong_is_told(section: str, key: str, right: str, wrong: list[Any]) -> None:
    entries = [right if entry == "right" else entry for entry in wrong]
    places = [index for index, entry in enumerate(entries) if entry != right]
    if places:
        told = [message.split(" = ")[0] for message in errors(**{section: GIVEN[section] | {key: entries}})]
        assert told == [f"redis-image-cache:{section}.{key}.{index}" for index in places]


@given(st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(["1", "2", "3", "4"]), min_size=3))
def test_a_subnet_stands_under_one_zone(subnets: dict[str, str]) -> None:
    given = {f"us-east-1{letter}": f"subnet-{number}" for letter, number in subnets.items()}
    if len(set(given.values())) == len(given):
        assert load_settings(GOOD | {"eks": json.dumps(EKS | {"subnets": given})}).zones
    else:
        (message,) = errors(eks=EKS | {"subnets": given})
        twice = {subnet for subnet in given.values() if list(given.values()).count(subnet) > 1}
        assert message.count(" stands under ") == len(twice)


def test_all_errors_come_at_once_those_between_keys_too() -> None:
    messages = errors(podMemory="64", workload={"hitRate": 2, "ttl": 1}, nodes={"capacityType": "spot"}, colour="red")

    for fragment in ("colour", "podMemory", "workload.hitRate", "workload.ttl", "nodes.capacityType"):
        assert any(fragment in message for message in messages), fragment


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"tls": {"mode": False}}, "YAML reads no, off and false as false: quote the text"),
        ({"tls": {"mode": False}}, "did you mean plain?"),
        ({"tls": {"mode": "off"}}, "did you mean plain?"),
        ({"images": {"tagsBecause": False}}, "must be a text; YAML reads no, off and false as false: quote the text"),
        ({"monitoring": {"release": True}}, "must be a text; YAML reads yes, on and true as true: quote the text"),
        ({"access": CLIENTS | {"keyPrefix": {"images": None}}}, "a text that ends in a colon as a map: quote it"),
        ({"images": BY_TAG | {"redisVersion": 7.4}}, "must be a text; YAML reads a text of digits as a number: quote"),
    ],
)
def test_what_yaml_makes_of_a_text_is_told_where_a_text_is_wanted(changes: dict[str, Any], rule: str) -> None:
    assert any(rule in message for message in errors(**changes))


def test_a_wrong_password_is_never_shown() -> None:
    for access in ({"password": "hunter2"}, {"password": {"hunter2": None}}, ["hunter2"], "hunter2"):
        assert not any("hunter2" in message for message in errors(access=access))


@pytest.mark.parametrize("key", ["password", "alsoAccepted"])
@pytest.mark.parametrize(
    ("end", "reason"), [("\0more", "cannot contain a NUL byte"), ("\n", "end in a newline"), ("\r", "end in a newline")]
)
def test_a_password_that_no_container_can_be_given_is_refused_and_not_shown(key: str, end: str, reason: str) -> None:
    (message,) = errors(access={key: "hunter2hunter2hunter2" + end})

    assert f"access.{key}" in message
    assert reason in message
    assert "hunter2" not in message


def test_a_password_may_have_a_newline_inside() -> None:
    given = "sixteen bytes and\nmore"
    password = load_settings(GOOD | {"access": json.dumps(CLIENTS | {"password": given})}).access.password

    assert password is not None
    assert password.get_secret_value() == given


@pytest.mark.parametrize(
    "subnet", [EKS["subnets"] | {"us-east-1-bos-1a": "subnet-d"}, EKS["subnets"] | {"us-east-1": "subnet-d"}]
)
def test_a_local_zone_or_a_region_is_no_zone(subnet: object) -> None:
    (message,) = errors(eks=EKS | {"subnets": subnet})

    assert "is no availability zone, such as us-east-1a" in message


def test_python_values_are_held_to_the_same_rules_as_a_stack_file() -> None:
    with pytest.raises(ConfigErrors) as refusal:
        settings_of(podMemory="64", eks=EKS | {"subnets": {"us-east-1a": "subnet-1"}}, **PRODUCTION, Nodes={})

    keys = [message.split(" ")[0].rstrip(":") for message in refusal.value.messages]
    assert keys == ["redis-image-cache:Nodes", "redis-image-cache:podMemory", "redis-image-cache:eks.subnets"]


KEYS = st.sampled_from(sorted(fields_of(Settings)))
VALUES = st.one_of(
    st.text(max_size=12),
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8)),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
        max_leaves=6,
    ).map(json.dumps),
)


@settings(max_examples=60)
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
    assert not [message for message in messages if LIBRARY.search(message.partition(": ")[2])]


def paths(model: type[BaseModel], *before: str) -> Iterator[tuple[str, ...]]:
    """Every key of the settings, sections too."""
    for key, field in fields_of(model).items():
        yield (*before, key)
        section = section_of(field)
        if section is not None:
            yield from paths(section, *before, key)


ODD: tuple[Any, ...] = (
    None, True, False, 3, -1, 1.5, 10**30, 1e400, "x", "", "1", "1e5", "é", [], ["x"], [1], [None], [[]], {}, {"a": 1},
    {"a": None}, {"a": []}, {"": ""}, {"us-east-1a": 7}, "9" * 5000,
)  # fmt: skip


@pytest.mark.parametrize("path", [*paths(Settings)], ids=".".join)
def test_no_error_of_any_key_speaks_of_pythons_types_or_repeats_a_long_value(path: tuple[str, ...]) -> None:
    refused = 0
    for value in ODD:
        for key in reversed(path[1:]):
            value = {key: value}
        given = {**EKS, **value} if path[0] == "eks" and len(path) > 1 else value
        try:
            settings_of(**(GIVEN | {path[0]: given}))
        except ConfigErrors as refusal:
            refused += 1
            for message in refusal.messages:
                # A value is repeated as it stands in the file, and the purpose is the settings' own.
                assert not PYDANTIC.search(re.sub(r"\([^()]*(\([^()]*\)[^()]*)*\)$", "", message)), message
                assert len(message) < 1000 or "only one of the two can be meant" in message
    assert refused > 5


def test_the_region_of_the_stack_is_judged_with_all_other_keys() -> None:
    texts = GOOD | {"eks": json.dumps(EKS), "workload": json.dumps({"hitRate": 2})}
    with pytest.raises(ConfigErrors) as raised:
        load_settings(texts, "eu-west-1")
    hit_rate, region = raised.value.messages
    assert hit_rate.startswith("redis-image-cache:workload.hitRate = 2")
    assert region.startswith("aws:region = eu-west-1 with eks.subnets in ")
    assert load_settings(GOOD | {"eks": json.dumps(EKS)}, "us-east-1")


REASONS = (("images", "tagsBecause"), ("tls", "plainBecause"), ("access", "scripts"))


@pytest.mark.parametrize(("section", "key"), REASONS)
@pytest.mark.parametrize(
    ("reason", "fault"),
    [
        ("", "at least 10 characters"),
        (" \n\t" * 10, "at least 10 characters"),
        ("short. . . . . . .", "at least 10 characters"),
        ("w" * 501, "at most 500 characters"),
        ("\x1b[31mred is no reason", "cannot be shown"),
        ("half of a pair: \ud800", "cannot be shown"),
        (2026, "must be a text"),
        (["a list of reasons"], "must be a text"),
    ],
)
def test_a_reason_that_says_nothing_to_a_reviewer_is_refused(section: str, key: str, reason: Any, fault: str) -> None:
    (message,) = errors(**{section: GIVEN.get(section, {}) | {key: reason}})
    assert message.startswith(f"redis-image-cache:{section}.{key} = ")
    assert fault in message


@pytest.mark.parametrize(("section", "key"), REASONS)
def test_a_reason_may_be_written_over_several_lines_and_end_as_a_sentence(section: str, key: str) -> None:
    read = load_settings(
        GOOD | {section: json.dumps(GIVEN.get(section, {}) | {key: "Weil niemand\n  fährt,  日本.\n"})}
    )
    assert getattr(read, section).model_dump(by_alias=True)[key] == "Weil niemand fährt, 日本"
