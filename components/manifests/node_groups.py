"""The EKS node groups of a pool, one for each zone, and the role of their nodes. Pure."""

import json
from collections.abc import Mapping
from typing import Any

from components.config.choices import CapacityType, CniRole
from components.config.settings import Eks
from components.manifests import names
from components.manifests.launch_template import TEMPLATE, launch_template
from components.manifests.manifest import AwsManifest, Ref
from components.plan.nodes.choice import NodePlan, ZoneNodes
from components.plan.pool_name import digest

_NODE_POLICIES = ("AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly")
"""What every node needs: to find itself and to give pods their identity; to fetch the images of EKS's add-ons."""
CNI_POLICY = "AmazonEKS_CNI_Policy"
"""It may attach, detach and delete network interfaces of the whole account. The VPC CNI needs it, and takes it from the
node's role where it has no role of its own."""
CLUSTER_NAME, NODE_ROLE_ARN = Ref("cluster"), Ref("role", "arn")
NODE_NAME_TAG = Ref("node", "tag")
_CAPACITY = {CapacityType.ON_DEMAND: "ON_DEMAND", CapacityType.SPOT: "SPOT"}


def node_policies(eks: Eks) -> tuple[str, ...]:
    """The managed policies of a node role that is made here.

    Where nobody was asked about the VPC CNI (`auto`), it may depend on the node's role, and without these rights no pod
    of a new node would have a network.
    """
    return _NODE_POLICIES if eks.cni_role is CniRole.OWN else (*_NODE_POLICIES, CNI_POLICY)


def node_manifests(pool: str, eks: Eks, nodes: NodePlan) -> tuple[AwsManifest, ...]:
    """Role (unless one is given), launch template, and a managed node group in each zone, tainted for one pool.

    One group a zone because an EBS volume is zonal: a group over several zones may replace a node in the wrong
    one. The type stands in the launch template, where a change rolls the nodes instead of replacing the group.
    """
    tags = {"redis-image-cache/pool": pool, **eks.tags}
    role = () if eks.node_role_arn is not None else _node_role(tags, node_policies(eks))
    has_own_key = eks.node_kms_key_arn is not None
    made = [*role, launch_template(nodes, tags, {"Name": NODE_NAME_TAG, **tags}, has_own_key)]
    after = [item.key for item in role[1:]]
    for zone in nodes.zones:
        made.append(_node_group(pool, eks, nodes, zone, tags, tuple(after)))
        # One zone after the other. All at once, every zone would drain a node, and since the pods' disruption budget
        # lets one pod of the cache go at a time, each would wait for the others' pods to be in sync again: longer than
        # the 15 minutes after which EKS gives a node up (docs/adr/0006).
        after = [made[-1].key]
    return tuple(made)


def node_set(eks: Eks, nodes: NodePlan) -> str:
    """Names the node groups that have the same fields of those EKS cannot change on an existing group: subnets, AMI
    type, capacity type, role. Another value makes new groups, and the pods move to them before the old ones go."""
    subnets = [eks.subnets[zone] for zone in sorted(eks.subnets)]
    return digest(*subnets, nodes.ami_type, nodes.capacity_type, eks.node_role_arn or "")


def group_key(eks: Eks, nodes: NodePlan, zone: str) -> str:
    """Key of a zone's node group. What EKS cannot change on a group stands in its name: groups that replace others are
    made first, the pods roll over to them, and the old ones go last, empty."""
    return f"{node_set(eks, nodes)}-{zone}"


def wanted_size(zone: ZoneNodes, living: int) -> int:
    """Nodes of a group that has `living` of them now, 0 when there is none. It only grows here: EKS picks the nodes
    that go, empty or not, and ends them after 15 minutes whatever still runs there (docs/adr/0006)."""
    return max(zone.nodes, living)


def largest_size(wanted: int) -> int:
    """How many nodes a group may have for a while: room for one more while one is drained."""
    return wanted + 1


def _node_group(
    pool: str, eks: Eks, nodes: NodePlan, zone: ZoneNodes, tags: Mapping[str, str], after: tuple[str, ...]
) -> AwsManifest:
    key = group_key(eks, nodes, zone.zone)
    size = Ref(key, "size")
    return AwsManifest(
        key,
        "eks/nodeGroup:NodeGroup",
        {
            "clusterName": CLUSTER_NAME,
            "amiType": nodes.ami_type,
            "capacityType": _CAPACITY[nodes.capacity_type],
            # One more than wanted may be added while a node is drained, by hand or by a cluster autoscaler; the evicted
            # pods' volumes keep them in the zone (docs/adr/0017).
            "scalingConfig": {"minSize": zone.nodes, "desiredSize": size, "maxSize": Ref(key, "largestSize")},
            # One node at a time: its pods hand over first, and the next waits until they are back in sync.
            "updateConfig": {"maxUnavailable": 1},
            # A machine that stays without answer for half an hour is replaced, not only one that EC2 itself finds
            # broken (docs/reference/aws.md).
            "nodeRepairConfig": {"enabled": True},
            "labels": {names.POOL_LABEL: pool, names.NODES_LABEL: node_set(eks, nodes)},
            "taints": [{"key": names.POOL_LABEL, "value": pool, "effect": "NO_SCHEDULE"}],
            "nodeRoleArn": NODE_ROLE_ARN,
            "subnetIds": [subnet_id(zone.zone)],
            "launchTemplate": {"id": Ref(TEMPLATE, "id"), "version": Ref(TEMPLATE, "latestVersion")},
            "tags": tags,
        },
        after=after,
        computed=("nodeGroupName",),
    )


def _node_role(tags: Mapping[str, str], policies: tuple[str, ...]) -> tuple[AwsManifest, ...]:
    """The nodes' role, and the policies it must have before a node may use it."""
    return (
        AwsManifest(
            "role",
            "iam/role:Role",
            {"assumeRolePolicy": _trust_policy(), "tags": tags},
            computed=("arn", "name"),
        ),
        *(
            AwsManifest(
                f"role-{policy}",
                "iam/rolePolicyAttachment:RolePolicyAttachment",
                {"role": Ref("role", "name"), "policyArn": Ref(policy, "policyArn")},
            )
            for policy in policies
        ),
    )


def subnet_id(zone: str) -> Ref:
    """The subnet of a zone."""
    return Ref(f"subnet-{zone}", "id")


def policy_arn(policy: str, partition: str) -> str:
    """A managed policy of AWS, in the partition in force: `aws`, `aws-cn`, `aws-us-gov`."""
    return f"arn:{partition}:iam::aws:policy/{policy}"


def _trust_policy() -> str:
    """Lets EC2, and nothing else, take the node role."""
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"Service": "ec2.amazonaws.com"},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
