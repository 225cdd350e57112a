"""Wire: what a cluster whose pods have IPv6 addresses must have, asked of AWS before anything is registered."""

from collections.abc import Iterator, Mapping
from typing import Any

from components.config.choices import CniRole
from components.config.load import NAMESPACE
from components.config.settings import Eks
from components.manifests.node_groups import CNI_POLICY
from components.resources.vpc_cni import ADD_ON, depends_on_nodes


def has_ipv6(cluster: Mapping[str, Any]) -> bool:
    """Whether the pods of this EKS cluster have IPv6 addresses. They have no others then: none is dual-stack."""
    return any(network.get("ipFamily") == "ipv6" for network in cluster.get("kubernetesNetworkConfigs") or ())


def cni_faults(eks: Eks, cluster: Mapping[str, Any]) -> Iterator[str]:
    """Why pods of new nodes would have no addresses there. AWS has no managed policy for the VPC CNI with IPv6, so a
    node role that is made here cannot stand in for the add-on's own."""
    if not has_ipv6(cluster) or eks.node_role_arn is not None or eks.cni_role is CniRole.OWN:
        return
    found = "it is to use the nodes' role" if eks.cni_role is CniRole.NODE else depends_on_nodes(eks)
    if found is not None:
        yield (
            f"{NAMESPACE}:eks.cniRole = {eks.cni_role}: {found}, and {eks.cluster_name} gives its pods IPv6 addresses, "
            f"which {CNI_POLICY} does not allow; give the add-on {ADD_ON} a role of its own whose policy allows "
            "ec2:AssignIpv6Addresses (docs/reference/aws.md, IPv6), or name a role with it in eks.nodeRoleArn"
        )


def subnet_fault(zone: str, subnet: str, answer: Mapping[str, Any]) -> str | None:
    """Why a subnet has no addresses for the pods of an IPv6 cluster."""
    if answer.get("ipv6CidrBlock"):
        return None
    return (
        f"{NAMESPACE}:eks.subnets.{zone} = {subnet}: the cluster gives its pods IPv6 addresses, and that subnet has no "
        "IPv6 CIDR block; associate one with it, or name another subnet of the zone"
    )
