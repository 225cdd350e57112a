"""The topology that is wanted, read strictly from the JSON file the Pulumi component writes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.json_reader import Reader, Version, show
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
class WantedServer:
    """What the pods will run. By engine (redis, valkey) the newest version that it can be with: `shares_bus_with` in
    one cluster at all, `follows` as a replica of it, `takes_keys_of` when keys come from it one by one. With an engine
    that is not named it cannot be."""

    title: str
    shares_bus_with: Mapping[str, Version]
    follows: Mapping[str, Version]
    takes_keys_of: Mapping[str, Version]


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
    server: WantedServer | None = None

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
    "server",
)
_NODE_KEYS = ("pod", "host", "port", "shard", "role")
_SERVER_KEYS = ("title", "sharesBusWith", "follows", "takesKeysOf")
_MOVE_KEYS = ("mode", "bytesPerSecond", "extraMissesPerSecond", "ttlSeconds")


def _node(problems: list[str], index: int, raw: object, port: int) -> TopologyNode:
    reader = Reader(problems, f"nodes[{index}]", raw, _NODE_KEYS)
    return TopologyNode(
        pod=reader.text("pod"),
        host=reader.text("host"),
        port=reader.whole("port", port, 1, 65535),
        shard=reader.whole("shard", None, 0, 999),
        role=reader.text("role", one_of=ROLES),
    )


def _tls(problems: list[str], top: Reader) -> Tls:
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
    reader = Reader(problems, "move", raw, _MOVE_KEYS)
    return MoveSettings(
        mode=reader.text("mode", defaults.mode, MODES),
        bytes_per_second=reader.whole("bytesPerSecond", defaults.bytes_per_second, 0, 10**12),
        extra_misses_per_second=reader.whole("extraMissesPerSecond", defaults.extra_misses_per_second, 1, 10**9),
        ttl_seconds=reader.whole("ttlSeconds", defaults.ttl_seconds, 1, 10**9),
    )


def _server(problems: list[str], raw: object) -> WantedServer | None:
    if raw is None:
        return None
    reader = Reader(problems, "server", raw, _SERVER_KEYS)
    return WantedServer(
        reader.text("title"),
        reader.versions("sharesBusWith"),
        reader.versions("follows"),
        reader.versions("takesKeysOf"),
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
    top = Reader(problems, "", raw, _TOP_KEYS)
    port = top.whole("port", 6379, 1, 65535)
    nodes = tuple(_node(problems, index, item, port) for index, item in enumerate(top.items("nodes", required=True)))
    seeds = top.items("seeds", required=False)
    for index, seed in enumerate(seeds):
        if not isinstance(seed, str) or not seed:
            problems.append(f"seeds[{index}]: {show(seed)} is given, a host name is needed")
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
        server=_server(problems, top.get("server")),
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
