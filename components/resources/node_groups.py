"""Wire: the EKS node groups of one pool, one for each zone."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import pulumi

from components.config.settings import Eks
from components.manifests.manifest import Ref
from components.manifests.node_groups import (
    CLUSTER_NAME,
    group_key,
    largest_size,
    node_manifests,
    node_policies,
    policy_arn,
    wanted_size,
)
from components.plan.nodes.choice import NodePlan, ZoneNodes
from components.resources.registering import logical_name, register_aws
from components.resources.sdk import ask_aws


class RedisNodeGroups(pulumi.ComponentResource):
    """The resources of `components.manifests.node_groups`, registered in their order."""

    names: pulumi.Output[dict[str, str]]
    """Zone -> name of its node group."""

    def __init__(
        self,
        name: str,
        pool: str,
        eks: Eks,
        nodes: NodePlan,
        given: Mapping[Ref, pulumi.Input[Any]],
        hooks: pulumi.ResourceHookBinding,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("redis-image-cache:index:RedisNodeGroups", name, None, opts)
        keys = {zone.zone: group_key(eks, nodes, zone.zone) for zone in nodes.zones}
        self._lookup = pulumi.InvokeOptions(parent=self)
        made = register_aws(
            name,
            node_manifests(pool, eks, nodes),
            {**self._policies(eks), **self._sizes(name, pool, keys, nodes, given[CLUSTER_NAME]), **given},
            pulumi.ResourceOptions(parent=self, hooks=hooks),
        )
        self.names = pulumi.Output.all(**{zone: made[key].computed("nodeGroupName") for zone, key in keys.items()})
        self.register_outputs({"groups": {zone: made[key].id for zone, key in keys.items()}})

    def _policies(self, eks: Eks) -> dict[Ref, pulumi.Output[str]]:
        """The managed policies' ARNs, in the partition in force."""
        partition = ask_aws("index/getPartition:getPartition", {}, self._lookup)["partition"]
        return {Ref(policy, "policyArn"): partition.apply(partial(policy_arn, policy)) for policy in node_policies(eks)}

    def _sizes(
        self, name: str, pool: str, keys: Mapping[str, str], nodes: NodePlan, cluster_name: pulumi.Input[str]
    ) -> dict[Ref, pulumi.Output[int]]:
        """How many nodes each group is to have, and how many it may have."""
        logical_names = {zone: logical_name(f"{name}-{key}", "NodeGroup") for zone, key in keys.items()}
        living = self._living_sizes(cluster_name, set(logical_names.values()))
        sizes: dict[Ref, pulumi.Output[int]] = {}
        for zone in nodes.zones:
            wanted = living.apply(partial(_size, pool, zone, logical_names[zone.zone]))
            sizes[Ref(keys[zone.zone], "size")] = wanted
            sizes[Ref(keys[zone.zone], "largestSize")] = wanted.apply(largest_size)
        return sizes

    def _living_sizes(self, cluster_name: pulumi.Input[str], logical_names: set[str]) -> pulumi.Output[dict[str, int]]:
        """Logical name -> nodes wanted now, of the groups that AWS has already: Pulumi's state does not tell a program
        what there is, and the size may have been changed since."""

        def size_of(group: str, logical_name: str) -> pulumi.Output[tuple[str, int]]:
            arguments = {"clusterName": cluster_name, "nodeGroupName": group}
            return ask_aws("eks/getNodeGroup:getNodeGroup", arguments, self._lookup).apply(
                lambda answer: (logical_name, int(answer["scalingConfigs"][0]["desiredSize"]))
            )

        def sizes(groups: list[str]) -> pulumi.Output[dict[str, int]]:
            # Pulumi made up the end of the name.
            ours = [(group, group.rpartition("-")[0]) for group in groups]
            found = [size_of(group, logical_name) for group, logical_name in ours if logical_name in logical_names]
            return pulumi.Output.all(*found).apply(_largest)

        groups = ask_aws("eks/getNodeGroups:getNodeGroups", {"clusterName": cluster_name}, self._lookup)
        return groups.apply(lambda answer: sizes(list(answer["names"])))


def _size(pool: str, zone: ZoneNodes, logical_name: str, living: Mapping[str, int]) -> int:
    size = wanted_size(zone, living.get(logical_name, 0))
    if size > zone.nodes:
        pulumi.log.warn(
            f"{zone.zone} has {size} nodes for pool {pool}, {size - zone.nodes} more than its pods need. They stay, "
            "since EKS would end nodes with living pods; docs/runbook.md (Fewer nodes) says how they go"
        )
    return size


def _largest(sizes: list[tuple[str, int]]) -> dict[str, int]:
    """Two groups of one logical name stand side by side while one replaces the other."""
    found: dict[str, int] = {}
    for group, size in sizes:
        found[group] = max(size, found.get(group, 0))
    return found
