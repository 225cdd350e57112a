"""kubectl, pulumi and aws in the documents: what they name is there, and they know what they are told."""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import yaml
from botocore import xform_name
from botocore.model import OperationModel

from components.manifests.validation import VALIDATION
from preview.evaluate import decide_stack
from tests.repository.written import ROOT, commands_of

TEXTS = {path.stem: path.read_text() for path in Path(ROOT, "tests/golden").glob("prod-*.yaml")}
GOLDEN = "".join(TEXTS.values())
"""Stack prod's resources, with pods of 64 GB and of 128 GB."""

FLAG, VALUE = False, True
KUBECTL = {
    "annotate": {},
    "auth can-i": {"--list": FLAG, "--as": VALUE, "-n": VALUE},
    "create secret generic": {"--from-file": VALUE},
    "delete": {"-l": VALUE},
    "describe": {},
    "drain": {"--ignore-daemonsets": FLAG, "--delete-emptydir-data": FLAG, "--timeout": VALUE},
    "edit": {},
    "exec": {"-c": VALUE, "-i": FLAG},
    "get": {"-A": FLAG, "-L": VALUE, "-l": VALUE, "-o": VALUE, "-w": FLAG, "--field-selector": VALUE},
    "label": {"--dry-run": VALUE, "--as": VALUE},
    "logs": {"-f": FLAG, "-l": VALUE, "-c": VALUE, "--previous": FLAG, "--since": VALUE, "--tail": VALUE},
    "rollout restart": {},
    "run": {"--rm": FLAG, "-i": FLAG, "-it": FLAG, "--restart": VALUE, "--image": VALUE},
    "scale": {"--replicas": VALUE},
    "taint": {},
    "top": {"-l": VALUE},
    "uncordon": {},
}
"""Command -> its options that are used here, and whether each takes a value: `kubectl COMMAND --help` of 1.34."""
PULUMI = {
    "cancel": {},
    "config set": {"--secret": FLAG, "--path": FLAG},
    "destroy": {"--run-program": FLAG, "--skip-preview": FLAG},
    "install": {},
    "preview": {},
    "refresh": {},
    "stack export": {},
    "stack output": {"--show-secrets": FLAG, "--json": FLAG},
    "stack init": {},
    "up": {"--continue-on-error": FLAG, "--refresh": FLAG, "--stack": VALUE},
}
"""The same: `pulumi COMMAND --help`, of the version that docs/reference/engine.md names."""
KINDS = {
    *("certificate", "configmaps"),
    *("events", "job", "jobs", "namespace", "namespaces", "networkpolicies", "node", "nodes", "pod", "pods", "pvc"),
    *("secret", "statefulset"),
}
OF_EVERY_CLUSTER = "default"
"""A namespace."""
SELECTED_FIELDS = {"reason"}
"""Of events (https://kubernetes.io/docs/concepts/overview/working-with-objects/field-selectors)."""


def taken_apart(words: list[str], known: dict[str, dict[str, bool]]) -> tuple[str, list[str], dict[str, str]]:
    """Command, operands and options with their values. Fails for what the tool does not know."""
    command = next((name for name in known if words[: len(name.split())] == name.split()), None)
    assert command, f"{words} is no command in {sorted(known)}"
    rest, operands, options = words[len(command.split()) :], list[str](), dict[str, str]()
    while rest:
        word = rest.pop(0)
        if word == "--":
            # What follows is a program for a container, or operands that may begin with a dash.
            operands += rest if command != "exec" else []
            break
        if not word.startswith("-"):
            operands.append(word)
            continue
        name, is_joined, value = word.partition("=")
        assert name in known[command], f"{command} has no option {name}"
        if known[command][name] is VALUE and not is_joined:
            value = rest.pop(0)
        options[name] = value
    return command, operands, options


@cache
def pods() -> set[tuple[str, str]]:
    """Namespace and name of every Redis pod of stack prod, in both sizes."""
    objects = [found for text in TEXTS.values() for found in resources_in(yaml.load(text, yaml.CSafeLoader))]
    return {
        (found["metadata"]["namespace"], f"{found['metadata']['name']}-{number}")
        for found in objects
        if found["kind"] == "StatefulSet"
        for number in range(found["spec"]["replicas"])
    }


def resources_in(item: Any) -> list[dict[str, Any]]:
    """Everything in a document that looks as a Kubernetes object does."""
    if isinstance(item, dict):
        own = [item] if isinstance(item.get("kind"), str) and "metadata" in item and "spec" in item else []
        return own + [found for value in item.values() for found in resources_in(value)]
    return [found for value in item for found in resources_in(value)] if isinstance(item, list) else []


def test_the_documents_have_commands_of_each() -> None:
    assert len(commands_of("kubectl")) > 15
    assert len(commands_of("pulumi")) > 5
    assert len(commands_of("aws")) > 5


