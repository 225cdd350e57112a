"""The topology that is wanted, read strictly from the JSON file the Pulumi component writes."""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reconciler.tls import MODES as TLS_MODES
from reconciler.tls import Tls

MIN_MASTERS = 3
"""Redis Cluster fails over by a majority of masters: with fewer than three, losing one loses the majority."""

MAX_NODE_TIMEOUT_MS = 600_000
ROLES = ("master", "replica")
MODES = ("copy", "expire")


class TopologyError(Exception):
    """The topology file cannot be used; the text lists everything that is wrong with it."""


@dataclass(frozen=True)
class TopologyNode:
    """One pod. `role` is the role it starts with: after a failover another pod may be its shard's master."""

    pod: str
    host: str
    port: int
    shard: int
    role: str


@dataclass(frozen=True)
class MoveSettings:
    """How slots change owner.

    `bytes_per_second` limits what *copy* sends in all; 0 for no limit. `extra_misses_per_second` is the budget of
    *expire*: keys whose slot changes owner without them. `ttl_seconds` is how long an object lives at most: data that
    nobody could reach for longer than that has expired.
    """

    mode: str = "copy"
    bytes_per_second: int = 0
    extra_misses_per_second: int = 100
    ttl_seconds: int = 300


@dataclass(frozen=True)
class Topology:
    """What is wanted: which pods there are, in which shards, and how the cluster gets there.

    `seeds` are names behind which a cluster that already serves may be found. `restore_initial_masters` (`bringHome`
    in the file): after failovers each shard's initial master becomes master again. `pod_hosts` is a regular expression
    that the host name of any pod of this cluster matches, in whatever pool. Without it nobody is taken for a stranger.
    """

    pool: str
    port: int
    tls: Tls
    nodes: tuple[TopologyNode, ...]
    seeds: tuple[str, ...]
    node_timeout_ms: int
    deadline_seconds: float
    restore_initial_masters: bool
    pod_hosts: str | None = None
    move: MoveSettings = field(default_factory=MoveSettings)

    @property
    def shard_count(self) -> int:
        return 1 + max(node.shard for node in self.nodes)

    def shard(self, index: int) -> tuple[TopologyNode, ...]:
        """The shard's nodes, its initial master first."""
        nodes = [node for node in self.nodes if node.shard == index]
        return tuple(sorted(nodes, key=lambda node: node.role != "master"))

    def node(self, pod: str) -> TopologyNode:
        return next(node for node in self.nodes if node.pod == pod)


_TOP_KEYS = (
    "pool",
    "port",
    "tls",
    "tlsPort",
    "tlsName",
    "tlsCaFile",
    "tlsCertFile",
    "tlsKeyFile",
    "nodes",
    "seeds",
    "nodeTimeoutMs",
    "deadlineSeconds",
    "bringHome",
    "podHosts",
    "move",
)
_NODE_KEYS = ("pod", "host", "port", "shard", "role")
_MOVE_KEYS = ("mode", "bytesPerSecond", "extraMissesPerSecond", "ttlSeconds")


class _Reader:
    """Reads typed values out of one JSON object and keeps every complaint instead of stopping at the first."""

    def __init__(self, problems: list[str], where: str, value: object, allowed: tuple[str, ...]) -> None:
        self._problems = problems
        self._where = where
        self._values: dict[str, Any] = {}
        self._is_object = isinstance(value, dict)
        if not isinstance(value, dict):
            problems.append(f"{where or 'the file'}: {_show(value)} is given, an object is needed")
            return
        self._values = value
        for key in value:
            if key not in allowed:
                near = difflib.get_close_matches(key, allowed, 1)
                hint = f"did you mean {near[0]}?" if near else f"allowed: {', '.join(allowed)}"
                problems.append(f"{self._path(key)}: unknown key; {hint}")

    def _path(self, key: str) -> str:
        return f"{self._where}.{key}" if self._where else key

    def _missing(self, key: str, kind: str) -> None:
        if self._is_object:
            self._problems.append(f"{self._path(key)}: missing; {kind} is needed")

    def _wrong(self, key: str, kind: str) -> None:
        self._problems.append(f"{self._path(key)}: {_show(self._values[key])} is given, {kind} is needed")

    def text(self, key: str, default: str | None = None, one_of: tuple[str, ...] = ()) -> str:
        kind = f"one of {', '.join(one_of)}" if one_of else "a string that is not empty"
        if key not in self._values:
            if default is None:
                self._missing(key, kind)
            return default or ""
        value = self._values[key]
        if not isinstance(value, str) or not value or (one_of and value not in one_of):
            self._wrong(key, kind)
            return default or ""
        return value

    def pattern(self, key: str) -> str | None:
        """A regular expression; None where there is none."""
        if key not in self._values:
            return None
        expression = self.text(key)
        try:
            re.compile(expression)
        except re.error as error:
            self._wrong(key, f"a regular expression ({error})")
        return expression

    def whole(self, key: str, default: int | None, low: int, high: int) -> int:
        kind = f"a whole number from {low} to {high}"
        if key not in self._values:
            if default is None:
                self._missing(key, kind)
            return low if default is None else default
        value = self._values[key]
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self._wrong(key, kind)
            return low
        return value

    def seconds(self, key: str, default: float, low: float, high: float) -> float:
        value = self._values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            self._wrong(key, f"a number of seconds from {low:g} to {high:g}")
            return default
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        value = self._values.get(key, default)
        if not isinstance(value, bool):
            self._wrong(key, "true or false")
            return default
        return value

    def items(self, key: str, required: bool) -> list[Any]:
        if key not in self._values:
            if required:
                self._missing(key, "a list")
            return []
        value = self._values[key]
        if not isinstance(value, list) or (required and not value):
            self._wrong(key, "a list" + (" that is not empty" if required else ""))
            return []
        return value

    def get(self, key: str) -> object:
        return self._values.get(key)


