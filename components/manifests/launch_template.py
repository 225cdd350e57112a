"""The launch template that all nodes of a pool start from. Pure."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from components.manifests.manifest import AwsManifest, Ref
from components.plan.nodes.catalogue import NODE_ROOT_VOLUME_GIB
from components.plan.nodes.choice import NodePlan

_BOUNDARY = "NODECONFIG"


def user_data_base64(nodes: NodePlan) -> str:
    """A node's start-up document (nodeadm, Amazon Linux 2023), merged by EKS before its own.

    `vm.overcommit_memory` is 1 on this AMI already; Redis turns transparent huge pages off for itself, the shell
    part does it for the fork's child too.
    """
    kubelet: dict[str, Any] = {
        # With cgroup v2 a kubelet kills all processes of a container together when its memory runs out. While a full
        # resync is sent that would take the master with the snapshot's process, at the only time when its replica has
        # no copy of the data. This goes back to killing the one process that `oom-score-adj-values` puts first.
        "singleProcessOOMKill": True
    }
    if nodes.system_reserved_cpu_millicores:
        kubelet["systemReserved"] = {"cpu": f"{nodes.system_reserved_cpu_millicores}m"}
    node = {"kubelet": {"maxPodsExpression": nodes.max_pods_expression, "config": kubelet}}
    config = {"apiVersion": "node.eks.aws/v1alpha1", "kind": "NodeConfig", "spec": node}
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


TEMPLATE = "template"


NODE_KMS_KEY_ARN = Ref("nodeKmsKey", "arn")


def launch_template(
    nodes: NodePlan, tags: Mapping[str, str], node_tags: Mapping[str, Any], has_own_key: bool
) -> AwsManifest:
    """The launch template all zones share. No security group: with one here EKS would leave out its own.

    The root volume is encrypted in any case, with NODE_KMS_KEY_ARN where there is an own key.
    """
    return AwsManifest(
        TEMPLATE,
        "ec2/launchTemplate:LaunchTemplate",
        {
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
                        **({"kmsKeyId": NODE_KMS_KEY_ARN} if has_own_key else {}),
                        "deleteOnTermination": "true",
                    },
                }
            ],
            "tagSpecifications": [
                {"resourceType": kind, "tags": dict(node_tags)} for kind in ("instance", "volume") if node_tags
            ],
            "tags": tags,
        },
        computed=("latestVersion",),
    )
