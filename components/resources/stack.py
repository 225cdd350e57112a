"""Wire: between the stack's config and the component. The only place that reads config or makes providers."""

import json

import pulumi
import pulumi_kubernetes as k8s

from components.advice.advice import Advice
from components.config.load import NAMESPACE, ConfigErrors
from components.config.settings import Eks, Settings
from components.config.units import format_size
from components.decision import decide
from components.manifests import names
from components.plan.plan import Plan
from components.plan.refusal import PlanRefused
from components.resources.sdk import ask_aws

KUBERNETES_MINOR_MIN = 31
"""Kubernetes 1.31 compares `matchLabelKeys` in pod anti-affinity without a feature gate."""


def read_stack() -> tuple[Settings, Advice]:
    """Settings and plan of this stack; refuses, with every reason at once, before anything is registered."""
    prefix = f"{NAMESPACE}:"
    config = pulumi.runtime.config.get_config_env() | pulumi.runtime.config.CONFIG.get()
    own = {key.removeprefix(prefix): str(value) for key, value in config.items() if key.startswith(prefix)}
    try:
        decision = decide(own)
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
    if settings.eks is None:
        return k8s.Provider("kubernetes", context=settings.kube_context)
    return k8s.Provider("kubernetes", kubeconfig=_eks_kubeconfig(settings.eks))


def _eks_kubeconfig(eks: Eks) -> str:
    """Looks the EKS cluster up, checks that it and its subnets are what the config says, and says how to reach it."""
    cluster = ask_aws("eks/getCluster:getCluster", {"name": eks.cluster_name})
    faults = []
    if int(cluster["version"].split(".")[1]) < KUBERNETES_MINOR_MIN:
        faults.append(
            f"{NAMESPACE}:eks.clusterName = {eks.cluster_name}: the cluster runs Kubernetes "
            f"{cluster['version']}, and keeping the copies of a shard apart needs 1.{KUBERNETES_MINOR_MIN} or later; "
            "upgrade the cluster first"
        )
    for zone, subnet in sorted(eks.subnets.items()):
        actual = ask_aws("ec2/getSubnet:getSubnet", {"id": subnet})["availabilityZone"]
        if actual != zone:
            faults.append(f"{NAMESPACE}:eks.subnets.{zone} = {subnet}: that subnet lies in {actual}; swap the entries")
    if faults:
        raise pulumi.RunError(_refusal(faults))
    command = ["eks", "get-token", "--cluster-name", eks.cluster_name, "--output", "json"]
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": eks.cluster_name,
                    "cluster": {
                        "server": cluster["endpoint"],
                        "certificate-authority-data": cluster["certificateAuthorities"][0]["data"],
                    },
                }
            ],
            "users": [
                {
                    "name": "aws",
                    "user": {
                        "exec": {
                            "apiVersion": "client.authentication.k8s.io/v1beta1",
                            "command": "aws",
                            "args": command,
                        }
                    },
                }
            ],
            "contexts": [{"name": "eks", "context": {"cluster": eks.cluster_name, "user": "aws"}}],
            "current-context": "eks",
        }
    )


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


def discovery_addresses(plan: Plan) -> list[str]:
    """host:port of the pool's headless Services, for clients that want more than one name to start from."""
    copies = plan.sizing.copies_per_shard
    return [f"{names.service_host(names.set_name(copy), plan.pool)}:{names.REDIS_PORT}" for copy in range(copies)]
