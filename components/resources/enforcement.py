"""Wire: whether the cluster makes NetworkPolicies hold, asked of AWS before anything is registered."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pulumi

from components.config.load import NAMESPACE
from components.config.settings import Eks, PolicyEnforcer, Settings
from components.resources.sdk import ask_aws_now

_ADD_ON = "vpc-cni"
_SWITCH = "enableNetworkPolicy"


def enforcement_faults(settings: Settings) -> Iterator[str]:
    """Why policies that the stack relies on would hold nobody back. Outside production that is a warning only."""
    if settings.eks is None or settings.access.policies_enforced_by is not PolicyEnforcer.AUTO:
        return
    found = _not_enforced(settings.eks)
    if found is None:
        return
    fault = (
        f"{NAMESPACE}:access.policiesEnforcedBy = auto: {found}. Then whoever reaches a pod reaches the cluster bus, "
        "which knows no password. Run\n"
        f"    aws eks update-addon --cluster-name {settings.eks.cluster_name} --addon-name {_ADD_ON} "
        f"--resolve-conflicts PRESERVE --configuration-values '{json.dumps({_SWITCH: 'true'})}'\n"
        "  (with what `aws eks describe-addon` shows as its configurationValues beside it), or name what enforces them "
        "instead (calico, cilium, other), or nobody"
    )
    if settings.nodes.production:
        yield fault
    else:
        pulumi.log.warn(fault)


def _not_enforced(eks: Eks) -> str | None:
    """What AWS says of the add-on that speaks against it; None when it enforces policies."""
    question = {"clusterName": eks.cluster_name, "addonName": _ADD_ON}
    try:
        answer = ask_aws_now("eks/getAddon:getAddon", question)
    except Exception as error:
        # Pulumi's SDK has no narrower class for a lookup that the provider answers with an error.
        return f"the add-on {_ADD_ON} of cluster {eks.cluster_name} cannot be asked: {error}"
    if _is_on(answer):
        return None
    return f"the add-on {_ADD_ON} of cluster {eks.cluster_name} does not enforce NetworkPolicies ({_SWITCH} is not on)"


def _is_on(answer: Mapping[str, Any]) -> bool:
    """The add-on takes its switch as a text or a truth."""
    try:
        values = json.loads(answer.get("configurationValues") or "{}")
    except ValueError:
        return False
    return isinstance(values, dict) and str(values.get(_SWITCH, "")).lower() == "true"
