"""Wire: what AWS says of the cluster's add-on vpc-cni, asked before anything is registered."""

from collections.abc import Mapping
from typing import Any

import pulumi

from components.config.choices import CniRole
from components.config.load import NAMESPACE
from components.config.settings import Eks, Settings
from components.manifests.node_groups import CNI_POLICY
from components.resources.sdk import ask_aws_now

ADD_ON = "vpc-cni"
_SERVICE_ACCOUNT = "aws-node"


class NotAnswered(Exception):
    """The add-on is not there, or whoever runs this may not ask for it."""


def describe_add_on(eks: Eks) -> Mapping[str, Any]:
    """The add-on of the stack's cluster. Raises NotAnswered with what AWS said instead."""
    question = {"clusterName": eks.cluster_name, "addonName": ADD_ON}
    try:
        return ask_aws_now("eks/getAddon:getAddon", question)
    except Exception as error:
        # Pulumi's SDK has no narrower class for a lookup that the provider answers with an error.
        raise NotAnswered(f"the add-on {ADD_ON} of cluster {eks.cluster_name} cannot be asked: {error}") from error


def with_cni_role(settings: Settings) -> Settings:
    """The settings with `eks.cniRole` decided where it was `auto` and a node role is made here.

    Without an answer the node role has the rights: without them no pod of a new node would have a network.
    """
    eks = settings.eks
    if eks is None or eks.node_role_arn is not None or eks.cni_role is not CniRole.AUTO:
        return settings
    found = depends_on_nodes(eks)
    if found is not None:
        pulumi.log.warn(
            f"{NAMESPACE}:eks.cniRole = auto: {found}. So the nodes' role gets {CNI_POLICY}, and whoever takes over a "
            "node may change network interfaces of the whole account. Give the add-on a role with that policy:\n"
            f"    aws eks update-addon --cluster-name {eks.cluster_name} --addon-name {ADD_ON} --resolve-conflicts "
            f"PRESERVE --pod-identity-associations serviceAccount={_SERVICE_ACCOUNT},roleArn=ARN\n"
            "  or say own, where the CNI has its role by another way, or node, to keep it so"
        )
    decided = CniRole.OWN if found is None else CniRole.NODE
    return settings.model_copy(update={"eks": eks.model_copy(update={"cni_role": decided})})


def depends_on_nodes(eks: Eks) -> str | None:
    """Why the CNI may use the rights of the nodes' role; None where it has a role of its own."""
    try:
        answer = describe_add_on(eks)
    except NotAnswered as error:
        return str(error)
    associations = answer.get("podIdentityAssociations") or ()
    if answer.get("serviceAccountRoleArn") or any(
        item.get("serviceAccount") == _SERVICE_ACCOUNT and item.get("roleArn") for item in associations
    ):
        return None
    return f"the add-on {ADD_ON} of cluster {eks.cluster_name} has no role of its own"
