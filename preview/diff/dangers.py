"""What speaks against an edit: what it would destroy, whom it cuts off, and what a Job or Pulumi refuses. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from components.config.engines import can_follow, can_share_bus, can_take_keys, differences
from components.config.formats import count
from preview.changes import force_new
from preview.diff.clients import clients_told
from preview.diff.edit import Danger, Edit, moves_keys, told_to_pods
from preview.diff.kinds import all_counted, counted
from preview.resources import Resource

_HOLDS_SLOTS = ("StatefulSet", "PersistentVolumeClaim", "Namespace", "NodeGroup")
"""What must never be replaced: under its own name it would go first, with the pods and the slots in it."""
_CERTIFICATE = "tls"
"""The volume of a pod that has its certificate."""


def dangers(edit: Edit) -> tuple[Danger, ...]:
    """What the update must not do, or what is refused; empty for an edit that is safe."""
    if edit.names_another_cluster:
        return (_another_cluster(edit),)
    return (
        *_other_domain(edit),
        *_switch_of_tls(edit),
        *_switch_of_authority(edit),
        *_switch_of_engine(edit),
        *_what_goes(edit),
        *_protection(edit),
        *(item for item in clients_told(edit) if isinstance(item, Danger)),
    )


def _another_cluster(edit: Edit) -> Danger:
    protected = sum(bool(item.options.get("protect")) for item in edit.before.values())
    refused = f"Pulumi refuses that while {count(protected, 'resource')} of it are protected. " if protected else ""
    return Danger(
        "It names another Kubernetes cluster. No pod there can join this cache: that is a second cache, and this one "
        f'would be deleted. {refused}docs/runbook.md, "Move to another Kubernetes cluster", has the way.',
        "makes a second cache in another Kubernetes cluster, and deletes this one",
    )


def _other_domain(edit: Edit) -> Iterator[Danger]:
    before, after = (
        next((domain for item in side.values() if (domain := _domain(item)) is not None), None)
        for side in (edit.before, edit.after)
    )
    if before is not None and after is not None and before != after:
        yield Danger(
            f"clusterDomain goes from {before} to {after}. A Kubernetes cluster does not change its domain. The Job "
            f"check refuses this before a pod of Redis is made or replaced, unless {after} is the domain of this "
            f"cluster; then nothing runs under {before}, which it refused likewise (docs/networking.md).",
            f"refused by the Job check, unless {after} is the domain of this cluster",
            is_certain=False,
        )


def _domain(item: Resource) -> str | None:
    return told_to_pods(item).get("CLUSTER_DOMAIN") if item.kind == "StatefulSet" else None


def _switch_of_tls(edit: Edit) -> Iterator[Danger]:
    """Whether pods that stay would leave a step out, in which clients of both kinds are let in."""
    for item in edit.changed:
        if item.kind == "StatefulSet":
            before, after = _tls_mode(edit.before[item.urn]), _tls_mode(item)
            if {before, after} == {"plain", "required"}:
                step = f"tls.mode goes from {before} to {after} in one edit"
                yield Danger(
                    f"Clients would be cut off: {step}. The Job release refuses this before a pod is replaced. Set "
                    'tls.mode: both first (docs/runbook.md, "Change to TLS, and back").',
                    f"refused by the Job release: {step}",
                )
                return


def _tls_mode(pods: Resource) -> str:
    """As the pods of a StatefulSet are told. Those of a version that had no TLS are told nothing."""
    return str(told_to_pods(pods).get("TLS_MODE") or "plain")


@dataclass(frozen=True, slots=True)
class _Authority:
    """Who signs the pods' certificate."""

    title: str
    is_stack: bool = False
    is_given: bool = False
    """Whether a Secret brings the certificate: then its `ca.crt` may have another authority beside its own."""


def _switch_of_authority(edit: Edit) -> Iterator[Danger]:
    """Whether pods that stay would get a certificate that another authority signs."""
    stay = any(item.kind == "StatefulSet" and item.urn in edit.before for item in edit.after.values())
    before, after = (_authority(tuple(side.values())) for side in (edit.before, edit.after))
    if not stay or before is None or after is None or before == after:
        return
    change = f"The certificate is signed by {after.title} and no longer by {before.title}."
    refuses = "The Job release refuses this before a pod is replaced"
    if (before.is_given or after.is_given) and not (before.is_stack or after.is_stack):
        # The steps of the runbook lead through such an edit.
        conditional = f"{refuses}, unless the new ca.crt has both."
        instead = ""
    else:
        conditional = f"{refuses}."
        if after.is_given:
            conditional += " A ca.crt with both does not help, since the stack signs nothing for others."
        instead = f"refused by the Job release: the certificate would be signed by {after.title}"
    yield Danger(
        f"{change} A pod that trusts one of them alone refuses a pod of the other. {conditional} docs/runbook.md, "
        '"Another authority", has the steps.',
        instead,
    )


