"""The stack's own authority: what it signs, and when it signs anew."""

from __future__ import annotations

import ssl
from datetime import UTC, date, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from hypothesis import given
from hypothesis import strategies as st

from components.manifests.authority import AUTHORITY_DAYS, LEAF_DAYS, certificate_files

SEED, NAMES = "a text that the stack keeps", ("redis.redis-image-cache.svc.cluster.local", "*.redis-master.pool.svc.x")
DAYS = st.dates(date(2026, 1, 1), date(2060, 12, 31))


def leaf(files: dict[str, str]) -> x509.Certificate:
    return x509.load_pem_x509_certificate(files["tls.crt"].encode())


def trusted(files: dict[str, str], authority: str, day: date, name: str = NAMES[0]) -> bool:
    """Whether a client that trusts this authority accepts the certificate on that day, under that name."""
    store = Store([x509.load_pem_x509_certificate(authority.encode())])
    verifier = PolicyBuilder().store(store).time(datetime(day.year, day.month, day.day, 12))
    try:
        verifier.build_server_verifier(x509.DNSName(name)).verify(leaf(files), [])
    except VerificationError:
        return False
    return True


@given(DAYS)
def test_it_holds_from_its_first_day_and_whoever_trusts_an_older_authority_trusts_it(day: date) -> None:
    files = certificate_files(SEED, NAMES, day)
    assert trusted(files, files["ca.crt"], day)
    assert trusted(files, files["ca.crt"], day, "redis-master-0.redis-master.pool.svc.x")
    assert not trusted(files, files["ca.crt"], day, "redis-master-0.redis-master.other.svc.x")
    before = certificate_files(SEED, NAMES, day - timedelta(days=10 * 365))
    assert trusted(files, before["ca.crt"], day)
    assert not trusted(files, certificate_files("another", NAMES, day)["ca.crt"], day)


@given(DAYS)
def test_an_update_leaves_most_of_two_years(day: date) -> None:
    ends = leaf(certificate_files(SEED, NAMES, day)).not_valid_after_utc
    assert timedelta(days=LEAF_DAYS - 92) <= ends - datetime(day.year, day.month, day.day, tzinfo=UTC)


@given(DAYS, DAYS)
def test_within_a_quarter_nothing_changes_and_after_it_the_key_is_another(one: date, other: date) -> None:
    first, second = (certificate_files(SEED, NAMES, day) for day in (one, other))
    same = (one.year, (one.month - 1) // 3) == (other.year, (other.month - 1) // 3)
    assert (first == second) == same
    assert (first["tls.key"] == second["tls.key"]) == same
    assert (first["ca.crt"] == second["ca.crt"]) == (one.year == other.year)


def test_the_key_belongs_to_the_certificate_and_other_names_have_another() -> None:
    day = date(2026, 11, 27)
    files, others = certificate_files(SEED, NAMES, day), certificate_files(SEED, NAMES[:1], day)
    key = load_pem_private_key(files["tls.key"].encode(), None)
    assert key.public_key() == leaf(files).public_key()
    assert files["ca.crt"] == others["ca.crt"]
    assert files["tls.key"] != others["tls.key"]
    assert SEED not in str(files)


def test_openssl_takes_them_as_redis_and_clients_do() -> None:
    files = certificate_files(SEED, NAMES, datetime.now(UTC).date())
    context = ssl.create_default_context(cadata=files["ca.crt"])
    (authority,) = context.get_ca_certs()
    assert authority["subject"] == authority["issuer"]
    assert x509.load_pem_x509_certificate(files["ca.crt"].encode()).not_valid_after_utc > datetime.now(UTC) + timedelta(
        days=AUTHORITY_DAYS - 367
    )


@pytest.mark.parametrize("extension", [x509.BasicConstraints, x509.KeyUsage])
def test_what_it_signs_signs_nothing(extension: type[x509.BasicConstraints | x509.KeyUsage]) -> None:
    found = leaf(certificate_files(SEED, NAMES, date(2026, 1, 1))).extensions.get_extension_for_class(extension)
    assert found.critical
    value = found.value
    assert not (value.ca if isinstance(value, x509.BasicConstraints) else value.key_cert_sign)
