"""`status` for people: at most 80 columns wide, one table for each kind of thing in each namespace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from sandbox.control.tables import plain_console, plain_table, written
from sandbox.kubernetes.quantity import show_bytes

Report = dict[str, Any]
WIDTH = 80


def status_text(report: Report) -> str:
    """`report` is that of the `status` operation, with what each Redis says of itself as `redis`."""
    console, out = plain_console(WIDTH)
    if report["fault"]:
        console.print(Text(report["fault"]))
    if report.get("prometheus"):
        console.print(Text(f"PROMETHEUS  {report['prometheus']}\n"))
    kinds = ("pods", "jobs", "cronJobs", "services", "networkPolicies", "claims")
    for namespace in sorted({item["namespace"] for kind in kinds for item in report[kind]}):
        here = {kind: [item for item in report[kind] if item["namespace"] == namespace] for kind in kinds}
        console.print(Text(f"NAMESPACE  {namespace}\n"))
        _pods(console, here["pods"])
        _memory(console, here["pods"], report.get("redis", {}))
        _table(
            console,
            ("JOB", "STATE", "REASON", "FAILURES"),
            [(job["name"], job["condition"], job["reason"], str(job["failures"])) for job in here["jobs"]],
        )
        _table(console, ("CRONJOB", "SCHEDULE"), [(cron["name"], cron["schedule"]) for cron in here["cronJobs"]])
        _table(
            console,
            ("SERVICE", "ENDPOINTS"),
            [
                (s["name"], s["externalName"] or f"{len(s['endpoints'])} ready, {len(s['notReady'])} not ready")
                for s in here["services"]
            ],
        )
        _table(
            console,
            ("NETWORK POLICY", "PODS", "ENFORCED", "RULES"),
            [(p["name"], str(p["pods"]), ", ".join(p["directions"]), str(p["rules"])) for p in here["networkPolicies"]],
        )
        _table(
            console,
            ("CLAIM", "ZONE", "USED", "SIZE"),
            [
                (c["name"], c["zone"] or "-", show_bytes(c["usedBytes"]), show_bytes(c["sizeBytes"]))
                for c in here["claims"]
            ],
        )
    for side in report["partitions"]:
        console.print(Text(f"PARTITION  {', '.join(side)} cannot reach the other pods\n"))
    if report.get("bytesBetweenZones") is not None:
        console.print(Text(f"BETWEEN ZONES  {show_bytes(report['bytesBetweenZones'])} so far\n"))
    counts = Counter((_field(note["subject"]), note["reason"]) for note in report["notEnforced"])
    _table(
        console,
        ("ACCEPTED, NOT ENFORCED", "BECAUSE", "TIMES"),
        [(field, reason, str(count)) for (field, reason), count in counts.items()],
    )
    return written(out)


def _pods(console: Console, pods: Sequence[Report]) -> None:
    rows = [
        (
            pod["name"],
            f"{pod['readyContainers']}/{len(pod['containers'])}",
            pod["state"],
            str(pod["restarts"]),
            age(pod["ageS"]),
            pod["ip"] or "-",
            pod["node"] or "-",
        )
        for pod in pods
    ]
    _table(console, ("POD", "READY", "STATE", "RESTARTS", "AGE", "IP", "NODE"), rows)
    for pod in pods:
        if pod["message"] and not pod["ready"]:
            console.print(Text(f"{pod['name']}: {pod['message']}\n"))


def _memory(console: Console, pods: Sequence[Report], redis: dict[str, Report]) -> None:
    rows = []
    for pod in pods:
        facts = redis.get(f"{pod['namespace']}/{pod['name']}", {})
        data = [show_bytes(facts[size]) for size in ("usedMemoryBytes", "maxMemoryBytes") if size in facts]
        if not facts and not pod["memoryBytes"]:
            continue
        limit = pod["memoryLimitBytes"]
        rows.append(
            (
                pod["name"],
                pod["zone"] or "-",
                facts.get("role", "no answer" if "error" in facts else ""),
                str(facts.get("slots", "")),
                str(facts.get("keys", "")),
                "/".join(data),
                show_bytes(pod["memoryBytes"]) + (f"/{show_bytes(limit)}" if limit else ""),
            )
        )
    _table(console, ("POD", "ZONE", "ROLE", "SLOTS", "KEYS", "REDIS DATA", "MEMORY"), rows)


def _table(console: Console, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Nothing without rows."""
    if rows:
        console.print(plain_table(head, rows))
        console.print()


def _field(subject: str) -> str:
    """`limits.cpu` of `StatefulSet a/b spec.….limits.cpu`; a kind stays itself."""
    words = subject.split()
    return ".".join(words[2].split(".")[-2:]) if len(words) > 2 else words[0]


def age(seconds: float) -> str:
    """`45s`, `12m`, `3h` as kubectl shows it."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{int(seconds // size)}{unit}"
    return f"{int(seconds)}s"
