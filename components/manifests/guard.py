"""Who may mark a namespace as one of the cluster's pools. Pure.

The pods of marked namespaces reach the cluster bus, which knows no password. A label of a namespace can be set by
whoever may create or edit namespaces, as people may on clusters where teams help themselves. So the API server is told
to ask for more.
"""

from components.manifests import keys, names
from components.manifests.manifest import Manifest, kubernetes_object

_GROUP = "admissionregistration.k8s.io/v1"
_NAME = "redis-image-cache-pools"
((_LABEL, _VALUE),) = names.CLUSTER_LABEL.items()


def pool_guard() -> tuple[Manifest, ...]:
    """An admission policy, and what puts it into force: the label of a pool is only set by those who may write the
    network policies of the cache's own namespace, as the identity that runs `pulumi up` may.

    Whoever else edits a namespace that has the label already is let through.
    """
    policy = kubernetes_object(
        _GROUP,
        "ValidatingAdmissionPolicy",
        name=_NAME,
        spec={
            "failurePolicy": "Fail",
            "matchConstraints": {
                "resourceRules": [
                    {
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE", "UPDATE"],
                        "resources": ["namespaces"],
                    }
                ]
            },
            "matchConditions": [
                {"name": "is-marked-now", "expression": f"{_has_label('object')} && !({_was_marked()})"},
            ],
            "validations": [
                {
                    "expression": (
                        "authorizer.group('networking.k8s.io').resource('networkpolicies')"
                        f".namespace('{names.CLIENT_NAMESPACE}').check('create').allowed()"
                    ),
                    "message": (
                        f"the label {_LABEL}={_VALUE} lets the pods of a namespace reach the bus of the Redis "
                        "Cluster; only who may create NetworkPolicies in namespace "
                        f"{names.CLIENT_NAMESPACE} may set it"
                    ),
                    "reason": "Forbidden",
                }
            ],
        },
    )
    binding = kubernetes_object(
        _GROUP,
        "ValidatingAdmissionPolicyBinding",
        name=_NAME,
        spec={"policyName": _NAME, "validationActions": ["Deny"]},
    )
    return (
        Manifest(keys.POOL_GUARD.of, policy),
        Manifest(f"{keys.POOL_GUARD.of}-binding", binding, after=(keys.POOL_GUARD.of,)),
    )


def _was_marked() -> str:
    return f"oldObject != null && {_has_label('oldObject')}"


def _has_label(value: str) -> str:
    """An expression of the Common Expression Language: whether an object has the label with its value."""
    labels = f"{value}.metadata.labels"
    return f"has({labels}) && '{_LABEL}' in {labels} && {labels}['{_LABEL}'] == '{_VALUE}'"
