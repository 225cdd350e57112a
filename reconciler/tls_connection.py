"""A connection of redis-py with TLS, that trusts the authority of the cache and no other."""

from __future__ import annotations

import socket
import ssl
from functools import cache
from typing import Any

from redis import connection as redis_connection

from reconciler.tls import Tls


class TlsConnection(redis_connection.SSLConnection):  # type: ignore[misc, unused-ignore]
    """A connection of redis-py that trusts one authority, and asks the node for the cache's name.

    redis-py's own also trusts every authority that the machine's image trusts, and compares the name with the address.
    """

    def __init__(self, tls: Tls, **options: Any) -> None:
        super().__init__(**options)
        self._tls = tls

    def _wrap_socket_with_ssl(self, sock: socket.socket) -> ssl.SSLSocket:
        return context_of(self._tls).wrap_socket(sock, server_hostname=self._tls.name)


@cache
def context_of(tls: Tls) -> ssl.SSLContext:
    """What is shown to nodes, and which authority they must be of."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = tls.name is not None
    context.load_verify_locations(cafile=tls.ca_file)
    if tls.cert_file is not None:
        context.load_cert_chain(tls.cert_file, tls.key_file)
    return context


def takes_connections(ip: str, port: int, timeout_s: float) -> bool:
    """Whether something listens there. Nothing is said to it."""
    try:
        with socket.create_connection((ip, port), timeout_s):
            return True
    except OSError:
        return False


_UNKNOWN_AUTHORITY = (18, 19, 20, 21)
"""X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, …_SELF_SIGNED_CERT_IN_CHAIN, …_UNABLE_TO_GET_ISSUER_CERT_LOCALLY and
…_UNABLE_TO_VERIFY_LEAF_SIGNATURE of OpenSSL."""


def of_another_authority(error: BaseException | None) -> str | None:
    """What to say of a node whose certificate is of an authority that is not trusted; None for any other error."""
    if not isinstance(error, ssl.SSLCertVerificationError) or error.verify_code not in _UNKNOWN_AUTHORITY:
        return None
    return (
        "its certificate is of an authority that this config does not trust (certificate verify failed: "
        f"{error.verify_message}). Nodes of two authorities refuse each other, and so do clients: take the edit back. "
        'docs/runbook.md, "Another authority", has the steps, in which both are trusted meanwhile'
    )