def _show(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "…"


def _node(problems: list[str], index: int, raw: object, port: int) -> TopologyNode:
    reader = _Reader(problems, f"nodes[{index}]", raw, _NODE_KEYS)
    return TopologyNode(
        pod=reader.text("pod"),
        host=reader.text("host"),
        port=reader.whole("port", port, 1, 65535),
        shard=reader.whole("shard", None, 0, 999),
        role=reader.text("role", one_of=ROLES),
    )


def _tls(problems: list[str], top: _Reader) -> Tls:
    tls = Tls(
        mode=top.text("tls", TLS_MODES[0], TLS_MODES),
        port=top.whole("tlsPort", 0, 1, 65535) if top.get("tlsPort") is not None else None,
        name=top.text("tlsName", "") or None,
        ca_file=top.text("tlsCaFile", "") or None,
        cert_file=top.text("tlsCertFile", "") or None,
        key_file=top.text("tlsKeyFile", "") or None,
    )
    if tls.mode != TLS_MODES[0] and tls.ca_file is None:
        problems.append(f"tlsCaFile: missing; with tls {tls.mode} the file of the authority to trust is needed")
    if (tls.cert_file is None) != (tls.key_file is None):
        problems.append("tlsCertFile, tlsKeyFile: one of the two is missing; give both or none")
    if tls.mode == "both" and tls.port is None:
        problems.append("tlsPort: missing; with tls both the port of TLS is needed")
    return tls


def _move(problems: list[str], raw: object) -> MoveSettings:
    defaults = MoveSettings()
    if raw is None:
        return defaults
    reader = _Reader(problems, "move", raw, _MOVE_KEYS)
    return MoveSettings(
        mode=reader.text("mode", defaults.mode, MODES),
        bytes_per_second=reader.whole("bytesPerSecond", defaults.bytes_per_second, 0, 10**12),
        extra_misses_per_second=reader.whole("extraMissesPerSecond", defaults.extra_misses_per_second, 1, 10**9),
        ttl_seconds=reader.whole("ttlSeconds", defaults.ttl_seconds, 1, 10**9),
    )


def _check_nodes(problems: list[str], nodes: tuple[TopologyNode, ...]) -> None:
    for name, values in (
        ("pod", [node.pod for node in nodes]),
        ("address", [f"{node.host}:{node.port}" for node in nodes]),
    ):
        for value in sorted({value for value in values if values.count(value) > 1}):
            problems.append(f"nodes: {name} {value} appears {values.count(value)} times; each must be there once")
    masters = [node.shard for node in nodes if node.role == "master"]
    for shard in sorted({node.shard for node in nodes}):
        if masters.count(shard) != 1:
            problems.append(
                f"nodes: shard {shard} has {masters.count(shard)} nodes of role master; exactly 1 is needed"
            )
    shards = {node.shard for node in nodes}
    if shards != set(range(len(shards))):
        problems.append(f"nodes: the shards are {sorted(shards)}; they must be numbered from 0 without gaps")
    if len(shards) < MIN_MASTERS:
        problems.append(f"nodes: {len(shards)} shards are given; Redis Cluster needs at least {MIN_MASTERS} masters")


def parse_topology(text: str) -> Topology:
    """Parse the topology JSON. Raises `TopologyError` naming every wrong key, its value and what is allowed."""
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise TopologyError(f"not JSON: {error}") from error
    problems: list[str] = []
    top = _Reader(problems, "", raw, _TOP_KEYS)
    port = top.whole("port", 6379, 1, 65535)
    nodes = tuple(_node(problems, index, item, port) for index, item in enumerate(top.items("nodes", required=True)))
    seeds = top.items("seeds", required=False)
    for index, seed in enumerate(seeds):
        if not isinstance(seed, str) or not seed:
            problems.append(f"seeds[{index}]: {_show(seed)} is given, a host name is needed")
    desired = Topology(
        pool=top.text("pool"),
        port=port,
        tls=_tls(problems, top),
        nodes=nodes,
        seeds=tuple(str(seed) for seed in seeds),
        node_timeout_ms=top.whole("nodeTimeoutMs", 5000, 100, MAX_NODE_TIMEOUT_MS),
        deadline_seconds=top.seconds("deadlineSeconds", 900, 1, 7 * 86400),
        restore_initial_masters=top.flag("bringHome", False),
        pod_hosts=top.pattern("podHosts"),
        move=_move(problems, top.get("move")),
    )
    if nodes and not problems:
        _check_nodes(problems, nodes)
    if problems:
        raise TopologyError("\n".join(problems))
    return desired


def read_topology(path: Path) -> Topology:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TopologyError(f"{path}: cannot be read: {error}") from error
    try:
        return parse_topology(text)
    except TopologyError as error:
        raise TopologyError("\n".join(f"{path}: {line}" for line in str(error).splitlines())) from error
