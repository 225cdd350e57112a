"""What applications need to connect, in the namespaces that the config names. Pure."""

from typing import Any

from components.config.settings import Settings
from components.manifests import keys, names, tls, users
from components.manifests.manifest import Manifest, kubernetes_object


def connection(settings: Settings) -> dict[str, Any]:
    """All but the password: the same whatever pool serves. The port, and whether it has TLS, change with `tls.mode`
    alone.

    The authority (PEM) is there where TLS is and this program knows it. It is a `Ref` where the stack has its own.
    """
    return {
        "host": names.service_host(names.CLIENT_SERVICE, names.CLIENT_NAMESPACE, settings.cluster_domain),
        "port": str(tls.endpoint_port(settings.tls.mode)),
        "tls": "false" if settings.tls.mode.has_plain else "true",
        "username": users.APP,
        **_authority(settings),
    }


def _authority(settings: Settings) -> dict[str, Any]:
    if settings.tls.own_authority:
        return {names.AUTHORITY: keys.certificate_file(names.AUTHORITY)}
    given = settings.tls.authority if settings.tls.mode.has_tls else None
    return {} if given is None else {names.AUTHORITY: given}


def delivered(settings: Settings, *after: str) -> tuple[Manifest, ...]:
    """A Secret in each of these namespaces, under a name that does not change, so that applications can name it.

    Its content changes in place. It comes after the pods that accept a new password, and a mounted file follows it
    within a minute or two.
    """
    return tuple(
        Manifest(
            f"delivered-{namespace}",
            kubernetes_object(
                "v1",
                "Secret",
                name=names.CLIENT_SECRET,
                namespace=namespace,
                stringData={**connection(settings), "password": keys.secret_value(users.PASSWORD_KEY)},
            ),
            after=after,
        )
        for namespace in settings.access.deliver_to
    )
