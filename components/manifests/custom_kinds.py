"""Kinds of objects that the cluster knows only where somebody has installed them. Pure: objects -> what they need."""

from collections.abc import Iterable
from dataclasses import dataclass

from components.manifests.manifest import Manifest

_BUILT_IN_END = ".k8s.io"
"""How API groups end that Kubernetes itself has, but for those without a dot (`apps`) and the core group."""


@dataclass(frozen=True, slots=True)
class CustomKind:
    """A kind, why it is needed, and what to do where the cluster lacks it."""

    group: str
    kind: str
    setting: str
    """The config that needs it, as a person would write it."""
    remedy: str

    @property
    def definition(self) -> str:
        """Name of its CustomResourceDefinition."""
        return f"{self.kind.lower()}s.{self.group}"


_NEEDED_FOR = {
    "monitoring.coreos.com": (
        "monitoring.prometheus = operator",
        "install the Prometheus operator first, or set monitoring.prometheus: annotations",
    ),
    "cert-manager.io": (
        "tls.issuer",
        "install cert-manager first, or name a Secret with the certificate (tls.secret) instead",
    ),
}
"""API group -> the setting and the remedy."""


def custom_kinds(manifests: Iterable[Manifest]) -> tuple[CustomKind, ...]:
    """The kinds among these objects that Kubernetes does not have by itself, each once."""
    found = dict.fromkeys(
        (group, manifest.kind)
        for manifest in manifests
        for group in [str(manifest.body["apiVersion"]).rpartition("/")[0]]
        if "." in group and not group.endswith(_BUILT_IN_END)
    )
    return tuple(CustomKind(group, kind, *_NEEDED_FOR[group]) for group, kind in found)
