"""Rules between keys that keep a cache safe: who is let in, what encrypts, and which bytes run.

They are asked with the others, as `components.config.rules` says.
"""

from collections.abc import Iterator

from components.config.choices import ClientCertificates, DefaultUser, NodeEndpoint, TlsMode
from components.config.formats import shown
from components.config.settings import Access, Images, Monitoring, Nodes, Tls


def production_names_its_clients(access: Access, nodes: Nodes) -> Iterator[str]:
    """In production, Redis's port is open to those that are named."""
    if nodes.production and not access.allow_from_namespaces and not access.allow_from_pods:
        yield (
            "access.allowFromNamespaces and access.allowFromPods are empty with nodes.production = true: whoever "
            "reaches the pods could try passwords on them; name the namespaces of the applications, as in "
            "access.allowFromNamespaces: [images], or say nodes.production: false"
        )


def who_is_told_is_let_in(access: Access) -> Iterator[str]:
    """A namespace that is given the password can use it."""
    let_in = {*access.allow_from_namespaces, *(selection.partition("/")[0] for selection in access.allow_from_pods)}
    shut_out = [namespace for namespace in access.deliver_to if let_in and namespace not in let_in]
    if shut_out:
        yield (
            f"access.deliverTo names {', '.join(shut_out)}: no pod there may connect; add it to "
            "access.allowFromNamespaces, or some of its pods to access.allowFromPods"
        )


def metrics_have_a_reader(monitoring: Monitoring) -> Iterator[str]:
    """Exporters run for somebody."""
    if monitoring.exporter and not monitoring.allow_from_namespaces:
        yield (
            "monitoring.allowFromNamespaces is empty with monitoring.exporter = true: nobody could read the metrics; "
            "name the namespace that Prometheus runs in, as in monitoring.allowFromNamespaces: [monitoring]"
        )


def production_says_whether_it_has_tls(tls: Tls, nodes: Nodes) -> Iterator[str]:
    """In production, TLS is off only where that is said, with a reason. It is not on by default either: another version
    of this program would then change what a living cache speaks, and the port of its clients."""
    if not nodes.production or tls.mode is not TlsMode.PLAIN or tls.plain_because is not None:
        return
    given = "tls.mode = plain" if "mode" in tls.model_fields_set else "tls.mode is not given"
    yield (
        f"{given} with nodes.production = true: whoever reads the network between the nodes would read images and "
        "passwords. A new cache says tls.mode: required. One that runs without TLS says tls.mode: both first "
        '(docs/runbook.md, "Change to TLS, and back"), or tells in tls.plainBecause why it stays so'
    )


def certificates_have_one_source(tls: Tls) -> Iterator[str]:
    """An issuer or a Secret, never both."""
    if tls.issuer is not None and tls.secret is not None:
        yield (
            f"tls.issuer = {tls.issuer} with tls.secret = {tls.secret}: the certificate comes from one of the two; "
            "remove the other"
        )


def the_stack_signs_for_nodes_alone(tls: Tls) -> Iterator[str]:
    """Whoever has a certificate of the authority can join the cluster, so clients get none of the stack's own."""
    if tls.own_authority and tls.client_certificates is ClientCertificates.REQUIRED:
        yield (
            "tls.clientCertificates = required without tls.issuer and tls.secret: the stack's own authority signs for "
            "nodes and gives clients nothing that they could show; name a cert-manager issuer with tls.issuer, or a "
            "Secret with tls.secret"
        )


def certificates_name_what_clients_ask_for(tls: Tls, access: Access) -> Iterator[str]:
    """With TLS, clients are led to names, which certificates have, and not to addresses, which they have not."""
    if tls.mode.has_tls and access.node_endpoint is NodeEndpoint.IP:
        yield (
            f"access.nodeEndpoint = ip with tls.mode = {tls.mode.value}: clients would be led to addresses, and a "
            "certificate has names alone, so they would refuse every node; use nodeEndpoint: hostname"
        )


def one_change_of_passwords_at_a_time(access: Access) -> Iterator[str]:
    """A pod knows two ways into another one: the usual one, and one for the time of a change."""
    if access.default_user is DefaultUser.EVERYTHING and access.also_accepted is not None:
        yield (
            "access.defaultUser = everything with access.alsoAccepted: both are for the time of a change, and pods can "
            "be in one change at a time; end the change of the password first, then give the cluster its users"
        )


def production_says_whether_it_pins_images(images: Images, monitoring: Monitoring, nodes: Nodes) -> Iterator[str]:
    """In production, every image that runs has its digest, or the stack file says why not. No default has one: a digest
    is of the registry, the day and the person who looked at it."""
    by_tag = images.without_digest(monitoring.exporter)
    if not nodes.production or not by_tag or images.tags_because is not None:
        return
    given = " and ".join(f"images.{key} = {shown(image)}" for key, image in by_tag.items())
    first = next(iter(by_tag.values()))
    yield (
        f"{given} without a digest, with nodes.production = true: what a tag names may change, and a pod that restarts "
        "on another node would then run other bytes than the rest. Write the digest behind the tag, as "
        f"{first}@sha256: and 64 characters of 0-9 and a-f; `docker buildx imagetools inspect {images.fetched(first)}` "
        "prints it. Or tell in images.tagsBecause why tags are enough"
    )
