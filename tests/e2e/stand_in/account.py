"""What the stand-in's AWS account holds: a directory with a file for each node group, and one log.

The provider's processes write it, the fake nodes and the tests read it.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ENV = "E2E_ACCOUNT"
"""Environment variable with the directory, for the provider's processes."""
SUBNETS = {
    "subnet-0a1b2c3d4e5f60001": "us-east-1a",
    "subnet-0a1b2c3d4e5f60002": "us-east-1b",
    "subnet-0a1b2c3d4e5f60003": "us-east-1c",
}
"""Subnet -> zone, of stack prod's config."""
OTHER_SUBNETS = {
    "subnet-0a1b2c3d4e5f60004": "us-east-1a",
    "subnet-0a1b2c3d4e5f60005": "us-east-1b",
    "subnet-0a1b2c3d4e5f60006": "us-east-1c",
    "subnet-0a1b2c3d4e5f60007": "us-east-1d",
}
"""What else the account has: others in the same zones, and one in another zone."""
ZONES = SUBNETS | OTHER_SUBNETS


def node_name(group: str, number: int, version: str) -> str:
    """Name of a node of a group, started from that version of its template. Like a real one's it does not have the
    group's name in it: a group's may be so long that both together would not be a label (63 characters)."""
    return f"{_prefix(group)}{version}n{number}"


def is_node_of(node: str, group: str) -> bool:
    return node.startswith(_prefix(group))


def _prefix(group: str) -> str:
    return f"ec2-{hashlib.sha256(group.encode()).hexdigest()[:10]}-v"


@dataclass(frozen=True)
class Entry:
    """One line of the log: a node group was made, changed or deleted."""

    verb: str
    group: str
    pods: tuple[str, ...]
    """Redis pods on the group's nodes at that moment."""


class Account:
    """Node groups by name; of launch templates, by id, the instance type of each version."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        for kind in ("groups", "templates"):
            (directory / kind).mkdir(parents=True, exist_ok=True)

    def put(self, kind: str, name: str, value: dict[str, Any]) -> None:
        """Writes one whole; a reader never sees half of it."""
        unfinished = self._directory / f"{os.getpid()}-{name}.new"
        unfinished.write_text(json.dumps(value))
        unfinished.rename(self._directory / kind / f"{name}.json")

    def drop(self, kind: str, name: str) -> None:
        (self._directory / kind / f"{name}.json").unlink(missing_ok=True)

    def all(self, kind: str) -> dict[str, dict[str, Any]]:
        return {path.stem: json.loads(path.read_text()) for path in sorted((self._directory / kind).glob("*.json"))}

    def nodes(self) -> dict[str, dict[str, Any]]:
        """Node -> its group's inputs with the instance type of its version of the template (`instanceType`) and its
        `zone`. A group's `nodes` are pairs of a number and that version."""
        templates = self.all("templates")
        found = {}
        for name, group in self.all("groups").items():
            types = templates.get(group["launchTemplate"]["id"], {})
            zone = ZONES[group["subnetIds"][0]]
            for number, version in group["nodes"]:
                node = {**group, "instanceType": types.get(version), "zone": zone}
                found[node_name(name, number, version)] = node
        return found

    def terminate(self, node: str) -> None:
        """EC2 ends a node; its group starts another one."""
        for name, group in self.all("groups").items():
            if is_node_of(node, name):
                left = [(n, version) for n, version in group["nodes"] if node_name(name, n, version) != node]
                (lost,) = [(n, version) for n, version in group["nodes"] if node_name(name, n, version) == node]
                number = 1 + max(n for n, _ in group["nodes"])
                self.put("groups", name, {**group, "nodes": [*left, (number, lost[1])]})

    def note(self, verb: str, group: str, pods: list[str]) -> None:
        with (self._directory / "log").open("a") as log:
            log.write(json.dumps([verb, group, pods, time.time()]) + "\n")

    def log(self) -> list[Entry]:
        path = self._directory / "log"
        lines = path.read_text().splitlines() if path.exists() else []
        return [Entry(verb, group, tuple(pods)) for verb, group, pods, _ in map(json.loads, lines)]
