"""docs/permissions.md names every right that the program needs, and none that does not exist."""

import functools
import re
from pathlib import Path

import botocore.session

from preview.evaluate import Evaluation
from tests.resources.stacks import stack

DOCUMENT = Path("docs/permissions.md").read_text()
NO_OPERATION = {"iam:PassRole"}
"""Checked by IAM itself; no call has this name."""


@functools.cache
def stacks() -> tuple[Evaluation, ...]:
    """Small, large, and with what is off by default."""
    watched = {"monitoring__exporter": "true", "monitoring__prometheus": "operator"}
    encrypted = {"tls__mode": "required", "tls__issuer": "redis-ca"}
    return stack("local"), stack("prod"), stack("prod", replicasPerMaster="2", **watched, **encrypted)


def test_every_kind_of_object_that_is_made_has_a_row() -> None:
    rendered = {
        f"{resource.api_version}/{resource.kind}"
        for evaluation in stacks()
        for resource in evaluation.resources
        if resource.is_kubernetes
    }
    rows = set(re.findall(r"`((?:[a-z0-9.-]+/)?v\d+/[A-Z]\w+)`", DOCUMENT))
    assert rendered <= rows
    read = {"v1/Pod", "v1/Event", "apiextensions.k8s.io/v1/CustomResourceDefinition"}
    assert rows - rendered == read


def test_every_resource_of_aws_and_every_question_has_a_row() -> None:
    made = {
        resource.type
        for evaluation in stacks()
        for resource in evaluation.resources
        if resource.type.startswith("aws:")
    }
    source = "".join(path.read_text() for path in Path("components/resources").glob("*.py"))
    asked = {f"aws:{token}" for token in re.findall(r'"(\w+/get\w+:get\w+)"', source)}
    assert made
    assert asked
    assert made | asked == set(re.findall(r"`(aws:\w+/\w+:\w+)`", DOCUMENT))


def test_every_action_that_is_named_is_a_call_of_its_service() -> None:
    session = botocore.session.get_session()
    named = set(re.findall(r"`((?:eks|ec2|iam):[A-Z]\w+)`", DOCUMENT))
    assert len(named) > 20
    for action in named - NO_OPERATION:
        service, _, operation = action.partition(":")
        assert operation in session.get_service_model(service).operation_names, action
