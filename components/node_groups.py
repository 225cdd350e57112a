"""Wire: the EKS node groups of one pool, one for each zone."""

import pulumi
import pulumi_aws as aws

from components import aws_inputs, names
from components.nodes import NodePlan
from components.sdk import LaunchTemplate
from components.settings import CapacityType, Eks

_CAPACITY = {CapacityType.ON_DEMAND: "ON_DEMAND", CapacityType.SPOT: "SPOT"}


class RedisNodeGroups(pulumi.ComponentResource):
    """A managed node group in each zone, tainted for one pool, all from one launch template.

    One group a zone because an EBS volume is zonal: a group over several zones may replace a node in the wrong
    one. The type stands in the launch template, where a change rolls the nodes instead of replacing the group.
    """

    groups: dict[str, aws.eks.NodeGroup]
    """Zone -> node group."""

    def __init__(
        self,
        name: str,
        pool: str,
        eks: Eks,
        nodes: NodePlan,
        capacity_type: CapacityType,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("redis-image-cache:index:RedisNodeGroups", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        tags = {"redis-image-cache/pool": pool, **eks.tags}
        role_arn, role_ready = _node_role(name, eks, tags, child)
        node_tags = {"Name": f"{eks.cluster_name}-{pool}", **tags}
        template = LaunchTemplate(
            f"{name}-template", aws_inputs.launch_template(nodes, node_tags) | {"tags": tags}, child
        )
        self.groups = {
            zone.zone: aws.eks.NodeGroup(
                f"{name}-{zone.zone}",
                cluster_name=eks.cluster_name,
                node_role_arn=role_arn,
                subnet_ids=[eks.subnets[zone.zone]],
                ami_type=nodes.ami_type,
                capacity_type=_CAPACITY[capacity_type],
                launch_template={
                    "id": template.id,
                    "version": template.latestVersion.apply(lambda version: str(int(version))),
                },
                scaling_config={"min_size": zone.nodes, "desired_size": zone.nodes, "max_size": zone.nodes},
                # One node at a time: its pods hand over first, and the next waits until they are back in sync.
                update_config={"max_unavailable": 1},
                labels={names.POOL_LABEL: pool},
                taints=[{"key": names.POOL_LABEL, "value": pool, "effect": "NO_SCHEDULE"}],
                tags=tags,
                opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=role_ready)),
            )
            for zone in nodes.zones
        }
        self.register_outputs({"groups": {zone: group.node_group_name for zone, group in self.groups.items()}})


def _node_role(
    name: str, eks: Eks, tags: dict[str, str], child: pulumi.ResourceOptions
) -> tuple[pulumi.Input[str], list[pulumi.Resource]]:
    """The nodes' role, and what must exist before a node may use it."""
    if eks.node_role_arn is not None:
        return eks.node_role_arn, []
    role = aws.iam.Role(f"{name}-role", assume_role_policy=aws_inputs.node_role_trust_policy(), tags=tags, opts=child)
    attachments: list[pulumi.Resource] = [
        aws.iam.RolePolicyAttachment(
            f"{name}-role-{policy}", role=role.name, policy_arn=f"arn:aws:iam::aws:policy/{policy}", opts=child
        )
        for policy in aws_inputs.NODE_POLICIES
    ]
    return role.arn, attachments
