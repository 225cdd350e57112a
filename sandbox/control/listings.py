"""What `get` shows of each kind of object: which entries, which columns, which fields can be asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sandbox.control.report import age
from sandbox.errors import InvalidError
from sandbox.kubernetes.quantity import show_bytes

if TYPE_CHECKING:
    from sandbox.control.client import Sandbox

Item = Mapping[str, Any]
Column = Callable[[Item], str]

PODS, JOBS, POLICIES, EVENTS = "pods", "jobs", "networkPolicies", "events"
_ALIASES = {
    PODS: ("pod", "po"),
    JOBS: ("job",),
    "cronJobs": ("cronjobs", "cronjob", "cj"),
    "statefulSets": ("statefulsets", "statefulset", "sts"),
    "services": ("service", "svc"),
    "claims": ("pvc", "persistentvolumeclaims", "persistentvolumeclaim"),
    POLICIES: ("networkpolicies", "networkpolicy", "netpol"),
    "nodes": ("node", "no"),
    EVENTS: ("event", "ev"),
}
"""Kind, as `status --json` calls it -> kubectl's names for it."""


def kind_of(word: str) -> str:
    """Raises InvalidError for a kind that the sandbox does not list."""
    for kind, aliases in _ALIASES.items():
        if word.lower() in (kind.lower(), *aliases):
            return kind
    known = ", ".join(aliases[0] for aliases in _ALIASES.values())
    raise InvalidError(f"the sandbox lists no {word!r}; it lists: {known}")


def items_of(kind: str, sandbox: Sandbox) -> Sequence[dict[str, Any]]:
    """The entries of a kind; those of an event have the name of what they are about."""
    if kind != EVENTS:
        found: Sequence[dict[str, Any]] = sandbox.status()[kind]
        return found
    items = []
    for at, subject, reason, message in sandbox.events():
        about, _, path = subject.partition(" ")
        namespace, _, name = path.rpartition("/")
        item = {"name": name or about, "namespace": namespace or None, "about": subject, "reason": reason}
        items.append({**item, "message": message, "ageS": time.time() - at})
    return items


def field_of(kind: str, item: Item, field: str) -> str:
    """What a field selector compares. Raises InvalidError for a field that the sandbox does not compare."""
    known: dict[str, Column] = {"metadata.name": lambda item: str(item["name"])}
    if kind == PODS:
        known["status.phase"] = lambda item: str(item["phase"])
    if kind == EVENTS:
        known["reason"] = lambda item: str(item["reason"])
    if field not in known:
        raise InvalidError(f"--field-selector {field}: of {kind} the sandbox compares {', '.join(known)}")
    return known[field](item)


def rows_of(
    kind: str, items: Sequence[Item], *, wide: bool, labels: Sequence[str]
) -> tuple[list[str], list[list[str]]]:
    """Titles and rows of a table; a column for the namespace where there are several."""
    columns = dict(_COLUMNS[kind])
    if wide:
        columns |= _WIDE.get(kind, {})
    if len({item.get("namespace") for item in items}) > 1:
        columns = {"NAMESPACE": lambda item: str(item.get("namespace") or "-"), **columns}
    for label in labels:
        columns[label.rpartition("/")[2].upper()] = lambda item, label=label: item.get("labels", {}).get(label, "-")  # type: ignore[misc]
    return list(columns), [[show(item) for show in columns.values()] for item in items]


def _ready(item: Item) -> str:
    return f"{item['readyContainers']}/{len(item['containers'])}"


def _shown(field: str) -> Column:
    return lambda item: str(item[field] if item[field] is not None else "-")


_NAME: dict[str, Column] = {"NAME": _shown("name")}
_AGE: dict[str, Column] = {"AGE": lambda item: age(item["ageS"])}
_COLUMNS: dict[str, dict[str, Column]] = {
    PODS: {**_NAME, "READY": _ready, "STATUS": _shown("state"), "RESTARTS": _shown("restarts"), **_AGE},
    JOBS: {**_NAME, "STATUS": _shown("condition"), "REASON": _shown("reason"), "FAILURES": _shown("failures"), **_AGE},
    "cronJobs": {**_NAME, "SCHEDULE": _shown("schedule")},
    "statefulSets": {**_NAME, "READY": lambda item: f"{item['ready']}/{item['replicas']}"},
    "services": {
        **_NAME,
        "EXTERNAL-NAME": lambda item: item["externalName"] or "-",
        "ENDPOINTS": lambda item: ",".join(item["endpoints"]) or "-",
    },
    "claims": {
        **_NAME,
        "STATUS": lambda item: "Bound" if item["zone"] else "Pending",
        "CAPACITY": lambda item: show_bytes(item["sizeBytes"]),
        "USED": lambda item: show_bytes(item["usedBytes"]),
        "ZONE": lambda item: item["zone"] or "-",
    },
    POLICIES: {
        **_NAME,
        "PODS": _shown("pods"),
        "ENFORCED": lambda item: ",".join(item["directions"]),
        "RULES": lambda item: f"{item['rules']}",
    },
    "nodes": {
        **_NAME,
        "STATUS": lambda item: (
            ("Ready" if item["ready"] else "NotReady") + (",SchedulingDisabled" if item["cordoned"] else "")
        ),
    },
    EVENTS: {
        "LAST SEEN": lambda item: age(item["ageS"]),
        "REASON": _shown("reason"),
        "OBJECT": _shown("about"),
        "MESSAGE": _shown("message"),
    },
}
_WIDE: dict[str, dict[str, Column]] = {
    PODS: {"IP": _shown("ip"), "NODE": _shown("node"), "ZONE": _shown("zone")},
    "nodes": {"ZONE": _shown("zone")},
}
