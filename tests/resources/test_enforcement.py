"""Policies that nobody enforces hold nobody back, so the program asks, and says what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
import pytest

from components.config.load import settings_of
from components.resources import enforcement, vpc_cni
from tests.plan.stacks import CLIENTS, PRODUCTION

EKS = {"clusterName": "shop", "subnets": {f"us-east-1{letter}": f"subnet-{letter}" for letter in "abc"}}
ON = '{"enableNetworkPolicy": "true", "env": {"WARM_ENI_TARGET": "1"}}'


@pytest.fixture
def warned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    texts: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", texts.append)
    return texts


def faults(monkeypatch: pytest.MonkeyPatch, answer: str | Exception | None, **config: Any) -> list[str]:
    """What is said where the add-on has these configuration values."""

    def asked(token: str, question: Mapping[str, Any]) -> Mapping[str, Any]:
        assert (token, question) == ("eks/getAddon:getAddon", {"clusterName": "shop", "addonName": "vpc-cni"})
        if isinstance(answer, Exception):
            raise answer
        return {"configurationValues": answer}

    monkeypatch.setattr(vpc_cni, "ask_aws_now", asked)
    safe = {**PRODUCTION, "access": CLIENTS | config.pop("access", {})}
    return list(enforcement.enforcement_faults(settings_of(eks=EKS, **safe, **config)))


@pytest.mark.parametrize("values", [ON, '{"enableNetworkPolicy": true}', '{"enableNetworkPolicy": "True"}'])
def test_where_the_add_on_enforces_policies_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch, warned: list[str], values: str
) -> None:
    assert faults(monkeypatch, values) == []
    assert faults(monkeypatch, values, nodes={"production": False}) == []
    assert warned == []


@pytest.mark.parametrize("values", [None, "", "{}", '{"enableNetworkPolicy": "false"}', "[1]", "not JSON"])
def test_where_it_does_not_production_is_refused_with_the_command_that_turns_it_on(
    monkeypatch: pytest.MonkeyPatch, warned: list[str], values: str | None
) -> None:
    (fault,) = faults(monkeypatch, values)
    assert fault.startswith("redis-image-cache:access.policiesEnforcedBy = auto: the add-on vpc-cni of cluster shop")
    assert "aws eks update-addon --cluster-name shop --addon-name vpc-cni" in fault
    assert """--configuration-values '{"enableNetworkPolicy": "true"}'""" in fault
    assert warned == []


def test_outside_production_it_is_a_warning(monkeypatch: pytest.MonkeyPatch, warned: list[str]) -> None:
    assert faults(monkeypatch, None, nodes={"production": False}) == []
    assert len(warned) == 1
    assert "does not enforce NetworkPolicies" in warned[0]


def test_an_add_on_that_is_not_there_or_may_not_be_asked_is_no_yes(
    monkeypatch: pytest.MonkeyPatch, warned: list[str]
) -> None:
    (fault,) = faults(monkeypatch, RuntimeError("ResourceNotFoundException: No addon: vpc-cni found in cluster: shop"))
    assert "cannot be asked: ResourceNotFoundException" in fault


@pytest.mark.parametrize("enforcer", ["calico", "cilium", "other", "nobody"])
def test_who_names_another_enforcer_or_nobody_is_believed(
    monkeypatch: pytest.MonkeyPatch, warned: list[str], enforcer: str
) -> None:
    assert faults(monkeypatch, RuntimeError("nobody asks"), access={"policiesEnforcedBy": enforcer}) == []
    assert warned == []
