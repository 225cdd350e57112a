"""cert-manager's Certificate, as far as the sandbox stands in for cert-manager."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator

from sandbox.kubernetes.manifests.base import Manifest, NotEnforced
from sandbox.kubernetes.manifests.kubernetes_object import KubernetesObject

_DURATION = re.compile(r"(\d+)h(\d+)m(\d+)s")


class IssuerRef(Manifest):
    name: str = Field(min_length=1)
    kind: str = "Issuer"
    group: str = "cert-manager.io"


class PrivateKey(Manifest):
    algorithm: Literal["ECDSA"]
    size: Literal[256] = 256
    rotation_policy: Literal["Always", "Never"] = "Never"


class CertificateSpec(Manifest):
    secret_name: str = Field(min_length=1)
    issuer_ref: IssuerRef
    dns_names: tuple[str, ...] = ()
    ip_addresses: tuple[str, ...] = ()
    common_name: str = Field(default="", max_length=64)
    duration: str = "2160h0m0s"
    renew_before: Annotated[str, NotEnforced("a certificate is renewed when a test asks for it")] = ""
    usages: Annotated[tuple[str, ...], NotEnforced("every certificate may be used at either end")] = ()
    private_key: PrivateKey

    @field_validator("duration")
    @classmethod
    def _is_duration(cls, value: str) -> str:
        if not _DURATION.fullmatch(value):
            raise ValueError("a duration such as 2160h0m0s is needed")
        return value

    @property
    def seconds(self) -> int:
        """For how long it holds."""
        hours, minutes, seconds = map(int, known_parts(self.duration))
        return hours * 3600 + minutes * 60 + seconds


def known_parts(duration: str) -> tuple[str, ...]:
    """Hours, minutes and seconds of a duration that was checked before."""
    found = _DURATION.fullmatch(duration)
    return found.groups() if found else ("0", "0", "0")


class Certificate(KubernetesObject):
    spec: CertificateSpec
