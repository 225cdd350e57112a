"""Stands in for cert-manager: signs what Certificates ask for, by an authority for each issuer, into their Secrets.

Every issuer that is named exists here. In a cluster it must have been made before, or the Certificate is never ready.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import trustme

from sandbox.errors import NotFoundError
from sandbox.kubernetes.cluster import Cluster
from sandbox.kubernetes.manifests.certificate import Certificate, IssuerRef
from sandbox.kubernetes.manifests.objects import Secret


class Certificates:
    """The authorities live as long as the sandbox."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._authorities: dict[IssuerRef, trustme.CA] = {}

    def issue(self, item: Certificate) -> Secret:
        """A new key and a new certificate in the Secret that the Certificate names. Returns that Secret."""
        authority = self._authorities.setdefault(item.spec.issuer_ref, trustme.CA())
        issued = authority.issue_cert(
            *item.spec.dns_names,
            *item.spec.ip_addresses,
            common_name=item.spec.common_name or None,
            not_after=datetime.now(UTC) + timedelta(seconds=item.spec.seconds),
            key_type=trustme.KeyType.ECDSA,
        )
        secret = Secret.model_validate(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": item.spec.secret_name, "namespace": item.metadata.namespace},
                "stringData": {
                    "tls.crt": b"".join(part.bytes() for part in issued.cert_chain_pems).decode(),
                    "tls.key": issued.private_key_pem.bytes().decode(),
                    "ca.crt": authority.cert_pem.bytes().decode(),
                },
            }
        )
        self._cluster.objects[secret.key] = secret
        self._cluster.event(f"Certificate {item.metadata.namespace}/{item.metadata.name}", "Issuing", "issued")
        return secret

    def find(self, name: str, namespace: str | None) -> Certificate:
        """Raises NotFoundError, naming those there are."""
        there = list(self._cluster.all(Certificate))
        for item in there:
            if item.metadata.name == name and namespace in (None, item.metadata.namespace):
                return item
        known = ", ".join(f"{item.metadata.namespace}/{item.metadata.name}" for item in there) or "none"
        raise NotFoundError(f"there is no certificate {name!r}; certificates: {known}")
