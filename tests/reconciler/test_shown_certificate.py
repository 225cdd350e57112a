"""How long a node's certificate holds, as a handshake tells it."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from reconciler.shown_certificate import OfAnother, Validity, shown_certificate
from reconciler.tls import Tls

NAME = "redis.redis-image-cache.svc.cluster.local"
DAY_S = 86400
NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)

Node = Callable[[trustme.LeafCert | None], int]


@pytest.fixture
def node() -> Iterator[Node]:
    """Makes a node of one certificate, or of none, and gives its port."""
    ends: list[Callable[[], None]] = []

    def make(issued: trustme.LeafCert | None) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if issued is not None:
            issued.configure_cert(context)

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    try:
                        if issued is not None:
                            context.wrap_socket(connection, server_side=True).close()
                    except OSError:
                        # The client does not like the certificate, which is what some tests are about.
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()

        def end() -> None:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            thread.join()

        ends.append(end)
        return int(listener.getsockname()[1])

    yield make
    for end in ends:
        end()


def trusting(folder: Path, *authorities: trustme.CA, mode: str = "required", port: int | None = None) -> Tls:
    file = folder / "ca.crt"
    file.write_bytes(b"".join(authority.cert_pem.bytes() for authority in authorities))
    return Tls(mode, port, str(file), name=NAME)


def issued(authority: trustme.CA, days: int, name: str = NAME) -> trustme.LeafCert:
    begin = NOW - datetime.timedelta(days=60)
    return authority.issue_cert(name, not_before=begin, not_after=NOW + datetime.timedelta(days=days))


def from_now_s(days: float) -> float:
    return NOW.timestamp() + days * DAY_S


def test_it_is_the_certificate_s_own_time(node: Node, tmp_path: Path) -> None:
    authority = trustme.CA()
    shown = shown_certificate(trusting(tmp_path, authority), "127.0.0.1", node(issued(authority, 9)))
    assert shown == Validity(from_now_s(-60), from_now_s(9))


def test_where_nodes_have_two_ports_it_is_asked_at_the_one_with_tls(node: Node, tmp_path: Path) -> None:
    authority = trustme.CA()
    tls = trusting(tmp_path, authority, mode="both", port=node(issued(authority, 9)))
    shown = shown_certificate(tls, "127.0.0.1", node(None))
    assert shown == Validity(from_now_s(-60), from_now_s(9))


def test_an_authority_that_ends_earlier_is_the_end(node: Node, tmp_path: Path) -> None:
    short = trustme.CA(organization_name="short")
    ends = x509.load_pem_x509_certificate(short.cert_pem.bytes()).not_valid_after_utc
    late = short.issue_cert(NAME, not_after=ends + datetime.timedelta(days=9))
    shown = shown_certificate(trusting(tmp_path, short), "127.0.0.1", node(late))
    assert isinstance(shown, Validity)
    assert shown.ends == ends.timestamp()


def test_of_two_authorities_that_are_trusted_the_one_that_has_signed_counts(node: Node, tmp_path: Path) -> None:
    old, new = trustme.CA(organization_name="old"), trustme.CA(organization_name="new")
    tls = trusting(tmp_path, old, new)
    for authority in (old, new):
        shown = shown_certificate(tls, "127.0.0.1", node(issued(authority, 9)))
        assert isinstance(shown, Validity)
        assert shown.ends == from_now_s(9)


def test_one_that_is_its_own_authority_ends_when_it_ends(tmp_path: Path) -> None:
    """Python lists a trusted certificate among authorities only where it says that it is one, and this one does not."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    ends = NOW + datetime.timedelta(days=9)
    own = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - datetime.timedelta(days=60))
        .not_valid_after(ends)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = own.public_bytes(serialization.Encoding.PEM)
    private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (tmp_path / "ca.crt").write_bytes(pem)
    (tmp_path / "node.pem").write_bytes(pem + key.private_bytes(serialization.Encoding.PEM, *private))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "node.pem")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                context.wrap_socket(connection, server_side=True).close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        tls = Tls("required", None, str(tmp_path / "ca.crt"), name=NAME)
        assert shown_certificate(tls, "127.0.0.1", int(listener.getsockname()[1])) == Validity(
            from_now_s(-60), ends.timestamp()
        )
        thread.join()


def test_one_that_has_ended_is_known_by_that(node: Node, tmp_path: Path) -> None:
    authority = trustme.CA()
    before = time.time()
    shown = shown_certificate(trusting(tmp_path, authority), "127.0.0.1", node(issued(authority, -1)))
    assert isinstance(shown, Validity)
    assert shown.begins == 0
    assert before <= shown.ends <= time.time()


def test_one_of_another_authority_is_told_apart_with_what_to_do(node: Node, tmp_path: Path) -> None:
    shown = shown_certificate(trusting(tmp_path, trustme.CA()), "127.0.0.1", node(issued(trustme.CA(), 9)))
    assert isinstance(shown, OfAnother)
    assert "certificate verify failed" in shown.says
    assert 'docs/runbook.md, "Another authority"' in shown.says


def test_nothing_is_said_of_one_that_is_refused_for_another_reason_or_of_none(node: Node, tmp_path: Path) -> None:
    authority = trustme.CA()
    tls = trusting(tmp_path, authority)
    assert shown_certificate(tls, "127.0.0.1", node(issued(authority, 9, "another.test"))) is None
    assert shown_certificate(tls, "127.0.0.1", node(None)) is None
    assert shown_certificate(Tls(), "127.0.0.1", node(issued(authority, 9))) is None
    closed = socket.create_server(("127.0.0.1", 0))
    port = int(closed.getsockname()[1])
    closed.close()
    assert shown_certificate(tls, "127.0.0.1", port) is None
