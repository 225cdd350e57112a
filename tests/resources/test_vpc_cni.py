"""A node role that is made here may change network interfaces only where the VPC CNI has no role of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
import pytest

from components.config.choices import CniRole
from components.config.load import settings_of
from components.manifests.node_groups import node_policies
from components.resources import vpc_cni
from tests.plan.stacks import PRODUCTION

EKS = {"clusterName": "shop", "subnets": {f"us-east-1{letter}": f"subnet-{letter}" for letter in "abc"}}
ARN = "arn:aws:iam::123456789012:role/cni"
LEAST = {"AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly"}
"""What EKS's documentation asks of a node role where the CNI has a role of its own."""


@pytest.fixture
def warned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    texts: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", texts.append)
    return texts


def policies(monkeypatch: pytest.MonkeyPatch, answer: Mapping[str, Any] | Exception, **eks: Any) -> set[str]:
    """The policies of the node role where AWS answers this about the add-on."""

    def asked(token: str, question: Mapping[str, Any]) -> Mapping[str, Any]:
        assert (token, question) == ("eks/getAddon:getAddon", {"clusterName": "shop", "addonName": "vpc-cni"})
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(vpc_cni, "ask_aws_now", asked)
    settings = settings_of(eks={**EKS, **eks}, **PRODUCTION)
    decided = vpc_cni.with_cni_role(settings).eks
    assert decided is not None
    return set(node_policies(decided))


@pytest.mark.parametrize(
    "answer",
    [
        {"serviceAccountRoleArn": ARN},
        {"podIdentityAssociations": [{"serviceAccount": "aws-node", "roleArn": ARN}]},
        {"serviceAccountRoleArn": "", "podIdentityAssociations": [{"serviceAccount": "aws-node", "roleArn": ARN}]},
    ],
)
def test_where_the_cni_has_its_own_role_nodes_have_none_of_its_rights(
    monkeypatch: pytest.MonkeyPatch, warned: list[str], answer: Mapping[str, Any]
) -> None:
    assert policies(monkeypatch, answer) == LEAST
    assert warned == []


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"serviceAccountRoleArn": None, "podIdentityAssociations": None},
        {"serviceAccountRoleArn": "", "podIdentityAssociations": []},
        {"podIdentityAssociations": [{"serviceAccount": "another", "roleArn": ARN}]},
    ],
)
def test_where_it_has_none_nodes_keep_its_rights_and_a_warning_says_how_to_end_that(
    monkeypatch: pytest.MonkeyPatch, warned: list[str], answer: Mapping[str, Any]
) -> None:
    assert policies(monkeypatch, answer) == {*LEAST, "AmazonEKS_CNI_Policy"}
    (text,) = warned
    assert "the add-on vpc-cni of cluster shop has no role of its own" in text
    assert "aws eks update-addon --cluster-name shop --addon-name vpc-cni" in text
    assert "--pod-identity-associations serviceAccount=aws-node,roleArn=ARN" in text


def test_where_nobody_answers_no_new_node_is_left_without_a_network(
    monkeypatch: pytest.MonkeyPatch, warned: list[str]
) -> None:
    assert policies(monkeypatch, RuntimeError("No addon: vpc-cni found")) == {*LEAST, "AmazonEKS_CNI_Policy"}
    assert "cannot be asked: No addon: vpc-cni found" in warned[0]


@pytest.mark.parametrize(
    ("eks", "found"),
    [({"cniRole": "own"}, LEAST), ({"cniRole": "node"}, {*LEAST, "AmazonEKS_CNI_Policy"})],
)
def test_who_says_whose_rights_the_cni_uses_is_believed(
    monkeypatch: pytest.MonkeyPatch, warned: list[str], eks: Mapping[str, Any], found: set[str]
) -> None:
    assert policies(monkeypatch, RuntimeError("nobody asks"), **eks) == found
    assert warned == []


def test_nobody_is_asked_where_no_role_is_made(monkeypatch: pytest.MonkeyPatch, warned: list[str]) -> None:
    def asked(*_: Any) -> Any:
        raise AssertionError("asked")

    monkeypatch.setattr(vpc_cni, "ask_aws_now", asked)
    for settings in (
        settings_of(eks={**EKS, "nodeRoleArn": ARN}, **PRODUCTION),
        settings_of(kubeContext="kind", **PRODUCTION),
    ):
        assert vpc_cni.with_cni_role(settings) is settings
    assert settings.eks is None
    assert warned == []


def test_a_program_that_imports_the_component_keeps_the_rights_since_nobody_was_asked() -> None:
    eks = settings_of(eks=EKS, **PRODUCTION).eks
    assert eks is not None
    assert eks.cni_role is CniRole.AUTO
    assert set(node_policies(eks)) == {*LEAST, "AmazonEKS_CNI_Policy"}
