"""Wire: whether the cluster makes NetworkPolicies hold, asked of AWS before anything is registered."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pulumi

from components.config.choices import PolicyEnforcer
from components.config.load import NAMESPACE
from components.config.settings import Eks, Settings
from components.resources.vpc_cni import ADD_ON, NotAnswered, describe_add_on

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
        f"    aws eks update-addon --cluster-name {settings.eks.cluster_name} --addon-name {ADD_ON} "
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
    try:
        answer = describe_add_on(eks)
    except NotAnswered as error:
        return str(error)
    if _is_on(answer):
        return None
    return f"the add-on {ADD_ON} of cluster {eks.cluster_name} does not enforce NetworkPolicies ({_SWITCH} is not on)"


def _is_on(answer: Mapping[str, Any]) -> bool:
    """The add-on takes its switch as a text or a truth."""
    try:
        values = json.loads(answer.get("configurationValues") or "{}")
    except ValueError:
        return False
    return isinstance(values, dict) and str(values.get(_SWITCH, "")).lower() == "true"
