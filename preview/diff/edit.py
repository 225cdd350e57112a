"""The resources of a stack before and after an edit, and what of them changes. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from components.config.engines import Server, can_follow, differences, server_of
from preview.changes import changed_paths, force_new, prune
from preview.resources import Resource

_HOLDS_SLOTS = ("StatefulSet", "PersistentVolumeClaim", "Namespace", "NodeGroup")
"""What must never be replaced: under its own name it would go first, with the pods and the slots in it."""
_CERTIFICATE = "tls"
"""The volume of a pod that has its certificate."""


@dataclass(frozen=True)
class Edit:
    """Resources by URN, before and after."""

    before: Mapping[str, Resource]
    after: Mapping[str, Resource]

    @classmethod
    def between(cls, before: Iterable[Resource], after: Iterable[Resource]) -> Edit:
        """The edit from one list of resources to another. Components, which only group others, are left out."""
        return cls(*({item.urn: item for item in items if item.inputs} for items in (before, after)))

    @cached_property
    def created(self) -> tuple[Resource, ...]:
        """In the order of the program, like the others here."""
        return tuple(item for urn, item in self.after.items() if urn not in self.before)

    @cached_property
    def deleted(self) -> tuple[Resource, ...]:
        return tuple(item for urn, item in self.before.items() if urn not in self.after)

    @cached_property
    def changed(self) -> tuple[Resource, ...]:
        """What is updated in place or replaced, as it will be."""
        kept = {urn: item for urn, item in self.after.items() if urn in self.before}
        found = {urn for urn, item in kept.items() if changed_paths(prune(self.before[urn].inputs), prune(item.inputs))}
        # A launch template's next version is AWS's to number, so that offline a group seems to keep the one it has.
        templates = {urn for urn in found if self.after[urn].kind == "LaunchTemplate"}
        found |= {
            urn for urn, item in kept.items() if item.kind == "NodeGroup" and not templates.isdisjoint(item.depends_on)
        }
        return tuple(item for urn, item in kept.items() if urn in found)

    @cached_property
    def replaced(self) -> tuple[Resource, ...]:
        """What of `changed` is made anew."""
        return tuple(item for item in self.changed if force_new(self.before[item.urn], item))

    @property
    def is_empty(self) -> bool:
        return not (self.created or self.deleted or self.changed)

    def runs(self, phase: str) -> Resource | None:
        """The Job of a phase (`form`, `release`, `rollout-redis-master`) if the update runs it."""
        jobs = [item for item in (*self.created, *self.replaced) if item.kind == "Job"]
        return next((job for job in jobs if job.name.endswith(f"-{phase}")), None)

    def dangers(self) -> tuple[str, ...]:
        """What the update must not do, or what Pulumi refuses; empty for an edit that is safe."""
        providers = [item for item in self.changed if item.type == "pulumi:providers:kubernetes"]
        if any(_cluster(self.before[item.urn]) != _cluster(item) for item in providers):
            return (
                "It names another Kubernetes cluster. No pod there can join this cache: that is a second cache, and "
                "this one would be deleted.",
            )
        found = [
            f"{item.kind} {item.name} would be replaced for {', '.join(force_new(self.before[item.urn], item))}, "
            "and what it holds would go with it."
            for item in self.replaced
            if item.kind in _HOLDS_SLOTS
        ]
        for item in (*self.deleted, *(self.before[item.urn] for item in self.replaced)):
            if item.options.get("protect"):
                found.append(f"{item.kind} {item.name} is protected: Pulumi refuses to delete it.")
        return (*found, *self._switch_of_tls(), *self._switch_of_authority(), *self._switch_of_engine())

    def _switch_of_tls(self) -> tuple[str, ...]:
        """Whether pods that stay would leave a step out, in which clients of both kinds are let in."""
        pods = [item for item in self.changed if item.kind == "StatefulSet"]
        if not any({_tls_mode(self.before[item.urn]), _tls_mode(item)} == {"plain", "required"} for item in pods):
            return ()
        return (
            "Clients would be cut off: tls.mode goes from plain to required or back in one edit. The Job release "
            "refuses this before a pod is replaced. Set tls.mode: both first "
            '(docs/runbook.md, "Change to TLS, and back").',
        )

    def _switch_of_authority(self) -> tuple[str, ...]:
        """Whether pods that stay would get a certificate that another authority signs."""
        stay = any(item.kind == "StatefulSet" and item.urn in self.before for item in self.after.values())
        before, after = (_authority(tuple(side.values())) for side in (self.before, self.after))
        if not stay or before is None or after is None or before == after:
            return ()
        return (
            f"The certificate is signed by {after} and no longer by {before}. A pod that trusts one of them alone "
            'refuses a pod of the other. docs/runbook.md, "Another authority", has the steps. The Job release refuses '
            "this before a pod is replaced, unless the new ca.crt has both.",
        )

    def _switch_of_engine(self) -> tuple[str, ...]:
        """What is to be known before pods that stay get another server."""
        for before, after in self._servers():
            if not can_follow(after.line, before.line):
                return (
                    f"{after.title} cannot read the data of {before.title}, which runs now. The Job release refuses "
                    "this before a pod is replaced (docs/engines.md has what can follow what).",
                )
            if before.line.engine is not after.line.engine:
                return (
                    f"{before.title} becomes {after.title} in pods that stay: "
                    f"{'; '.join(differences(before.line, after.line))} (docs/engines.md).",
                )
        return ()

    def newer_servers(self) -> tuple[str, ...]:
        """What another line of the same engine changes in pods that stay. That is no danger, and is told once."""
        return tuple(
            dict.fromkeys(
                f"{before.line.title} becomes {after.line.title}: {'; '.join(told)} (docs/engines.md)."
                for before, after in self._servers()
                if before.line.engine is after.line.engine and (told := differences(before.line, after.line))
            )
        )

    def _servers(self) -> Iterator[tuple[Server, Server]]:
        """Before and after, where pods that stay get a server of another line."""
        for item in self.changed:
            before, after = _server(self.before[item.urn]), _server(item)
            if before is not None and after is not None and before.line != after.line:
                yield before, after


def _cluster(provider: Resource) -> Any:
    """By what the provider tells whether it is another cluster: the name that it is given, or how it is reached."""
    given = provider.inputs
    return given.get("clusterIdentifier") or [given.get(key) for key in ("kubeconfig", "context", "cluster")]


def _tls_mode(pods: Resource) -> str:
    """As the pods of a StatefulSet are told. Those of a version that had no TLS are told nothing."""
    (redis, *_) = pods.inputs["spec"]["template"]["spec"]["containers"]
    told = {entry["name"]: entry.get("value") for entry in redis.get("env", ())}
    return str(told.get("TLS_MODE") or "plain")


def _authority(resources: Sequence[Resource]) -> str | None:
    """Who signs the pods' certificate; None where they have none."""
    signed_by = {
        secret["secretName"]: f"whoever made Secret {secret['secretName']}"
        for item in resources
        if item.kind == "StatefulSet"
        for volume in item.inputs["spec"]["template"]["spec"].get("volumes", ())
        if volume["name"] == _CERTIFICATE and (secret := volume.get("secret"))
    }
    for item in resources:
        if item.kind == "Certificate":
            issuer = item.inputs["spec"]["issuerRef"]
            signed_by[item.inputs["spec"]["secretName"]] = f"{issuer['kind']} {issuer['name']} of {issuer['group']}"
        elif item.kind == "Secret" and item.inputs.get("type") == "kubernetes.io/tls":
            signed_by[item.inputs["metadata"]["name"]] = "the stack"
    return next(iter(signed_by.values()), None)


