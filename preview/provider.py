"""What providers would compute or look up, invented from names and inputs alone, so that nobody is asked."""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from pulumi.runtime import mocks, rpc

Computed = Callable[[str, str, dict[str, Any]], dict[str, Any]]
"""(name, digest, inputs) -> what the provider adds to the inputs."""


def plain(value: Any) -> Any:
    """The wire's value as the program wrote it: secrets unwrapped, whole floats as the integers they were."""
    if rpc.is_rpc_secret(value):
        return plain(rpc.unwrap_rpc_secret(value))
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def content_digest(type_: str, urn: str, inputs: Mapping[str, Any]) -> str:
    """Changes when the provider would make another object: with the URN, and for objects whose content is fixed
    (ConfigMap, Secret and a Job's template, of which autonamed ones are replaced) with that content."""
    content: Any = None
    if type_ in ("kubernetes:core/v1:ConfigMap", "kubernetes:core/v1:Secret"):
        content = {key: inputs.get(key) for key in ("data", "binaryData", "stringData")}
    elif type_ == "kubernetes:batch/v1:Job":
        content = inputs["spec"]["template"]
    text = json.dumps([urn, content], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def named(type_: str, name: str, digest: str, inputs: dict[str, Any]) -> dict[str, Any]:
    """Kubernetes inputs with the name that autonaming would give where the program gave none."""
    if not type_.startswith("kubernetes:"):
        return inputs
    metadata = inputs.get("metadata") or {}
    return inputs | {"metadata": {"name": f"{name}-{digest[:8]}"} | metadata}


class OfflineProvider(mocks.Mocks):
    """Invents what AWS, Kubernetes and the random provider would answer."""

    def __init__(self, subnet_zones: Mapping[str, str], node_groups: Mapping[str, int]) -> None:
        self._subnet_zones = subnet_zones
        self._node_groups = node_groups
        self.digests: dict[tuple[str, str], str] = {}

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        inputs = plain(args.inputs)
        if args.resource_id:
            # It is read, not made, and offline the cluster has what the program asks for.
            return args.resource_id, inputs
        digest = self.digests[(args.typ, args.name)]
        compute = _COMPUTED.get(args.typ)
        state = named(args.typ, args.name, digest, inputs) | (compute(args.name, digest, inputs) if compute else {})
        metadata = state.get("metadata") or {}
        if args.typ.startswith("kubernetes:"):
            return "/".join(filter(None, (metadata.get("namespace"), metadata["name"]))), state
        return str(state.get("id", f"{args.name}-{digest[:7]}")), state

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        return self._answer(args.token, args.args), []

    def _answer(self, token: str, question: Mapping[str, Any]) -> dict[str, Any]:
        match token:
            case "aws:eks/getNodeGroups:getNodeGroups":
                return {"names": sorted(self._node_groups)}
            case "aws:eks/getNodeGroup:getNodeGroup":
                return {"scalingConfigs": [{"desiredSize": self._node_groups[question["nodeGroupName"]]}]}
            case "aws:eks/getCluster:getCluster":
                return _eks_cluster(question["name"]) | {"certificateAuthorities": [_CERTIFICATE]}
            case "aws:eks/getAddon:getAddon":
                # The cluster is taken to be set up as the documentation asks: policies hold, and the CNI has its role.
                cni = {"serviceAccount": "aws-node", "roleArn": f"arn:aws:iam::{_ACCOUNT}:role/vpc-cni"}
                return {
                    "configurationValues": json.dumps({"enableNetworkPolicy": "true"}),
                    "podIdentityAssociations": [cni],
                }
            case "aws:ec2/getSubnet:getSubnet":
                subnet = question["id"]
                return {"id": subnet, "availabilityZone": self._subnet_zones.get(subnet, "unknown")}
            case "aws:index/getPartition:getPartition":
                return {"partition": "aws"}
        raise ValueError(f"the program asks a provider for {token}, which cannot be answered offline")


_ACCOUNT = "111122223333"  # the account number AWS's own documentation uses


_CERTIFICATE = {"data": "b2ZmbGluZQ=="}


def subnet_zones_in(config: Mapping[str, str]) -> dict[str, str]:
    """Subnet -> zone, as the maps `subnets` of a config list them: offline the config is believed."""
    found: dict[str, str] = {}
    for text in config.values():
        try:
            subnets = json.loads(text)["subnets"]
        except (ValueError, LookupError, TypeError):
            continue  # another value; whether it is a good one is for the program to say
        if isinstance(subnets, dict):
            found |= {subnet: zone for zone, subnet in subnets.items() if isinstance(subnet, str)}
    return found


def _eks_cluster(name: str) -> dict[str, Any]:
    arn = f"arn:aws:eks:us-east-1:{_ACCOUNT}:cluster/{name}"
    return {"name": name, "arn": arn, "endpoint": "https://eks.invalid", "version": "1.33"}


def _cluster(name: str, digest: str, inputs: dict[str, Any]) -> dict[str, Any]:
    cluster = inputs.get("name", f"{name}-{digest[:7]}")
    return {"id": cluster, "certificateAuthority": _CERTIFICATE} | _eks_cluster(cluster)


def _role(name: str, digest: str, inputs: dict[str, Any]) -> dict[str, Any]:
    role = inputs.get("name", f"{name}-{digest[:7]}")
    return {"id": role, "name": role, "arn": f"arn:aws:iam::{_ACCOUNT}:role/{role}"}


def _launch_template(name: str, digest: str, inputs: dict[str, Any]) -> dict[str, Any]:
    return {"id": f"lt-{digest[:17]}", "latestVersion": 1, "name": inputs.get("name", f"{name}-{digest[:7]}")}


def _node_group(name: str, digest: str, inputs: dict[str, Any]) -> dict[str, Any]:
    group = inputs.get("nodeGroupName", f"{name}-{digest[:7]}")
    return {"id": f"{inputs['clusterName']}:{group}", "nodeGroupName": group, "status": "ACTIVE"}


def _random_password(name: str, digest: str, inputs: dict[str, Any]) -> dict[str, Any]:
    return {"id": "none", "result": hashlib.sha256(f"{name}/{digest}".encode()).hexdigest()[: int(inputs["length"])]}


_COMPUTED: dict[str, Computed] = {
    "aws:eks/cluster:Cluster": _cluster,
    "aws:iam/role:Role": _role,
    "aws:ec2/launchTemplate:LaunchTemplate": _launch_template,
    "aws:eks/nodeGroup:NodeGroup": _node_group,
    "random:index/randomPassword:RandomPassword": _random_password,
}
