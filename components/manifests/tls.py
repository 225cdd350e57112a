"""TLS: ports, the certificate and how pods get it. Pure."""

from typing import Any

from components.config.choices import ClientCertificates, TlsMode
from components.config.settings import Settings
from components.manifests import keys, names
from components.manifests.containers import GROUP_READS
from components.manifests.manifest import Manifest, kubernetes_object

VOLUME = "tls"
FILES = (names.CERTIFICATE, names.PRIVATE_KEY, names.AUTHORITY)
_DURATION_HOURS = 90 * 24
RENEWED_BEFORE_HOURS = 30 * 24
"""A month is left to notice that renewal fails."""
_ISSUED_WITHIN_SECONDS = 120
"""An authority in the cluster signs at once, a remote one within a minute."""


def client_ports(mode: TlsMode) -> dict[str, int]:
    """The ports that clients may use, by the name that each has in pods and Services."""
    plain = {"redis": names.REDIS_PORT} if mode.has_plain else {}
    return plain | ({"redis-tls": names.TLS_PORT} if mode.has_tls else {})


def endpoint_port(mode: TlsMode) -> int:
    """The port that applications are given: without TLS while there is one, since those that use it by then would be
    cut off by another. They move to the other port one by one, in mode `both`."""
    return own_port(mode)


def own_port(mode: TlsMode) -> int:
    """The port by which the programs of a pod reach its own Redis: without TLS while there is one."""
    return names.REDIS_PORT if mode.has_plain else names.TLS_PORT


def certificate(settings: Settings, pool: str) -> tuple[Manifest, ...]:
    """The Secret with the certificate that the stack signs itself, or what cert-manager is asked for; nothing where
    somebody else makes the Secret.

    One certificate for all pods of a pool. A wildcard stands for the pods of a StatefulSet, so that it need not be
    issued anew when their number changes. The exporter, which is in the pod, asks for 127.0.0.1.
    """
    tls = settings.tls
    if tls.own_authority:
        return (_own_certificate(),)
    if not tls.mode.has_tls or tls.issuer is None:
        return ()
    return (
        Manifest(
            "certificate",
            kubernetes_object(
                "cert-manager.io/v1",
                "Certificate",
                name=names.TLS_OBJECT,
                namespace=keys.NAMESPACE,
                # The Secret is there when the Certificate is ready, and pods wait for it.
                annotations={"pulumi.com/waitFor": "condition=Ready"},
                spec={
                    "secretName": names.TLS_OBJECT,
                    "commonName": names.CLIENT_NAMESPACE,
                    "dnsNames": dns_names(settings, pool),
                    "ipAddresses": ["127.0.0.1"],
                    "duration": f"{_DURATION_HOURS}h0m0s",
                    "renewBefore": f"{RENEWED_BEFORE_HOURS}h0m0s",
                    # Nodes show it to clients, and to each other from either end.
                    "usages": ["server auth", "client auth"],
                    # A handshake with such a key costs the one core of Redis a tenth of one with RSA.
                    "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
                    "issuerRef": {"name": tls.issuer, "kind": tls.issuer_kind, "group": tls.issuer_group},
                },
            ),
            await_seconds=_ISSUED_WITHIN_SECONDS,
        ),
    )


def _own_certificate() -> Manifest:
    """Its name stays and its content changes in place, so that pods take up another certificate without a restart."""
    return Manifest(
        "certificate",
        kubernetes_object(
            "v1",
            "Secret",
            name=names.OWN_TLS_OBJECT,
            namespace=keys.NAMESPACE,
            type="kubernetes.io/tls",
            stringData={file: keys.certificate_file(file) for file in FILES},
        ),
    )


def dns_names(settings: Settings, pool: str) -> list[str]:
    """The stable name of the cache, the pool's Services, and the pods of each."""
    domain = settings.cluster_domain
    sets = [names.service_host(names.set_name(copy), pool, domain) for copy in range(settings.copies_per_shard)]
    return [
        names.service_host(names.CLIENT_SERVICE, names.CLIENT_NAMESPACE, domain),
        names.service_host(names.CLIENT_SERVICE, pool, domain),
        *sets,
        *(f"*.{name}" for name in sets),
    ]


def secret_name(settings: Settings) -> str:
    """In which Secret of the pool's namespace the certificate is."""
    return settings.tls.secret or (names.OWN_TLS_OBJECT if settings.tls.own_authority else names.TLS_OBJECT)


def volume(settings: Settings, *files: str, name: str = VOLUME) -> dict[str, Any]:
    """A volume with these files of the certificate's Secret."""
    return {
        "name": name,
        "secret": {
            "secretName": secret_name(settings),
            "defaultMode": GROUP_READS,
            "items": [{"key": file, "path": file} for file in files],
        },
    }


def mount(name: str = VOLUME) -> dict[str, Any]:
    """Where a container has it."""
    return {"name": name, "mountPath": names.TLS_PATH, "readOnly": True}


def files_of_clients(settings: Settings) -> tuple[str, ...]:
    """What a program needs that connects to Redis and is no node."""
    own = (names.CERTIFICATE, names.PRIVATE_KEY)
    required = settings.tls.client_certificates is ClientCertificates.REQUIRED
    return (names.AUTHORITY, *(own if required else ()))