def _server(item: Resource) -> Server | None:
    """What the pods of a StatefulSet run; None for other objects, and for an image whose name does not say it."""
    if item.kind != "StatefulSet":
        return None
    try:
        return server_of(item.inputs["spec"]["template"]["spec"]["containers"][0]["image"])
    except ValueError:
        return None


@dataclass(frozen=True)
class PodSet:
    """A StatefulSet of a pool before and after; None where it is not there."""

    name: str
    before: Resource | None
    after: Resource | None

    @property
    def pods_before(self) -> int:
        return int(self.before.inputs["spec"]["replicas"]) if self.before else 0

    @property
    def pods_after(self) -> int:
        return int(self.after.inputs["spec"]["replicas"]) if self.after else 0

    @property
    def rolls(self) -> bool:
        """Whether pods that stay are replaced, one after the other."""
        if self.before is None or self.after is None:
            return False
        return bool(self._template(self.before) != self._template(self.after))

    @staticmethod
    def _template(item: Resource) -> Any:
        return prune(item.inputs["spec"]["template"])


def pod_sets(edit: Edit) -> tuple[PodSet, ...]:
    """In the order in which an update takes them: the last replicas first, the masters last."""
    found: dict[str, PodSet] = {}
    for item in (*edit.before.values(), *edit.after.values()):
        if item.kind == "StatefulSet" and item.urn not in found:
            name = item.inputs["metadata"]["name"]
            found[item.urn] = PodSet(name, edit.before.get(item.urn), edit.after.get(item.urn))
    # redis-master, redis-replica, redis-replica-2, …: the names sort in the opposite order.
    return tuple(sorted(found.values(), key=lambda item: item.name, reverse=True))


def wanted_nodes(resources: Iterable[Resource]) -> Any:
    """The Redis nodes that *form* is to bring about; None without a topology."""
    for item in resources:
        text = (item.inputs.get("data") or {}).get("topology.json") if item.kind == "ConfigMap" else None
        if text is not None:
            return json.loads(text)["nodes"]
    return None


def nodes_of(groups: Iterable[Resource]) -> int:
    """EC2 nodes that these node groups have."""
    return sum(int(group.inputs["scalingConfig"]["desiredSize"]) for group in groups)
