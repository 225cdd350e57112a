"""metadata and label selectors, shared by every kind."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic import Field

from sandbox.kubernetes.manifests.base import Manifest

Labels = dict[str, str]
_DNS_LABEL = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")


def is_dns_label(name: str) -> bool:
    """RFC 1123 label, what the API server asks of names that end up in DNS."""
    return len(name) <= 63 and _DNS_LABEL.match(name) is not None


class ObjectMeta(Manifest):
    name: str
    namespace: str = "default"
    labels: Labels = Field(default_factory=dict)
    annotations: Labels = Field(default_factory=dict)


class TemplateMeta(Manifest):
    """metadata of a pod template or of a volume claim template."""

    name: str = ""
    labels: Labels = Field(default_factory=dict)
    annotations: Labels = Field(default_factory=dict)


class LabelSelector(Manifest):
    match_labels: Labels = Field(default_factory=dict)

    def matches(self, labels: Mapping[str, str]) -> bool:
        """An empty selector matches everything, as in Kubernetes."""
        return self.match_labels.items() <= labels.items()
