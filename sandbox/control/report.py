"""`status` for people, and what the Redis in each pod says of itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from sandbox.control.client import Sandbox
from sandbox.errors import SandboxError
from sandbox.host.images import repository
from sandbox.kubernetes.quantity import show_bytes

Report = dict[str, Any]
_TOLD = "redis-cli INFO; redis-cli CLUSTER NODES"
_ASK_TIMEOUT_S = 10.0


def redis_facts(sandbox: Sandbox, report: Report) -> dict[str, dict[str, Any]]:
    """`namespace/pod` -> role, slots, keys, memory, of every running pod whose image is redis."""
    facts = {}
    for pod in report["pods"]:
        if repository(pod["image"]) == "redis" and pod["state"] == "Running":
            try:
                told = sandbox.exec(
                    pod["name"], ["sh", "-c", _TOLD], namespace=pod["namespace"], timeout_s=_ASK_TIMEOUT_S
                )
            except (SandboxError, TimeoutError) as error:
                # A pod may end, or hang, while it is asked: that is a finding about the pod, not an error.
                facts[f"{pod['namespace']}/{pod['name']}"] = {"error": str(error)}
                continue
            facts[f"{pod['namespace']}/{pod['name']}"] = parse_redis(told.stdout)
    return facts


def parse_redis(text: str) -> dict[str, Any]:
    """From INFO and CLUSTER NODES; slots are counted from the node's own line."""
    values = dict(line.split(":", 1) for line in text.splitlines() if ":" in line and not line.startswith("#"))
    if "role" not in values:
        return {"error": text.strip().splitlines()[0] if text.strip() else "no answer"}
    keys = sum(
        int(value.split(",")[0].removeprefix("keys=")) for name, value in values.items() if name.startswith("db")
    )
    facts: dict[str, Any] = {
        "role": "master" if values["role"].strip() == "master" else "replica",
        "keys": keys,
        "usedMemoryBytes": int(values["used_memory"]),
        "maxMemoryBytes": int(values["maxmemory"]),
        "evictedKeys": int(values["evicted_keys"]),
    }
    if facts["role"] == "replica":
        facts["linkUp"] = values["master_link_status"].strip() == "up"
    for line in text.splitlines():
        fields = line.split()
        if len(fields) >= 8 and "myself" in fields[2]:
            facts["slots"] = sum(_slot_count(part) for part in fields[8:])
            facts["nodeId"] = fields[0]
            facts["masterId"] = None if fields[3] == "-" else fields[3]
    return facts


def _slot_count(text: str) -> int:
    """A migrating slot (`[93-<-…]`) is not owned yet."""
    if text.startswith("["):
        return 0
    first, _, last = text.partition("-")
    return int(last or first) - int(first) + 1


def status_text(report: Report) -> str:
    parts = [report["fault"]] if report["fault"] else []
    parts.append(_pods(report))
    if report["jobs"]:
        rows = [[j["namespace"], j["name"], j["condition"], j["reason"], str(j["failures"])] for j in report["jobs"]]
        parts.append(table(["JOB", "", "STATE", "REASON", "FAILURES"], rows))
    if report["cronJobs"]:
        rows = [
            [cron["namespace"], cron["name"], cron["schedule"], "suspended" if cron["suspended"] else ""]
            for cron in report["cronJobs"]
        ]
        parts.append(table(["CRONJOB", "", "SCHEDULE", ""], rows))
    rows = []
    for service in report["services"]:
        target = service["externalName"] or f"{len(service['endpoints'])} ready, {len(service['notReady'])} not"
        rows.append([service["namespace"], service["name"], target])
    parts.append(table(["SERVICE", "", "ENDPOINTS"], rows))
    if report["claims"]:
        rows = [
            [c["namespace"], c["name"], c["zone"] or "-", show_bytes(c["usedBytes"]), show_bytes(c["sizeBytes"])]
            for c in report["claims"]
        ]
        parts.append(table(["CLAIM", "", "ZONE", "USED", "SIZE"], rows))
    for side in report["partitions"]:
        parts.append(f"PARTITION  {', '.join(side)} cannot reach the other pods")
    counts = Counter(f"{_field(note['subject'])}: {note['reason']}" for note in report["notEnforced"])
    lines = [f"  {text}{f' ({count} times)' if count > 1 else ''}" for text, count in counts.items()]
    parts.append("\n".join(["ACCEPTED, NOT ENFORCED", *lines]))
    return "\n\n".join(parts) + "\n"


def _field(subject: str) -> str:
    """`limits.cpu` of `StatefulSet a/b spec.….limits.cpu`; a kind stays itself."""
    words = subject.split()
    return ".".join(words[2].split(".")[-2:]) if len(words) > 2 else words[0]


def _pods(report: Report) -> str:
    rows = []
    for pod in report["pods"]:
        redis = report.get("redis", {}).get(f"{pod['namespace']}/{pod['name']}", {})
        memory = show_bytes(pod["memoryBytes"])
        if pod["memoryLimitBytes"]:
            memory += f"/{show_bytes(pod['memoryLimitBytes'])}"
        used = (
            f"{show_bytes(redis['usedMemoryBytes'])}/{show_bytes(redis['maxMemoryBytes'])}" if "role" in redis else ""
        )
        role = redis.get("role", "no answer" if "error" in redis else "")
        rows.append(
            [
                pod["namespace"],
                pod["name"],
                f"{pod['readyContainers']}/{len(pod['containers'])}",
                pod["state"],
                str(pod["restarts"]),
                age(pod["ageS"]),
                pod["ip"] or "-",
                pod["node"] or "-",
                pod["zone"] or "-",
                memory,
                role,
                str(redis.get("slots", "")),
                str(redis.get("keys", "")),
                used,
            ]
        )
    head = ["POD", "", "READY", "STATE", "RESTARTS", "AGE", "IP", "NODE", "ZONE", "MEMORY"]
    text = table([*head, "ROLE", "SLOTS", "KEYS", "USED"], rows)
    pending = [pod for pod in report["pods"] if pod["message"] and pod["state"] == "Pending"]
    waiting = [f"{pod['name']}: {pod['message']}" for pod in pending]
    return "\n".join([text, *waiting])


def age(seconds: float) -> str:
    """`45s`, `12m`, `3h` as kubectl shows it."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{int(seconds // size)}{unit}"
    return f"{int(seconds)}s"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [list(head), *[list(row) for row in rows]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    padded = ([cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines)
    return "\n".join("  ".join(cells).rstrip() for cells in padded)