@pytest.mark.parametrize("line", commands_of("kubectl"))
def test_kubectl_knows_the_command_and_what_it_names_is_there(line: str) -> None:
    words = shlex.split(line)[1:]
    namespace = words.pop(1) if words[0] == "-n" else None
    if namespace:
        words.pop(0)
        there = re.search(rf"^ +name: {namespace}$", GOLDEN, re.MULTILINE)
        assert there or namespace == OF_EVERY_CLUSTER, f"no namespace {namespace}"
    command, operands, options = taken_apart(words, KUBECTL)
    if command.startswith("create ") or command == "run":
        # What it names is not there yet.
        return
    if command == "auth can-i":
        *_, account = options["--as"].split(":")
        assert re.search(rf"^ +name: {account}$", GOLDEN, re.MULTILINE), f"no account {account}"
        return
    if (label := options.get("-l")) and label != f"phase={VALIDATION}":
        key, _, value = label.partition("=")
        assert re.search(rf"\b{re.escape(key)}: {value or '.+'}$", GOLDEN, re.MULTILINE), f"nothing has {label}"
    if container := options.get("-c"):
        assert re.search(rf"^ +- name: {container}$", GOLDEN, re.MULTILINE), f"no container {container}"
    if field := options.get("--field-selector"):
        assert field.partition("=")[0] in SELECTED_FIELDS
    if command in ("get", "describe", "delete", "label", "scale", "taint", "top") and operands:
        assert operands.pop(0) in KINDS
    if command == "label" and operands[1:]:
        key, _, value = operands.pop().partition("=")
        assert re.search(rf"^ +{re.escape(key)}: {value}$", GOLDEN, re.MULTILINE), f"nothing has {key}={value}"
    if command == "taint" and operands:
        assert re.fullmatch(r"\S+=\w+:(NoSchedule|PreferNoSchedule|NoExecute)", operands.pop())
    names = [word for word in operands if not word.isupper() and word != OF_EVERY_CLUSTER]
    if names and namespace:
        assert (namespace, names[0]) in pods()
    else:
        assert all(re.search(rf"^ +name: {name}$", GOLDEN, re.MULTILINE) for name in names), names


@pytest.mark.parametrize("line", commands_of("pulumi"))
def test_pulumi_knows_the_command_and_the_program_takes_its_values(line: str) -> None:
    command, operands, options = taken_apart(shlex.split(line)[1:], PULUMI)
    if command != "config set":
        stacks = [options["--stack"]] if "--stack" in options else []
        assert all(ROOT.joinpath(f"Pulumi.{stack}.yaml").exists() for stack in stacks)
        assert len(operands) == (command in ("stack init", "stack output"))
        return
    if len(operands) == 1:
        # It asks for the value.
        assert "--secret" in options
        assert all(part in operands[0] for part in ("redis-image-cache:", ".")), "the key as a stack file has it"
    elif operands:
        key, value = operands
        assert ("." in key) == ("--path" in options), "without --path, a dot is part of the key's name"
        # An ellipsis or a variable stands for what only the reader knows, and nobody else is to read.
        is_secret = value[0] in "…$"
        assert is_secret == ("--secret" in options)
        decide_stack("prod", {key: "what only the reader knows" if is_secret else value})


def operation(service: str, words: list[str]) -> tuple[OperationModel, list[str]]:
    """What a call of aws asks for, and its other words."""
    client = botocore.session.get_session().create_client(
        service, "us-east-1", aws_access_key_id="none", aws_secret_access_key="none"
    )
    model = client.meta.service_model
    if words[0] == "wait":
        name = words[1].replace("-", "_")
        assert name in client.waiter_names, f"{service} has no waiter {words[1]}"
        return model.operation_model(client.get_waiter(name).config.operation), words[2:]
    operations = {xform_name(name, "-"): name for name in model.operation_names}
    assert words[0] in operations, f"{service} has no operation {words[0]}"
    return model.operation_model(operations[words[0]]), words[1:]


@pytest.mark.parametrize("line", commands_of("aws"))
def test_aws_has_the_operation_its_parameters_and_what_is_read_of_its_answer(line: str) -> None:
    service, *words = shlex.split(line)[1:]
    called, rest = operation(service, words)
    assert called.input_shape is not None
    members = {xform_name(name, "-"): (name, shape) for name, shape in called.input_shape.members.items()}
    given = set()
    while rest:
        name = rest.pop(0).removeprefix("--")
        if name == "query":
            shape: Any = called.output_shape
            for step in rest.pop(0).split("."):
                # A list's own step ends in [], and several of one structure stand in brackets.
                for name in step.strip("[]").split(","):
                    found = shape.members[name]
                shape = found.member if hasattr(found, "member") else found
        elif name == "output":
            assert rest.pop(0) in ("json", "text", "table", "yaml")
        else:
            assert name in members, f"{called.name} has no parameter {name}"
            given.add(members[name][0])
            kind = members[name][1]
            value = "" if kind.type_name == "boolean" else rest.pop(0)
            assert not value.startswith("--"), f"{name} has no value"
            if kind.type_name == "structure":
                assert {part.partition("=")[0] for part in value.split(",")} <= kind.members.keys()
    assert given >= set(called.input_shape.required_members)
