"""Who may connect to the cache, and what they may do there: before an edit and after it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from preview.diff.edit import Danger, Edit, containers
from preview.resources import Resource

_NAMESPACE_NAME = "kubernetes.io/metadata.name"
"""The label that the API server gives to every namespace."""
_RIGHTS_WITHOUT_A_USER = ("refused", "app", "everything")
"""Values of access.defaultUser, each with more rights than the one before it."""


def clients_told(edit: Edit) -> tuple[Danger | str, ...]:
    """What an edit means for clients: as a danger where some lose what they have, and otherwise as a sentence."""
    if not edit.before:
        return ()
    return (*_connections(edit), *users_told(edit))


def users_told(edit: Edit) -> tuple[Danger | str, ...]:
    """The part of it that is about users and their passwords."""
    if edit.access is None:
        return ()
    topics = (_passwords, _without_a_user, _keys, _scripts)
    return tuple(told for topic in topics for told in topic(*edit.access))


@dataclass(frozen=True, slots=True)
class Peer:
    """Pods that a network policy lets in: all of a namespace, or those with some labels. No namespace: everybody."""

    namespace: str = ""
    labels: frozenset[str] = frozenset()

    def covers(self, other: Peer) -> bool:
        return self.namespace in ("", other.namespace) and self.labels <= other.labels

    def __str__(self) -> str:
        if not self.namespace:
            return "whoever reaches the pods"
        labels = ",".join(sorted(self.labels))
        return f"pods {self.namespace}/{labels}" if labels else f"pods of namespace {self.namespace}"


def peers(resources: Iterable[Resource]) -> frozenset[Peer]:
    """Who may connect to Redis, beside the pods and Jobs of the pools themselves."""
    items = tuple(resources)
    policies = [item for item in items if item.kind == "NetworkPolicy"]
    if not policies:
        return frozenset({Peer()})
    ports = {
        port["containerPort"]
        for item in items
        if item.kind == "StatefulSet"
        for port in containers(item)[0].get("ports", ())
    }
    found: set[Peer] = set()
    for policy in policies:
        for rule in policy.inputs["spec"].get("ingress", ()):
            if ports.isdisjoint(port.get("port") for port in rule.get("ports", ())):
                continue
            found |= {Peer()} if "from" not in rule else {peer for one in rule["from"] for peer in _named(one)}
    return frozenset(found)


def _named(selected: Mapping[str, Any]) -> Iterator[Peer]:
    """Pools are selected by another label than their name, and so are none of these."""
    namespaces = selected.get("namespaceSelector") or {}
    labels = (selected.get("podSelector") or {}).get("matchLabels") or {}
    names = [name for key, name in (namespaces.get("matchLabels") or {}).items() if key == _NAMESPACE_NAME]
    for expression in namespaces.get("matchExpressions") or ():
        if expression["key"] == _NAMESPACE_NAME:
            names += expression["values"]
    return (Peer(name, frozenset(f"{key}={value}" for key, value in labels.items())) for name in names)


def _connections(edit: Edit) -> Iterator[Danger | str]:
    before, after = peers(edit.before.values()), peers(edit.after.values())
    lost = [peer for peer in before if not any(other.covers(peer) for other in after)]
    gained = [peer for peer in after if not any(other.covers(peer) for other in before)]
    if lost:
        can = f"; {_listed(after - before)} can" if after - before else ""
        yield Danger(f"{_sentence(lost)} can no longer connect{can}.")
    elif gained:
        yield f"{_sentence(gained)} can connect from now on."


def _listed(found: Iterable[Peer]) -> str:
    return " and ".join(sorted(map(str, found)))


def _sentence(found: Iterable[Peer]) -> str:
    text = _listed(found)
    return text[:1].upper() + text[1:]


@dataclass(frozen=True, slots=True)
class _Sealed:
    """A password that is encrypted: by its text nobody knows it, and the same text is the same password."""

    text: str


def _seen(access: Mapping[str, Any], key: str) -> str | _Sealed | None:
    value = access.get(key)
    return _Sealed(str(value["secure"])) if isinstance(value, Mapping) else value or None


def _passwords(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Danger | str]:
    """A password that is absent is the one that the stack has made."""
    (old, old_also), (new, also) = ((_seen(side, "password"), _seen(side, "alsoAccepted")) for side in (before, after))
    known, accepted = {old} | ({old_also} - {None}), {new} | ({also} - {None})
    steps = 'docs/runbook.md, "Change the password", has the two edits.'
    if known.isdisjoint(accepted):
        if also is None:
            # Whoever encrypts a value again gets another text of it.
            unless = ", unless it is the same password, encrypted anew" if {type(old), type(new)} == {_Sealed} else ""
            yield Danger(
                "access.password changes, and access.alsoAccepted does not keep the one of before. The Job release "
                "is not let in by nodes that know that one alone, and refuses this before a pod is "
                f"replaced{unless}. {steps}",
                f"refused by the Job release: access.password changes in one edit{unless}",
                is_certain=not unless,
            )
        else:
            yield Danger(
                "access.password changes. The Job release refuses this before a pod is replaced, unless "
                f"access.alsoAccepted is the password of before; then clients may give either of them. {steps}"
            )
    elif known - accepted:
        key = "access.alsoAccepted" if old in accepted else "access.password"
        yield Danger(f"Clients that give the password that was {key} are refused from now on.")
    elif accepted - known:
        yield "Clients may give either of access.password and access.alsoAccepted from now on."


def _without_a_user(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Danger | str]:
    old, new = (str(side.get("defaultUser") or "refused") for side in (before, after))
    if old == new or not {old, new} <= set(_RIGHTS_WITHOUT_A_USER):
        return
    who = "Clients that give a password without a user"
    if new == "refused":
        yield Danger(f"{who} are refused from now on. Those that name the user app go on.")
    elif new == "everything":
        yield Danger(f"{who} may do everything from now on: FLUSHALL, CONFIG and SHUTDOWN too.")
    elif old == "everything":
        yield Danger(f"{who} may do from now on what the user app may, and no longer everything.")
    else:
        yield f"{who} are let in from now on, with the rights of the user app."


def _keys(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Danger | str]:
    old, new = (str(side.get("keyPrefix") or "") for side in (before, after))
    if old == new:
        return
    reach = f'only keys that begin with "{new}"' if new else "every key"
    if old.startswith(new):
        yield f'Clients may use {reach} from now on, and not only those that begin with "{old}".'
        return
    others = "SCAN, RANDOMKEY, DBSIZE and every other key are refused" if not old else "Every other key is refused"
    yield Danger(f"Clients may use {reach} from now on. {others} (NOPERM).")


def _scripts(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Danger | str]:
    old, new = (bool(side.get("scripts")) for side in (before, after))
    if old and not new:
        yield Danger("Scripts and functions of clients (EVAL, FCALL) are refused from now on.")
    elif new and not old:
        yield "Clients may run scripts and functions (EVAL, FCALL) from now on."
