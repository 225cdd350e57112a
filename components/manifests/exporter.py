"""The exporter beside each Redis. Pure: settings -> Kubernetes inputs."""

from typing import Any

from components.config.choices import ClientCertificates
from components.config.settings import Settings
from components.config.units import kubernetes_quantity
from components.manifests import names, tls
from components.manifests.containers import USERS_PATH, locked_down, password_files
from components.manifests.users import EXPORTED_ADDRESSES, METRICS, METRICS_KEY
from components.plan.sizing import EXPORTER_CPU_MILLICORES, EXPORTER_MEMORY_MIB

METRICS_PORT = "metrics"
"""Name of the exporter's port."""
_TIMEOUT_SECONDS = 5
_CERTIFICATES = "tls-exporter"
"""Volume of what the exporter needs of the certificate, without the key where it shows none."""
_PASSWORD = "exporter-password"  # noqa: S105 (a name)
"""Volume of the exporter's password alone: Redis has no use for it, and the exporter none for the others. The exporter
reads it once, when it starts. Another password is in a Secret of another name, for which the pods roll."""


def container(settings: Settings) -> dict[str, Any]:
    has_plain = settings.tls.mode.has_plain
    return {
        "name": "exporter",
        "image": settings.images.fetched(settings.images.exporter),
        "ports": [{"name": METRICS_PORT, "containerPort": names.EXPORTER_PORT}],
        "env": [
            *_address(settings),
            # `/scrape?target=` would send the password to any address that whoever reaches the port names
            # (docs/reference/redis.md, "Monitoring"). Only versions from 1.83 on know this switch.
            {"name": "REDIS_EXPORTER_DISABLE_SCRAPE_ENDPOINT", "value": "true"},
            # Below the 10 s that Prometheus waits for a scrape by itself. Or a Redis that hangs would be no Redis that
            # is down, but a scrape without an answer.
            {"name": "REDIS_EXPORTER_CONNECTION_TIMEOUT", "value": f"{_TIMEOUT_SECONDS}s"},
            # CONFIG GET tells the password of the user `replica`, so the user `metrics` may not run it.
            {"name": "REDIS_EXPORTER_CONFIG_COMMAND", "value": "-"},
            {"name": "REDIS_USER", "value": METRICS},
            {"name": "REDIS_PASSWORD_FILE", "value": f"{USERS_PATH}/{METRICS_KEY}"},
        ],
        "resources": {
            "requests": {"cpu": f"{EXPORTER_CPU_MILLICORES}m", "memory": kubernetes_quantity(EXPORTER_MEMORY_MIB)},
            "limits": {"memory": kubernetes_quantity(EXPORTER_MEMORY_MIB)},
        },
        "securityContext": locked_down(),
        "volumeMounts": [
            {"name": _PASSWORD, "mountPath": USERS_PATH, "readOnly": True},
            *([] if has_plain else [tls.mount(_CERTIFICATES)]),
        ],
    }


def volumes(settings: Settings) -> list[dict[str, Any]]:
    """What the pod has for it."""
    password = password_files(_PASSWORD, METRICS_KEY)
    if settings.tls.mode.has_plain:
        return [password]
    return [password, tls.volume(settings, *tls.files_of_clients(settings), name=_CERTIFICATES)]


def _address(settings: Settings) -> list[dict[str, Any]]:
    """Where the exporter finds Redis, and what it shows and wants to see there."""
    address = EXPORTED_ADDRESSES[not settings.tls.mode.has_plain]
    if settings.tls.mode.has_plain:
        return [{"name": "REDIS_ADDR", "value": address}]
    files = {"CA_CERT_FILE": names.AUTHORITY}
    if settings.tls.client_certificates is ClientCertificates.REQUIRED:
        files |= {"CLIENT_CERT_FILE": names.CERTIFICATE, "CLIENT_KEY_FILE": names.PRIVATE_KEY}
    return [
        {"name": "REDIS_ADDR", "value": address},
        *({"name": f"REDIS_EXPORTER_TLS_{key}", "value": f"{names.TLS_PATH}/{file}"} for key, file in files.items()),
    ]
