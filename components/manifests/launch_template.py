"""What AWS is asked for: the node groups' launch template and the nodes' IAM role. Pure functions."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from components.config.settings import CapacityType, Eks
from components.manifests import names
from components.plan.nodes.catalogue import NODE_ROOT_VOLUME_GIB
from components.plan.nodes.choice import NodePlan, ZoneNodes
from components.plan.pool_name import digest

NODE_POLICIES = ("AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryPullOnly")
"""The managed policies EKS's documentation asks of a node role."""
_CAPACITY = {CapacityType.ON_DEMAND: "ON_DEMAND", CapacityType.SPOT: "SPOT"}
_BOUNDARY = "NODECONFIG"


def node_role_trust_policy() -> str:
    """Lets EC2, and nothing else, take the node role."""
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}
            ],
        }
    )


def user_data_base64(nodes: NodePlan) -> str:
    """A node's start-up document (nodeadm, Amazon Linux 2023), merged by EKS before its own.

    `vm.overcommit_memory` is 1 on this AMI already; Redis turns transparent huge pages off for itself, the shell
    part does it for the fork's child too.
    """
    kubelet: dict[str, Any] = {"maxPodsExpression": nodes.max_pods_expression}
    if nodes.system_reserved_cpu_millicores:
        kubelet["config"] = {"systemReserved": {"cpu": f"{nodes.system_reserved_cpu_millicores}m"}}
    config = {"apiVersion": "node.eks.aws/v1alpha1", "kind": "NodeConfig", "spec": {"kubelet": kubelet}}
    document = "\n".join(
        [
            "MIME-Version: 1.0",
            f'Content-Type: multipart/mixed; boundary="{_BOUNDARY}"',
            "",
            f"--{_BOUNDARY}",
            'Content-Type: text/x-shellscript; charset="us-ascii"',
            "",
            "#!/bin/sh",
            "set -eu",
            "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
            f"--{_BOUNDARY}",
            "Content-Type: application/node.eks.aws",
            "",
            # JSON is YAML, and needs no second library here.
            json.dumps(config, indent=2),
            f"--{_BOUNDARY}--",
            "",
        ]
    )
    return base64.b64encode(document.encode()).decode()


def launch_template(nodes: NodePlan, tags: Mapping[str, str]) -> dict[str, Any]:
    """Inputs of the launch template all zones share. No security group: with one here EKS would leave out its own."""
    return {
        "instanceType": nodes.instance_type,
        "updateDefaultVersion": True,
        "userData": user_data_base64(nodes),
        "metadataOptions": {
            # One hop: a pod cannot reach the node's credentials.
            "httpEndpoint": "enabled",
            "httpTokens": "required",
            "httpPutResponseHopLimit": 1,
        },
        "blockDeviceMappings": [
            {
                "deviceName": "/dev/xvda",
                "ebs": {
                    "volumeSize": NODE_ROOT_VOLUME_GIB,
                    "volumeType": "gp3",
                    "encrypted": "true",
                    "deleteOnTermination": "true",
                },
            }
        ],
        "tagSpecifications": [{"resourceType": kind, "tags": dict(tags)} for kind in ("instance", "volume") if tags],
    }


def node_set(eks: Eks, nodes: NodePlan) -> str:
    """Names the node groups that have the same fields of those EKS cannot change on an existing group: subnets, AMI
    type, capacity type, role. Another value makes new groups, and the pods move to them before the old ones go."""
    subnets = [eks.subnets[zone] for zone in sorted(eks.subnets)]
    return digest(*subnets, nodes.ami_type, nodes.capacity_type, eks.node_role_arn or "")


def node_group(pool: str, eks: Eks, nodes: NodePlan, zone: ZoneNodes, living: int) -> dict[str, Any]:
    """Inputs of one zone's managed node group, beside those that other resources produce.

    `living` is how many nodes the group has now, 0 when there is none. It only grows here: EKS picks the nodes that
    go, empty or not, and ends them after 15 minutes whatever still runs there (docs/adr/0006).
    """
    size = max(zone.nodes, living)
    return {
        "clusterName": eks.cluster_name,
        "amiType": nodes.ami_type,
        "capacityType": _CAPACITY[nodes.capacity_type],
        "scalingConfig": {"minSize": zone.nodes, "desiredSize": size, "maxSize": size},
        # One node at a time: its pods hand over first, and the next waits until they are back in sync.
        "updateConfig": {"maxUnavailable": 1},
        "labels": {names.POOL_LABEL: pool, names.NODES_LABEL: node_set(eks, nodes)},
        "taints": [{"key": names.POOL_LABEL, "value": pool, "effect": "NO_SCHEDULE"}],
    }
