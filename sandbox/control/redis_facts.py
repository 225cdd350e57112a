"""What the Redis in each pod says of itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sandbox.control.client import Sandbox
from sandbox.errors import SandboxError
from sandbox.host.images import has_server

Report = dict[str, Any]

_SEPARATOR = "CLUSTER-NODES"
_QUESTION = f"redis-cli INFO 2>&1; echo {_SEPARATOR}; redis-cli CLUSTER NODES"
_ASK_TIMEOUT_S = 10.0


def redis_facts(sandbox: Sandbox, report: Report) -> dict[str, dict[str, Any]]:
    """`namespace/pod` -> role, slots, keys, memory, of every running pod whose image is of Redis or Valkey."""
    facts = {}
    for pod in report["pods"]:
        if has_server(pod["image"]) and pod["state"] == "Running":
            name = f"{pod['namespace']}/{pod['name']}"
            try:
                answer = sandbox.exec(name, ["sh", "-c", _QUESTION], timeout_s=_ASK_TIMEOUT_S)
            except (SandboxError, TimeoutError) as error:
                # A pod may end, or hang, while it is asked: that is a finding about the pod, not an error.
                facts[name] = {"error": str(error)}
                continue
            facts[name] = parse_redis(answer.stdout)
    return facts


def parse_redis(text: str) -> dict[str, Any]:
    """From what `_QUESTION` prints. The two replies are told apart by the line between them: a node's line may begin
    like any field of INFO, for its id is random (`db1…` looks like a database). Slots are counted from the node's own
    line."""
    info, _, nodes = text.partition(f"{_SEPARATOR}\n")
    values = dict(line.strip().split(":", 1) for line in info.splitlines() if ":" in line and not line.startswith("#"))
    if "role" not in values:
        return {"error": info.strip().splitlines()[0] if info.strip() else "no answer"}
    try:
        facts = _of_info(values)
    except (KeyError, ValueError):
        # A pod that ends while it is asked has said only the beginning.
        return {"error": "the answer was cut off"}
    for line in nodes.splitlines():
        fields = line.split()
        if len(fields) >= 8 and "myself" in fields[2].split(","):
            facts["slots"] = sum(_slot_count(part) for part in fields[8:])
            facts["nodeId"] = fields[0]
            facts["masterId"] = None if fields[3] == "-" else fields[3]
    return facts


def _of_info(values: Mapping[str, str]) -> dict[str, Any]:
    databases = [value for name, value in values.items() if re.fullmatch(r"db\d+", name)]
    facts: dict[str, Any] = {
        "role": "master" if values["role"] == "master" else "replica",
        "keys": sum(int(value.partition(",")[0].removeprefix("keys=")) for value in databases),
        "usedMemoryBytes": int(values["used_memory"]),
        "maxMemoryBytes": int(values["maxmemory"]),
        "evictedKeys": int(values["evicted_keys"]),
    }
    if facts["role"] == "replica":
        facts["linkUp"] = values["master_link_status"] == "up"
    return facts


def _slot_count(text: str) -> int:
    """A migrating slot (`[93-<-…]`) is not owned yet."""
    if text.startswith("["):
        return 0
    first, _, last = text.partition("-")
    return int(last or first) - int(first) + 1
