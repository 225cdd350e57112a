"""How long the certificate holds that a node shows: what is in use there, whatever the files say."""

from __future__ import annotations

import socket
import ssl
import time
from dataclasses import dataclass
from typing import Any

from reconciler.tls import Tls
from reconciler.tls_connection import context_of, of_another_authority

_TIMEOUT_S = 3.0
_HAS_EXPIRED = 10
"""X509_V_ERR_CERT_HAS_EXPIRED of OpenSSL: the certificate, or that of its authority."""


@dataclass(frozen=True)
class Validity:
    """From when to when a certificate holds, in seconds since 1970."""

    begins: float
    ends: float


@dataclass(frozen=True)
class OfAnother:
    """A certificate of an authority that is not trusted."""

    says: str


def shown_certificate(tls: Tls, ip: str, port: int) -> Validity | OfAnother | None:
    """Of the node that is known by this address: its certificate, or that of its authority where that one ends earlier.

    None where no certificate is shown: the node has no TLS (yet), does not answer, or shows another name. The
    observation of the node says so by itself. One that has ended is known by its end alone: `begins` is 0 then, and
    `ends` is now.
    """
    for at, has_tls in tls.doors(port):
        if has_tls:
            try:
                return _handshake(tls, ip, at)
            except ssl.SSLCertVerificationError as error:
                if error.verify_code == _HAS_EXPIRED:
                    return Validity(0, time.time())
                another = of_another_authority(error)
                return None if another is None else OfAnother(another)
            except OSError:
                return None
    return None


def _handshake(tls: Tls, ip: str, port: int) -> Validity:
    context = context_of(tls)
    with (
        socket.create_connection((ip, port), _TIMEOUT_S) as plain,
        context.wrap_socket(plain, server_hostname=tls.name) as secured,
    ):
        shown: Any = secured.getpeercert()
    known: list[Any] = context.get_ca_certs()
    # Old and new authority may be trusted together. One that has signed for others than this node is of no account,
    # and of two of the same name the later one counts, since either is enough. A chain may have links in between.
    signers = [authority for authority in known if authority["subject"] == shown["issuer"]] or known
    own = ssl.cert_time_to_seconds(shown["notAfter"])
    # A certificate that is its own authority, and does not say that it is one, is none of those that Python lists.
    theirs = max((ssl.cert_time_to_seconds(authority["notAfter"]) for authority in signers), default=own)
    return Validity(ssl.cert_time_to_seconds(shown["notBefore"]), min(own, theirs))
