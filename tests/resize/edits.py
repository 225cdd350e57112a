"""Edits of every config key, and what each would do to a living stack."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from functools import lru_cache

from components.manifests.authority import certificate_files
from preview.evaluate import Evaluation, evaluate
from tests.resize.pulumi_rules import faults

SUBNETS = {"us-east-1a": "subnet-0a1b2c3d4e5f60001", "us-east-1b": "subnet-0a1b2c3d4e5f60002"}
C = {"us-east-1c": "subnet-0a1b2c3d4e5f60003"}
D = {"us-east-1d": "subnet-0a1b2c3d4e5f60004"}
PLAIN = {"tls.mode": "plain", "tls.plainBecause": "the nodes encrypt what they send"}
AUTHORITY = certificate_files("an authority of the tests", ["x"], date(2026, 1, 1))["ca.crt"]

EDITS: Mapping[str, tuple[Mapping[str, str], ...]] = {
    "podMemory": ({"podMemory": "128GB"}, {"podMemory": "32GB"}),
    "totalMemory": ({"totalMemory": "768GB"}, {"totalMemory": "1536GB"}),
    "replicasPerMaster": ({"replicasPerMaster": "2"},),
    "podCpuMillicores": ({"podCpuMillicores": "600"},),
    "clusterDomain": ({"clusterDomain": "k8s.example.com"},),
    "protect": ({"protect": "false"},),
    "workload.requestsPerSecond": ({"workload.requestsPerSecond": "4000"},),
    "workload.objectBytes": ({"workload.objectBytes": "500000"},),
    "workload.ttlSeconds": ({"workload.ttlSeconds": "200"},),
    "workload.hitRate": ({"workload.hitRate": "0.9"},),
    "workload.dutyCycle": ({"workload.dutyCycle": "0.3"},),
    "workload.p95LatencyMs": ({"workload.p95LatencyMs": "300"},),
    "eks.subnets": (
        {"eks.subnets": json.dumps(SUBNETS | D)},
        {"eks.subnets": json.dumps(SUBNETS | C | D)},
        {"eks.subnets": json.dumps(SUBNETS | {"us-east-1c": "subnet-0a1b2c3d4e5f69999"})},
    ),
    "eks.nodeRoleArn": ({"eks.nodeRoleArn": "arn:aws:iam::111122223333:role/nodes"},),
    "eks.cniRole": ({"eks.cniRole": "node"}, {"eks.cniRole": "own"}),
    "eks.nodeKmsKeyArn": (
        {"eks.nodeKmsKeyArn": "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"},
    ),
    "eks.tags": ({"eks.tags": '{"team": "pictures"}'},),
    "nodes.instanceType": ({"nodes.instanceType": "r7i.12xlarge"}, {"nodes.instanceType": "r7g.16xlarge"}),
    "nodes.architecture": ({"nodes.architecture": "x86_64"}, {"nodes.architecture": "arm64"}),
    "nodes.packing": ({"nodes.packing": "requests"},),
    "nodes.capacityType": ({"nodes.capacityType": "spot", "nodes.production": "false"},),
    "nodes.production": ({"nodes.production": "false"},),
    "nodes.placement": ({"nodes.placement": "preferred", "nodes.production": "false"},),
    "nodes.transitEncryption": ({"nodes.transitEncryption": "true"},),
    "nodes.allowFewerZones": ({"nodes.allowFewerZones": "true", "eks.subnets": json.dumps(SUBNETS)},),
    "nodes.sparePerZone": ({"nodes.sparePerZone": "1"},),
    "storage.size": ({"storage.size": "20GB"},),
    "storage.iops": ({"storage.iops": "4000"},),
    "storage.throughputMibPerSecond": ({"storage.throughputMibPerSecond": "250"},),
    "storage.kmsKeyId": ({"storage.kmsKeyId": "alias/images"},),
    "storage.className": ({"storage.className": "gp3"}, {"storage.className": "gp3.fast"}),
    "monitoring.exporter": ({"monitoring.exporter": "true"},),
    "monitoring.prometheus": ({"monitoring.exporter": "true", "monitoring.prometheus": "operator"},),
    "monitoring.release": (
        {"monitoring.exporter": "true", "monitoring.prometheus": "operator", "monitoring.release": "prometheus"},
    ),
    "monitoring.allowFromNamespaces": (
        {"monitoring.exporter": "true", "monitoring.allowFromNamespaces": '["prometheus"]'},
    ),
    "monitoring.pushgateway": ({"monitoring.pushgateway": "prometheus-pushgateway.monitoring:9091"},),
    "monitoring.runbookUrl": ({"monitoring.exporter": "true", "monitoring.runbookUrl": "https://wiki/redis"},),
    "access.password": ({"access.password": "correct-horse-battery"},),
    "access.alsoAccepted": ({"access.alsoAccepted": "battery-staple-horse"},),
    "access.keyPrefix": ({"access.keyPrefix": "images:"},),
    "access.scripts": ({"access.scripts": "the shop counts in Lua"},),
    "access.defaultUser": ({"access.defaultUser": "app"}, {"access.defaultUser": "everything"}),
    "access.allowFromNamespaces": ({"access.allowFromNamespaces": '["images", "shop"]'},),
    "access.allowFromPods": ({"access.allowFromPods": '["web/app=shop"]'},),
    "access.deliverTo": ({"access.deliverTo": '["images"]'},),
    "access.policiesEnforcedBy": ({"access.policiesEnforcedBy": "cilium"},),
    "access.nodeEndpoint": ({"access.nodeEndpoint": "ip", **PLAIN},),
    "tls.mode": ({"tls.mode": "both"}, PLAIN, {"tls.mode": "required", "tls.secret": "images-redis-tls"}),
    "tls.plainBecause": (PLAIN,),
    "tls.issuer": ({"tls.mode": "both", "tls.issuer": "redis-ca"},),
    "tls.issuerKind": ({"tls.mode": "both", "tls.issuer": "redis-ca", "tls.issuerKind": "Issuer"},),
    "tls.issuerGroup": ({"tls.mode": "both", "tls.issuer": "redis-ca", "tls.issuerGroup": "awspca.cert-manager.io"},),
    "tls.secret": ({"tls.mode": "both", "tls.secret": "images-redis-tls"},),
    "tls.authority": ({"tls.mode": "both", "tls.issuer": "redis-ca", "tls.authority": AUTHORITY},),
    "tls.clientCertificates": ({"tls.mode": "both", "tls.issuer": "redis-ca", "tls.clientCertificates": "required"},),
    "images.redis": ({"images.redis": "redis:8.2-alpine"},),
    "images.redisVersion": ({"images.redisVersion": "redis 7.4.11"},),
    "images.python": ({"images.python": "python:3.12-alpine"},),
    "images.exporter": ({"images.exporter": "oliver006/redis_exporter:v1.75.0", "monitoring.exporter": "true"},),
    "images.registry": ({"images.registry": "mirror.example.com/docker-hub"},),
    "images.pullSecrets": ({"images.pullSecrets": '["registry-login"]'},),
    "images.tagsBecause": ({"images.tagsBecause": "the registry lets nobody move a tag"},),
    "resize.mode": ({"resize.mode": "expire"},),
    "resize.maxMibPerSecond": ({"resize.maxMibPerSecond": "500"},),
    "resize.extraMissesPerSecond": ({"resize.extraMissesPerSecond": "100"},),
    "validation.enabled": ({"validation.enabled": "true"},),
    "validation.requestsPerSecond": ({"validation.enabled": "true", "validation.requestsPerSecond": "100"},),
    "validation.seconds": ({"validation.enabled": "true", "validation.seconds": "60"},),
    "validation.p95LatencyMs": ({"validation.enabled": "true", "validation.p95LatencyMs": "100"},),
}
"""Key -> edits of stack prod that change it."""

ANOTHER_CLUSTER = {"eks.clusterName", "kubeContext"}
"""They name another Kubernetes cluster. No pod there can join the Redis Cluster here: that is no edit of a living cache
but a second one, and the runbook says how to have both."""


@lru_cache(maxsize=256)  # every edit, for all tests of a process: 2.5 MB and most of a second each
def evaluated(edit: tuple[tuple[str, str], ...], node_groups: tuple[tuple[str, int], ...] = ()) -> Evaluation:
    return evaluate("prod", dict(edit), node_groups=dict(node_groups))


def frozen(*edits: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted({key: value for edit in edits for key, value in edit.items()}.items()))


def edited(before: Evaluation, edit: tuple[tuple[str, str], ...]) -> Evaluation:
    """The stack after an edit, as it is evaluated while the node groups of `before` are there."""
    living = {
        f"{item.name}-0123456": item.inputs["scalingConfig"]["desiredSize"]
        for item in before.resources
        if item.kind == "NodeGroup"
    }
    return evaluated(edit, tuple(sorted(living.items())))


def assert_safe(first: Mapping[str, str], second: Mapping[str, str]) -> Evaluation:
    """From one config to the other and back; the stack in between."""
    before = evaluated(frozen(first))
    after = edited(before, frozen(second))
    assert faults(before, after) == [], f"{first} -> {second}"
    assert faults(after, edited(after, frozen(first))) == [], f"{second} -> {first}"
    return after