def _authority(resources: Iterable[Resource]) -> _Authority | None:
    """None where pods have no certificate."""
    signed_by = {}
    for item in resources:
        if item.kind == "StatefulSet":
            for volume in item.inputs["spec"]["template"]["spec"].get("volumes", ()):
                if volume["name"] == _CERTIFICATE and (secret := volume.get("secret")):
                    name = secret["secretName"]
                    signed_by[name] = _Authority(f"whoever made Secret {name}", is_given=True)
    for item in resources:
        if item.kind == "Certificate":
            issuer = item.inputs["spec"]["issuerRef"]
            title = f"{issuer['kind']} {issuer['name']} of {issuer['group']}"
            signed_by[item.inputs["spec"]["secretName"]] = _Authority(title)
        elif item.kind == "Secret" and item.inputs.get("type") == "kubernetes.io/tls":
            signed_by[item.inputs["metadata"]["name"]] = _Authority("the stack", is_stack=True)
    return next(iter(signed_by.values()), None)


def _switch_of_engine(edit: Edit) -> Iterator[Danger]:
    """What is to be known before pods that stay, or a pool that takes over, get another server. What the Jobs refuse
    is in reconciler/decide/versions.py; tests/preview/test_refused_servers.py holds the two equal."""
    change = edit.server_change
    if change is None:
        return
    before, after = change.before, change.after
    moves = moves_keys(edit.after.values())
    remedy = ""
    if not can_share_bus(after, before):
        fault = f"{after.title} cannot be in one cluster with {before.title}"
    elif change.pods_stay and not can_follow(after, before):
        fault = f"{after.title} cannot read the data of {before.title}"
        remedy = " Another podMemory with resize.mode: expire makes a pool that fills itself."
    elif (not change.pods_stay or change.masters_go) and moves and not can_take_keys(after, before):
        fault = f"{after.title} cannot read the keys of {before.title}"
        remedy = (
            " Change the number of masters in an edit of its own."
            if change.pods_stay
            else " With resize.mode: expire the new pool fills itself."
        )
    elif change.pods_stay and before.engine is not after.engine:
        yield Danger(
            f"{before.title} becomes {after.title} in pods that stay: "
            f"{'; '.join(differences(before, after))} (docs/engines.md)."
        )
        return
    else:
        return
    yield Danger(
        f"{fault}, which runs now. The Job release refuses this before a pod is "
        f'{"replaced" if change.pods_stay else "made"} (docs/engines.md, "From one version to another").{remedy}',
        f"refused by the Job release: {fault}",
    )


def _what_goes(edit: Edit) -> Iterator[Danger]:
    """What holds slots and would be replaced, and what Pulumi refuses to delete. One danger for all of a kind."""
    replaced: dict[tuple[str, str], list[Resource]] = defaultdict(list)
    for item in edit.replaced:
        if item.kind in _HOLDS_SLOTS:
            replaced[item.kind, ", ".join(force_new(edit.before[item.urn], item))].append(item)
    for (kind, fields), items in replaced.items():
        what = f"{kind} {items[0].name}" if len(items) == 1 else counted(len(items), kind)
        holds, it = ("holds", "it") if len(items) == 1 else ("hold", "them")
        it_or_they = "it" if len(items) == 1 else "they"
        yield Danger(f"{what} would be replaced for {fields}, and what {it_or_they} {holds} would go with {it}.")
    protected: dict[str, list[Resource]] = defaultdict(list)
    for item in (*edit.deleted, *(edit.before[item.urn] for item in edit.replaced)):
        if item.options.get("protect"):
            protected[item.kind].append(item)
    for kind, items in protected.items():
        if len(items) == 1:
            yield Danger(f"{kind} {items[0].name} is protected: Pulumi refuses to delete it.")
        else:
            yield Danger(f"{counted(len(items), kind)} are protected: Pulumi refuses to delete them.")


def _protection(edit: Edit) -> Iterator[Danger]:
    if edit.unprotected:
        yield Danger(f"`pulumi destroy` may delete what it refused to delete before: {all_counted(edit.unprotected)}.")
