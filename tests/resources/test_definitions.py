"""A cluster without the operator's kinds is found out before anything of the pool is made."""

from __future__ import annotations

import contextlib
from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks

from components.config.load import settings_of
from components.manifests.custom_kinds import custom_kinds
from components.manifests.pool import pool_manifests
from components.plan.plan import derive_plan
from components.resources.arguments import RedisImageCacheClusterArgs
from components.resources.cluster import RedisImageCacheCluster
from components.resources.definitions import missing
from preview.engine import record
from preview.provider import OfflineProvider
from tests.plan.stacks import PRODUCTION


class _NotThereError(Exception):
    """As the engine says it."""


OPERATOR = {"exporter": True, "prometheus": "operator"}
BY_CERT_MANAGER = {"mode": "required", "issuer": "redis-ca"}


def definitions(**config: Any) -> set[str]:
    settings = settings_of(kubeContext="kind", **{**PRODUCTION, **config})
    return {kind.definition for kind in custom_kinds(pool_manifests(settings, derive_plan(settings)))}


@pytest.mark.parametrize(
    ("config", "asked_for"),
    [
        ({}, set()),
        ({"monitoring": {"exporter": True}}, set()),
        ({"monitoring": {"prometheus": "operator"}}, set()),
        (
            {"monitoring": OPERATOR},
            {"podmonitors.monitoring.coreos.com", "prometheusrules.monitoring.coreos.com"},
        ),
        ({"tls": BY_CERT_MANAGER}, {"certificates.cert-manager.io"}),
        ({"tls": {"mode": "required", "secret": "images-redis-tls"}}, set()),
    ],
)
def test_only_kinds_that_kubernetes_has_not_by_itself_are_asked_for(config: Any, asked_for: set[str]) -> None:
    assert definitions(**config) == asked_for


def registered(monkeypatch: pytest.MonkeyPatch, known: set[str]) -> tuple[list[str], list[str]]:
    """Logical names of what is made of a cluster with these definitions, and what is said."""
    said: list[str] = []
    made: list[str] = []
    new_resource = OfflineProvider.new_resource

    def answer(self: OfflineProvider, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        if args.resource_id and args.resource_id not in known:
            raise _NotThereError(f"resource '{args.resource_id}' does not exist")
        if not args.resource_id:
            made.append(args.name)
        return new_resource(self, args)

    monkeypatch.setattr(OfflineProvider, "new_resource", answer)
    monkeypatch.setattr(pulumi.log, "error", said.append)
    settings = settings_of(kubeContext="kind", **PRODUCTION, monitoring=OPERATOR)

    def program() -> None:
        RedisImageCacheCluster("images", RedisImageCacheClusterArgs(settings))

    with contextlib.suppress(_NotThereError):
        record(program, "redis-image-cache", "prod")
    return made, said


def test_where_the_cluster_has_the_operator_everything_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    made, said = registered(monkeypatch, definitions(monitoring=OPERATOR))
    assert said == []
    assert any(name.endswith("-pod-monitor") for name in made)


@pytest.mark.parametrize("lacking", sorted(definitions(monitoring=OPERATOR)))
def test_where_it_lacks_a_kind_nothing_of_the_pool_is_made_and_it_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    made, said = registered(monkeypatch, definitions(monitoring=OPERATOR) - {lacking})
    assert not [name for name in made if name.startswith("images-redis-64gb-")]
    (text,) = said
    assert text.startswith("redis-image-cache:monitoring.prometheus = operator: the cluster does not show the kind ")
    assert f"(CustomResourceDefinition {lacking})" in text
    assert text.endswith("install the Prometheus operator first, or set monitoring.prometheus: annotations")


def test_every_kind_has_its_setting_and_a_remedy() -> None:
    settings = settings_of(kubeContext="kind", **{**PRODUCTION, "tls": BY_CERT_MANAGER}, monitoring=OPERATOR)
    kinds = custom_kinds(pool_manifests(settings, derive_plan(settings)))
    assert [kind.kind for kind in kinds] == ["Certificate", "PodMonitor", "PrometheusRule"]
    assert all(kind.setting in missing(kind) and kind.remedy in missing(kind) for kind in kinds)
