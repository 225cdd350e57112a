"""What AWS is asked for: the node groups' launch template and the nodes' IAM role. Pure functions."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from components.nodes import NodePlan

NODE_POLICIES = ("AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryPullOnly")
"""The managed policies EKS's documentation asks of a node role."""
ROOT_VOLUME_GIB = 50
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
        "instance_type": nodes.instance_type,
        "update_default_version": True,
        "user_data": user_data_base64(nodes),
        "metadata_options": {
            # One hop: a pod cannot reach the node's credentials.
            "http_endpoint": "enabled",
            "http_tokens": "required",
            "http_put_response_hop_limit": 1,
        },
        "block_device_mappings": [
            {
                "device_name": "/dev/xvda",
                "ebs": {
                    "volume_size": ROOT_VOLUME_GIB,
                    "volume_type": "gp3",
                    "encrypted": "true",
                    "delete_on_termination": "true",
                },
            }
        ],
        "tag_specifications": [
            {"resource_type": kind, "tags": dict(tags)} for kind in ("instance", "volume") if tags
        ],
    }
