"""What a stack's config gives away: each with what to change."""

from collections.abc import Iterator

from components.advice.figures import Figures
from components.advice.plan_warning import PlanWarning
from components.config.choices import CniRole, PolicyEnforcer
from components.config.settings import Settings


def policies_hold(settings: Settings, figures: Figures) -> Iterator[PlanWarning]:
    """Whether the network policies hold anybody back, as far as the config says. With `eks`, AWS is asked besides."""
    enforcer = settings.access.policies_enforced_by
    if enforcer is PolicyEnforcer.NOBODY:
        yield PlanWarning(
            "policies-not-enforced",
            "Nobody enforces the NetworkPolicies. Whoever reaches a pod reaches the cluster bus, which knows no "
            "password, and can take all slots there.",
            "Enable policies in the cluster's network plugin, and name it in access.policiesEnforcedBy.",
        )
    elif enforcer is PolicyEnforcer.AUTO and settings.eks is None and settings.nodes.production:
        yield PlanWarning(
            "policies-perhaps-not-enforced",
            "The program cannot ask this cluster whether it enforces NetworkPolicies.",
            "Name what does it in access.policiesEnforcedBy: calico, cilium or other.",
        )


def nodes_may_little(settings: Settings, figures: Figures) -> Iterator[PlanWarning]:
    """Whether the config gives nodes rights that they need not have. With `auto` AWS is asked instead."""
    eks = settings.eks
    if eks is not None and eks.node_role_arn is None and eks.cni_role is CniRole.NODE:
        yield PlanWarning(
            "nodes-may-change-networks",
            "The nodes' role has AmazonEKS_CNI_Policy. Whoever takes over a node may change network interfaces of the "
            "whole account.",
            "Give the add-on vpc-cni a role of its own, and set eks.cniRole to auto or own.",
        )


def images_are_pinned(settings: Settings, figures: Figures) -> Iterator[PlanWarning]:
    """Whether production runs the bytes that were looked at. Where it does not, the config has a reason."""
    images = settings.images
    by_tag = images.without_digest(settings.monitoring.exporter)
    if settings.nodes.production and by_tag:
        key, image = next(iter(by_tag.items()))
        yield PlanWarning(
            "images-not-pinned",
            f"There is no digest in {' and '.join(f'images.{name}' for name in by_tag)}. What a tag names may "
            "change, and a pod that restarts on another node may then run other bytes than the rest. "
            f"images.tagsBecause says why: {images.tags_because}.",
            f"Add the digest to the tag, such as images.{key}={image}@sha256:DIGEST. "
            f"`docker buildx imagetools inspect {images.fetched(image)}` prints it.",
        )
