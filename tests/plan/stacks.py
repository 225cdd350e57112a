"""Settings for the planner's tests, written as a stack's config would be."""

from typing import Any

from components.config.load import settings_of
from components.config.settings import Settings

CLIENTS = {"allowFromNamespaces": ["images"]}
"""Who may connect, which a stack of production says."""
TLS = {"mode": "required"}
"""How connections are protected, which it says too."""
BY_TAG = {"tagsBecause": "nothing is fetched here"}
"""Why its images have no digests."""
PRODUCTION: dict[str, Any] = {"access": CLIENTS, "tls": TLS, "images": BY_TAG}
"""All that a stack of production must say besides the cluster."""
NO_TLS = {"mode": "plain", "plainBecause": "the sizing document's figures are without it"}
NO_MISSES = 1 - 1e-12
"""A hit rate beside which no miss is left. 1 itself is refused."""
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
IRELAND = ("eu-west-1a", "eu-west-1b", "eu-west-1c")
FRANKFURT = ("eu-central-1a", "eu-central-1b", "eu-central-1c")
MUMBAI = ("ap-south-1a", "ap-south-1b", "ap-south-1c")
SAO_PAULO = ("sa-east-1a", "sa-east-1b", "sa-east-1c")


def stack(
    pod: str = "64GB",
    total: str = "1TB",
    *,
    replicas: int = 1,
    zones: tuple[str, ...] | None = ZONES,
    nodes: dict[str, Any] | None = None,
    storage: dict[str, Any] | None = None,
    monitoring: dict[str, Any] | None = None,
    resize: dict[str, Any] | None = None,
    access: dict[str, Any] | None = None,
    images: dict[str, Any] | None = None,
    tls: dict[str, Any] | None = None,
    **workload: Any,
) -> Settings:
    """Settings as a stack file with these keys gives them; `zones=None` is a cluster that is not EKS."""
    return settings_of(
        podMemory=pod,
        totalMemory=total,
        replicasPerMaster=replicas,
        kubeContext="" if zones else "kind",
        workload=workload,
        eks={"clusterName": "test", "subnets": {zone: f"subnet-{zone}" for zone in zones}} if zones else {},
        nodes=nodes or {},
        storage=storage or {},
        monitoring=monitoring or {},
        resize=resize or {},
        images=BY_TAG | (images or {}),
        access=CLIENTS if access is None else access,
        tls=NO_TLS if tls is None else tls,
    )


def option_1(**changes: Any) -> Settings:
    """The sizing document's Option 1: 16 + 16 pods of 64 GB."""
    return stack("64GB", **changes)


def option_2(**changes: Any) -> Settings:
    """The sizing document's Option 2: 8 + 8 pods of 128 GB."""
    return stack("128GB", **changes)
