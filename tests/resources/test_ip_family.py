"""A cluster whose pods have IPv6 addresses is taken as it is, and refused before anything is made where they would get
none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
import pytest

from components.config.load import settings_of
from components.resources import enforcement, stack, vpc_cni
from tests.plan.stacks import PRODUCTION

ZONES = {f"subnet-{letter}": f"us-east-1{letter}" for letter in "abc"}
EKS = {"clusterName": "shop", "subnets": {zone: subnet for subnet, zone in ZONES.items()}}
ARN = "arn:aws:iam::123456789012:role/cni"
ENFORCES = {"configurationValues": '{"enableNetworkPolicy": "true"}'}
HAS_ROLE = {"serviceAccountRoleArn": ARN, **ENFORCES}


def refused(
    monkeypatch: pytest.MonkeyPatch,
    *,
    family: str = "ipv6",
    without_block: tuple[str, ...] = (),
    add_on: Mapping[str, Any] = HAS_ROLE,
    **eks: Any,
) -> str:
    """Why the stack is refused where AWS answers this; empty where it is not."""

    def asked(what: str, question: Mapping[str, Any]) -> Mapping[str, Any]:
        if what == "eks/getCluster:getCluster":
            return {
                "version": "1.34",
                "arn": "arn:aws:eks:us-east-1:1:cluster/shop",
                "endpoint": "https://eks.invalid",
                "certificateAuthorities": [{"data": ""}],
                "kubernetesNetworkConfigs": [{"ipFamily": family}],
            }
        if what == "ec2/getSubnet:getSubnet":
            subnet = question["id"]
            block = "" if subnet in without_block else "2600:1f18:1:2::/64"
            return {"id": subnet, "availabilityZone": ZONES[subnet], "ipv6CidrBlock": block}
        assert what == "eks/getAddon:getAddon"
        return add_on

    for module in (stack, vpc_cni):
        monkeypatch.setattr(module, "ask_aws_now", asked)
    monkeypatch.setattr(enforcement, "describe_add_on", vpc_cni.describe_add_on)
    monkeypatch.setattr(stack.k8s, "Provider", lambda *_, **__: None)
    settings = settings_of(eks={**EKS, **eks}, **PRODUCTION)
    try:
        stack.kubernetes_provider(settings)
    except pulumi.RunError as refusal:
        return str(refusal)
    return ""


def test_a_cluster_of_either_family_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused(monkeypatch) == ""
    assert refused(monkeypatch, family="ipv4", without_block=tuple(ZONES), add_on=ENFORCES) == ""


def test_every_subnet_without_ipv6_addresses_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    text = refused(monkeypatch, without_block=("subnet-a", "subnet-c"))
    assert "2 faults" in text
    assert "eks.subnets.us-east-1a = subnet-a: the cluster gives its pods IPv6 addresses" in text
    assert "eks.subnets.us-east-1c = subnet-c: " in text
    assert "associate one with it, or name another subnet of the zone" in text


@pytest.mark.parametrize(
    ("eks", "why"),
    [
        ({}, "eks.cniRole = auto: the add-on vpc-cni of cluster shop has no role of its own"),
        ({"cniRole": "node"}, "eks.cniRole = node: it is to use the nodes' role"),
    ],
)
def test_where_the_cni_has_no_role_of_its_own_no_pod_would_get_an_address(
    monkeypatch: pytest.MonkeyPatch, eks: Mapping[str, Any], why: str
) -> None:
    text = refused(monkeypatch, add_on=ENFORCES, **eks)
    assert why in text
    assert "ec2:AssignIpv6Addresses" in text
    assert refused(monkeypatch, family="ipv4", add_on=ENFORCES, **eks) == ""


@pytest.mark.parametrize("eks", [{"cniRole": "own"}, {"nodeRoleArn": ARN}])
def test_who_says_that_there_is_such_a_role_is_believed(
    monkeypatch: pytest.MonkeyPatch, eks: Mapping[str, Any]
) -> None:
    assert refused(monkeypatch, add_on=ENFORCES, **eks) == ""
