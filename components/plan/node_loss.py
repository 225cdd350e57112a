"""How long it takes until the pods of a lost node can run elsewhere."""

UNREACHABLE_TOLERATION_SECONDS = 60
"""A node that is only cut off from the API server for a while, as during an upgrade of the control plane, keeps its
pods."""
NODE_REPAIR_SECONDS = 30 * 60
"""EKS replaces a node that is not ready for so long (docs/reference/aws.md, "Managed node groups"). Until its Node
object goes, its pods are Terminating, and a StatefulSet makes no others of their names."""
VOLUME_DETACH_SECONDS = 6 * 60
"""A volume whose node vanished is detached at the latest then (docs/reference/aws.md, "Kubernetes on these nodes"). A
new node has joined meanwhile."""


def node_replaced_seconds() -> int:
    """From the moment a node stops answering until its pods can start elsewhere, at most. A node that EC2 itself finds
    broken is replaced sooner."""
    return max(UNREACHABLE_TOLERATION_SECONDS, NODE_REPAIR_SECONDS) + VOLUME_DETACH_SECONDS
