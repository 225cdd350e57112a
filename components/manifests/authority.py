"""The stack's own authority, and the certificate that it signs for the pods of a pool. Pure.

All of it follows from a random text that the stack keeps as a secret, the names of the pods and the day. So an update
changes nothing until a quarter of a year is over, and nothing but that text must be kept.
"""

import hashlib
import ipaddress
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from components.manifests import names

LEAF_DAYS = 2 * 365
"""How long the pods' certificate holds from the beginning of its quarter. The first update of a later quarter renews
it, so an update leaves 638 days at least."""
AUTHORITY_DAYS = 20 * 365
"""The same of the authority's, from the beginning of its year. It is made anew each year with the same key and the same
name: who trusts an older one trusts what it signs."""
_CURVE = ec.SECP256R1()
"""A handshake with such a key costs the one core of Redis a tenth of one with RSA."""
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Number of points of that curve (SEC 2, secp256r1): private keys are below it."""
_KEY_BYTES = 48
"""Half as many again as a key has, so that the remainder is as good as evenly spread (FIPS 186-5, A.2.1)."""


def certificate_files(seed: str, dns_names: Sequence[str], today: date) -> dict[str, str]:
    """PEM texts by the name of their file: tls.crt, tls.key and ca.crt. The same arguments give the same texts.

    `seed` is the secret of which both keys are made; `today` is a day in UTC.
    """
    authority_key = _key(seed, "authority")
    authority = _authority(authority_key, date(today.year, 1, 1))
    quarter = date(today.year, (today.month - 1) // 3 * 3 + 1, 1)
    # Another key for every certificate: one that got out is of no use after the next.
    leaf_key = _key(seed, f"{quarter} {' '.join(dns_names)}")
    leaf = _leaf(leaf_key, dns_names, quarter, authority, authority_key)
    return {
        names.CERTIFICATE: _pem(leaf),
        names.PRIVATE_KEY: leaf_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
        names.AUTHORITY: _pem(authority),
    }


def _key(seed: str, purpose: str) -> ec.EllipticCurvePrivateKey:
    kdf = HKDF(hashes.SHA256(), _KEY_BYTES, salt=None, info=f"redis-image-cache {purpose}".encode())
    number = int.from_bytes(kdf.derive(seed.encode()))
    return ec.derive_private_key(number % (_ORDER - 1) + 1, _CURVE)


def _authority(key: ec.EllipticCurvePrivateKey, begins: date) -> x509.Certificate:
    known = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    # Clients may trust authorities of several caches, and tell them apart by their names.
    name = _name(f"redis-image-cache {known.digest.hex()[:8]}")
    builder = _builder(name, name, key, begins, AUTHORITY_DAYS, "")
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
    return _signed(builder, key)


def _leaf(
    key: ec.EllipticCurvePrivateKey,
    dns_names: Sequence[str],
    begins: date,
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    others = [x509.DNSName(name) for name in dns_names]
    # The exporter, which is in the pod, asks for this address.
    others_with_own = [*others, x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))]
    builder = _builder(_name(names.CLIENT_NAMESPACE), authority.subject, key, begins, LEAF_DAYS, " ".join(dns_names))
    for extension, critical in (
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_usage(signs_certificates=False), True),
        # Nodes show it to clients, and to each other from either end.
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), False),
        (x509.SubjectAlternativeName(others_with_own), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), False),
    ):
        builder = builder.add_extension(extension, critical=critical)
    return _signed(builder, authority_key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, begins: date, days: int, content: str
) -> x509.CertificateBuilder:
    # A clock that is a little behind must not find a certificate of the first day to be of the future.
    not_before = datetime.combine(begins, time.min, UTC) - timedelta(days=1)
    known = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    serial = hashlib.sha256(known.digest + f"{begins} {content}".encode()).digest()[:16]
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(int.from_bytes(serial) | 1)
        .not_valid_before(not_before)
        .not_valid_after(not_before + timedelta(days=days))
        .add_extension(known, critical=False)
    )


def _signed(builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    return builder.sign(key, hashes.SHA256(), ecdsa_deterministic=True)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
