"""Test pods with TLS, and authorities that sign for them."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

import redis
import trustme

from tests.pod_life.network import Network
from tests.pod_life.pods import ADMIN, BUS_PORT, PORT, Pod

TLS_PORT = 6380
LOOK_SECONDS = 1
"""How often pods of the tests look for a renewed certificate."""
NAME = "redis.redis-image-cache.svc.cluster.local"


def certificate(
    authority: trustme.CA, *names: str, days: float = 30, key_of: trustme.LeafCert | None = None
) -> dict[str, bytes]:
    """Files of a certificate that ends in so many days. `key_of` has the private key beside it, which then does not
    belong to it."""
    now = datetime.datetime.now(datetime.UTC)
    issued = authority.issue_cert(
        *(names or (NAME,)),
        not_before=now - datetime.timedelta(days=60),
        not_after=now + datetime.timedelta(days=days),
    )
    return {
        "tls.crt": b"".join(part.bytes() for part in issued.cert_chain_pems),
        "tls.key": (key_of or issued).private_key_pem.bytes(),
        "ca.crt": authority.cert_pem.bytes(),
    }


def write(files: dict[str, bytes], folder: Path) -> Path:
    """All in one moment, as the kubelet does: behind a link that is exchanged."""
    folder.mkdir(exist_ok=True)
    version = folder / f"..{len(list(folder.iterdir()))}"
    version.mkdir()
    for name, content in files.items():
        (version / name).write_bytes(content)
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    link = folder / "..data.new"
    link.symlink_to(version.name)
    link.rename(folder / "..data")
    return folder


class TlsPod(Pod):
    """A pod in mode `required`, whose certificate is of the class's authority."""

    authority = trustme.CA()

    def __init__(self, network: Network, name: str, conf: str, password: str | None) -> None:
        super().__init__(network, name, conf, password)
        self.env |= {
            "PORT": str(TLS_PORT),
            "TLS_MODE": "required",
            "TLS_PORT": str(TLS_PORT),
            "BUS_PORT": str(BUS_PORT),
            "CERTIFICATE_LOOK_SECONDS": str(LOOK_SECONDS),
        }
        self.certificates = write(certificate(self.authority), self.base / "tls")

    def _bubblewrap(self) -> list[str]:
        words = super()._bubblewrap()
        at = words.index("--remount-ro")
        return [*words[:at], "--ro-bind", str(self.certificates), "/tls", *words[at:]]

    def client(self, timeout_seconds: float = 3) -> redis.Redis:
        return redis.Redis(
            host=self.ip or "",
            port=TLS_PORT,
            username=None if self.password is None else ADMIN,
            password=self.password,
            socket_timeout=timeout_seconds,
            socket_connect_timeout=1,
            ssl=True,
            # The authority may be another one by now: whether it is trusted is what the tests ask by themselves.
            ssl_cert_reqs="none",
        )

    def plain_client(self) -> redis.Redis:
        """Without TLS, at the port that has it."""
        return redis.Redis(host=self.ip or "", port=TLS_PORT, password=self.password, socket_timeout=2)


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    """A client that trusts this authority and no other."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    return context


__all__ = ["BUS_PORT", "LOOK_SECONDS", "NAME", "PORT", "TLS_PORT", "TlsPod", "certificate", "trusting", "write"]
