"""Service accounts: the tokens of pods, and the certificate authority that the API server's certificate is from."""

from __future__ import annotations

import secrets
import ssl

import trustme

from sandbox.host.volumes import File


class Accounts:
    """Lives as long as the sandbox, and so do its tokens."""

    def __init__(self) -> None:
        self._authority = trustme.CA()
        self._owners: dict[str, tuple[str, str]] = {}
        """Token -> namespace and name of its service account."""

    def files_of(self, namespace: str, account: str) -> dict[str, File]:
        """What a kubelet mounts into a pod of that account: a token of its own, and whom to trust."""
        token = secrets.token_urlsafe(32)
        self._owners[token] = (namespace, account)
        contents = {
            "token": token.encode(),
            "ca.crt": self._authority.cert_pem.bytes(),
            "namespace": namespace.encode(),
        }
        return {name: File(content, 0o644) for name, content in contents.items()}

    def owner(self, token: str) -> tuple[str, str] | None:
        """Namespace and name of the account whose token this is."""
        return self._owners.get(token)

    def server_context(self, host: str) -> ssl.SSLContext:
        """For a server that pods reach at `host`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(host).configure_cert(context)
        return context
