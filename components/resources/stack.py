"""Wire: between the stack's config and the component. The only place that reads config or makes providers."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components.advice.advice import Advice
from components.config.load import NAMESPACE, ConfigErrors
from components.config.plain_secrets import plain_secrets
from components.config.settings import Eks, Settings
from components.config.units import format_size
from components.decision import decide
from components.manifests import names, tls
from components.plan.plan import Plan
from components.plan.refusal import PlanRefused
from components.resources.enforcement import enforcement_faults
from components.resources.ip_family import cni_faults, has_ipv6, subnet_fault
from components.resources.sdk import ask_aws_now

KUBERNETES_MINOR_MIN = 32
"""Kubernetes 1.31 compares `matchLabelKeys` in pod anti-affinity without a feature gate; the kubelet of 1.32 is the
first that can be told to kill one process of a container for memory instead of all (docs/reference/aws.md)."""


def read_stack() -> tuple[Settings, Advice]:
    """Settings and plan of this stack; refuses, with every reason at once, before anything is registered."""
    prefix = f"{NAMESPACE}:"
    config = pulumi.runtime.config.get_config_env() | pulumi.runtime.config.CONFIG.get()
    own = {key.removeprefix(prefix): str(value) for key, value in config.items() if key.startswith(prefix)}
    # The engine names the encrypted ones in the environment, the Automation API directly.
    encrypted = set(pulumi.runtime.config.get_config_secret_keys_env())
    encrypted |= {f"{prefix}{key}" for key in own if pulumi.runtime.config.is_config_secret(f"{prefix}{key}")}
    plain = {key: value for key, value in own.items() if f"{prefix}{key}" not in encrypted}
    if faults := plain_secrets(plain):
        raise pulumi.RunError(_refusal(faults))
    try:
        decision = decide(own, config.get("aws:region"))
    except (ConfigErrors, PlanRefused) as refusal:
        raise pulumi.RunError(_refusal(refusal.messages)) from None
    for warning in decision.advice.warnings:
        pulumi.log.warn(str(warning))
    return decision.settings, decision.advice


def _refusal(messages: list[str]) -> str:
    count = "one fault" if len(messages) == 1 else f"{len(messages)} faults"
    lines = "\n".join(f"  {message}" for message in messages)
    return f"stack {pulumi.get_stack()}: {count} in its config, nothing was changed\n{lines}"


def kubernetes_provider(settings: Settings) -> k8s.Provider:
    """Provider for the stack's own cluster, never for whatever kubectl points at."""
    # Of Secrets whose name is given the content changes in place: by itself the provider would delete one and make it
    # anew, and a pod that starts in between would not find its certificate.
    if settings.eks is None:
        return k8s.Provider("kubernetes", context=settings.kube_context, enable_secret_mutable=True)
    cluster = ask_aws_now("eks/getCluster:getCluster", {"name": settings.eks.cluster_name})
    faults = [
        *_cluster_faults(settings.eks, cluster),
        *_subnet_faults(settings.eks, cluster),
        *enforcement_faults(settings),
    ]
    if faults:
        raise pulumi.RunError(_refusal(faults))
    return k8s.Provider(
        "kubernetes",
        kubeconfig=json.dumps(_kubeconfig(settings.eks.cluster_name, cluster)),
        # A cluster is the same one while its ARN is. Without this, an endpoint or a certificate authority that changes
        # would make the provider another one, and Pulumi would replace every object in it.
        cluster_identifier=cluster["arn"],
        enable_secret_mutable=True,
    )


def _cluster_faults(eks: Eks, cluster: Mapping[str, Any]) -> Iterator[str]:
    if int(cluster["version"].split(".")[1]) < KUBERNETES_MINOR_MIN:
        yield (
            f"{NAMESPACE}:eks.clusterName = {eks.cluster_name}: the cluster runs Kubernetes {cluster['version']}, and "
            f"1.{KUBERNETES_MINOR_MIN} or later is needed: its kubelet kills a snapshot's process alone when memory "
            "runs out, not the master with it; upgrade the cluster first"
        )
    yield from cni_faults(eks, cluster)


def _subnet_faults(eks: Eks, cluster: Mapping[str, Any]) -> Iterator[str]:
    for zone, subnet in sorted(eks.subnets.items()):
        answer = ask_aws_now("ec2/getSubnet:getSubnet", {"id": subnet})
        actual = answer["availabilityZone"]
        if actual != zone:
            yield f"{NAMESPACE}:eks.subnets.{zone} = {subnet}: that subnet lies in {actual}; swap the entries"
        if has_ipv6(cluster) and (fault := subnet_fault(zone, subnet, answer)) is not None:
            yield fault


def _kubeconfig(cluster_name: str, cluster: Mapping[str, Any]) -> dict[str, Any]:
    """How to reach the cluster: tokens come from the AWS CLI, as the same account that the stack's provider uses."""
    credentials = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "aws",
        "args": ["eks", "get-token", "--cluster-name", cluster_name, "--output", "json", *_aws_identity()],
    }
    server = {
        "server": cluster["endpoint"],
        "certificate-authority-data": cluster["certificateAuthorities"][0]["data"],
    }
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": cluster_name, "cluster": server}],
        "users": [{"name": "aws", "user": {"exec": credentials}}],
        "contexts": [{"name": "eks", "context": {"cluster": cluster_name, "user": "aws"}}],
        "current-context": "eks",
    }


def _aws_identity() -> Iterator[str]:
    """Region, profile and role of the stack's AWS provider, for the AWS CLI. Left out, the CLI would take a laptop's
    own, and ask another account for a cluster of that name."""
    aws = pulumi.Config("aws")
    roles = aws.get_object("assumeRoles") or [aws.get_object("assumeRole") or {}]
    role = roles[-1].get("roleArn")
    for option, value in (("--region", aws.get("region")), ("--profile", aws.get("profile")), ("--role-arn", role)):
        if value:
            yield from (option, value)


def headline(plan: Advice) -> dict[str, object]:
    """Stack outputs that show in a pull request's preview what an edit does to capacity and money."""
    sizing = plan.sizing
    figures: dict[str, object] = {
        "pool": plan.pool,
        "shape": f"{sizing.masters} masters + {sizing.replicas} replicas of {format_size(sizing.pod_memory_bytes)}",
        "usableMemory": format_size(sizing.usable_memory_bytes),
        "workingSetPercent": round(plan.working_set.own.memory_percent, 1),
        "capacityRequestsPerSecond": round(plan.capacity.ops_total),
        "predictedP95Ms": None if plan.latency.p95_ms is None else round(plan.latency.p95_ms, 1),
        "blastRadiusPercent": round(sizing.blast_radius_percent, 2),
        "promotionSeconds": plan.resilience.promotion_seconds,
        "reprotectionSeconds": plan.resilience.reprotection_seconds,
        "warnings": [finding.code for finding in plan.warnings],
    }
    if plan.nodes is not None and plan.cost is not None:
        figures |= {
            "nodes": f"{plan.nodes.nodes_total} x {plan.nodes.instance_type}",
            "usdPerMonth": round(plan.cost.infrastructure_usd),
            "crossZoneTrafficUsdPerMonth": round(plan.cost.cross_zone[0].total_usd),
        }
    return figures


def discovery_addresses(settings: Settings, plan: Plan) -> list[str]:
    """host:port of the pool's headless Services, for clients that want more than one name to start from."""
    hosts = (
        names.service_host(names.set_name(copy), plan.pool, settings.cluster_domain)
        for copy in range(plan.sizing.copies_per_shard)
    )
    return [f"{host}:{tls.endpoint_port(settings.tls.mode)}" for host in hosts]
