"""Wire: the EKS node groups of one pool, one for each zone."""

import pulumi

from components.config.settings import Eks
from components.manifests import launch_template as aws_inputs
from components.plan.nodes.choice import NodePlan
from components.resources.sdk import AwsResource, ask_aws


class RedisNodeGroups(pulumi.ComponentResource):
    """A managed node group in each zone, tainted for one pool, all from one launch template.

    One group a zone because an EBS volume is zonal: a group over several zones may replace a node in the wrong
    one. The type stands in the launch template, where a change rolls the nodes instead of replacing the group.
    """

    groups: dict[str, AwsResource]
    """Zone -> node group."""

    def __init__(
        self,
        name: str,
        pool: str,
        eks: Eks,
        nodes: NodePlan,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("redis-image-cache:index:RedisNodeGroups", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        tags = {"redis-image-cache/pool": pool, **eks.tags}
        role_arn, role_ready = _node_role(name, eks, tags, child)
        node_tags = {"Name": f"{eks.cluster_name}-{pool}", **tags}
        template = AwsResource(
            "ec2/launchTemplate:LaunchTemplate",
            f"{name}-template",
            aws_inputs.launch_template(nodes, node_tags) | {"tags": tags},
            child,
            computed=("latestVersion",),
        )
        version = template.computed("latestVersion").apply(lambda number: str(int(number)))
        # What EKS cannot change on a group stands in its name: groups that replace others are made first, the pods
        # roll over to them, and the old ones go last, empty.
        set_name = f"{name}-{aws_inputs.node_set(eks, nodes)}"
        living = _living_sizes(eks.cluster_name, f"{set_name}-")
        for zone in nodes.zones:
            surplus = living.get(f"{set_name}-{zone.zone}", 0) - zone.nodes
            if surplus > 0:
                pulumi.log.warn(
                    f"{zone.zone} has {zone.nodes + surplus} nodes for pool {pool}, {surplus} more than its pods "
                    "need. They stay, since EKS would end nodes with living pods; docs/runbook.md (Fewer nodes) says "
                    "how they go"
                )
        self.groups = {
            zone.zone: AwsResource(
                "eks/nodeGroup:NodeGroup",
                f"{set_name}-{zone.zone}",
                aws_inputs.node_group(pool, eks, nodes, zone, living.get(f"{set_name}-{zone.zone}", 0))
                | {
                    "nodeRoleArn": role_arn,
                    "subnetIds": [eks.subnets[zone.zone]],
                    "launchTemplate": {"id": template.id, "version": version},
                    "tags": tags,
                },
                pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=role_ready)),
            )
            for zone in nodes.zones
        }
        self.register_outputs({"groups": {zone: group.id for zone, group in self.groups.items()}})


def _living_sizes(cluster_name: str, prefix: str) -> dict[str, int]:
    """Logical name -> nodes wanted now, of the groups that AWS has already: Pulumi's state does not tell a program
    what there is, and the size may have been changed since."""
    found = ask_aws("eks/getNodeGroups:getNodeGroups", {"clusterName": cluster_name})["names"]
    sizes: dict[str, int] = {}
    for group in found:
        logical_name, _, _ = group.rpartition("-")
        if logical_name.startswith(prefix):
            answer = ask_aws("eks/getNodeGroup:getNodeGroup", {"clusterName": cluster_name, "nodeGroupName": group})
            size = int(answer["scalingConfigs"][0]["desiredSize"])
            sizes[logical_name] = max(size, sizes.get(logical_name, 0))
    return sizes


def _node_role(
    name: str, eks: Eks, tags: dict[str, str], child: pulumi.ResourceOptions
) -> tuple[pulumi.Input[str], list[pulumi.Resource]]:
    """The nodes' role, and what must exist before a node may use it."""
    if eks.node_role_arn is not None:
        return eks.node_role_arn, []
    role = AwsResource(
        "iam/role:Role",
        f"{name}-role",
        {"assumeRolePolicy": aws_inputs.node_role_trust_policy(), "tags": tags},
        child,
        computed=("arn", "name"),
    )
    attachments: list[pulumi.Resource] = [
        AwsResource(
            "iam/rolePolicyAttachment:RolePolicyAttachment",
            f"{name}-role-{policy}",
            {"role": role.computed("name"), "policyArn": f"arn:aws:iam::aws:policy/{policy}"},
            child,
        )
        for policy in aws_inputs.NODE_POLICIES
    ]
    return role.computed("arn"), attachments
