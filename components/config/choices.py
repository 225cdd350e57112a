"""What a key may be set to where only some words are allowed, each with its meaning."""

from collections.abc import Mapping
from enum import StrEnum


class Architecture(StrEnum):
    """Processor architecture a node may have; `any` lets the planner take the cheaper one."""

    ANY = "any"
    ARM64 = "arm64"
    X86_64 = "x86_64"


MEANT: Mapping[str, str] = {
    "amd64": Architecture.X86_64,
    "x64": Architecture.X86_64,
    "x86": Architecture.X86_64,
    "i386": Architecture.X86_64,
    "intel": Architecture.X86_64,
    "amd": Architecture.X86_64,
    "aarch64": Architecture.ARM64,
    "graviton": Architecture.ARM64,
    "both": Architecture.ANY,
    "auto": Architecture.ANY,
    "off": "plain",
    "false": "plain",
}
"""What people write for a value, in place of its name here. By spelling alone, amd64 would be nearest to arm64."""


class Packing(StrEnum):
    """What of a node's pods must fit its allocatable memory: their limits (safe) or only their requests."""

    LIMITS = "limits"
    REQUESTS = "requests"


class CapacityType(StrEnum):
    """How the nodes are bought; AWS may take a spot node back with two minutes' notice."""

    ON_DEMAND = "onDemand"
    SPOT = "spot"


class Placement(StrEnum):
    """Whether keeping the copies of a shard apart is a condition (pods wait) or a wish (a small test cluster)."""

    REQUIRED = "required"
    PREFERRED = "preferred"


class MoveMode(StrEnum):
    """How slots change owner: with their keys (copy), or ownership alone while the content expires."""

    AUTO = "auto"
    COPY = "copy"
    EXPIRE = "expire"


class NodeEndpoint(StrEnum):
    """How Redis tells clients where a node is: by its pod's DNS name, or by its address of the moment."""

    HOSTNAME = "hostname"
    IP = "ip"


class DefaultUser(StrEnum):
    """What a client may do that gives a password without a user."""

    REFUSED = "refused"
    APP = "app"
    EVERYTHING = "everything"


class PolicyEnforcer(StrEnum):
    """What makes NetworkPolicies hold: the cluster's network plugin, as far as the program can ask it or is told."""

    AUTO = "auto"
    CALICO = "calico"
    CILIUM = "cilium"
    OTHER = "other"
    NOBODY = "nobody"


class CniRole(StrEnum):
    """Whose rights the VPC CNI uses to give pods their network interfaces."""

    AUTO = "auto"
    OWN = "own"
    NODE = "node"


class Prometheus(StrEnum):
    """How a Prometheus learns of the exporters and of the alert rules: from objects of the Prometheus operator, or from
    annotations of the pods and a file in a ConfigMap, which need nothing installed in the cluster."""

    OPERATOR = "operator"
    ANNOTATIONS = "annotations"


class TlsMode(StrEnum):
    """How connections to Redis are protected. `both` is the way from one of the others to the other: clients may use
    either port, and the nodes speak TLS among themselves."""

    PLAIN = "plain"
    BOTH = "both"
    REQUIRED = "required"

    @property
    def has_tls(self) -> bool:
        """Whether there is a port for TLS."""
        return self is not TlsMode.PLAIN

    @property
    def has_plain(self) -> bool:
        """Whether there is a port without TLS."""
        return self is not TlsMode.REQUIRED


class ClientCertificates(StrEnum):
    """Whether clients show a certificate of their own. Nodes always do, to each other."""

    NONE = "none"
    OPTIONAL = "optional"
    REQUIRED = "required"
