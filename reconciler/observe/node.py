"""Asks one node for everything the rules need to know of it."""

from __future__ import annotations

from dataclasses import replace

from reconciler.connection import (
    Address,
    Connections,
    NotAdmittedError,
    RefusedError,
    Reply,
    ReplyError,
    integer,
    text,
)
from reconciler.error_replies import BUSY, LOADING, NOT_ADMITTED, busy_reason
from reconciler.observe.cluster_nodes import parse_cluster_nodes
from reconciler.observe.native_jobs import first_two_numbers, native_way
from reconciler.observe.observation import NodeReport
from reconciler.tls import Tls

QUESTIONS = (("CLUSTER", "NODES"), ("CLUSTER", "INFO"), ("INFO",), ("DBSIZE",), ("TIME",))
BUS_QUESTIONS = (("CONFIG", "GET", "tls-cluster"), ("CONFIG", "GET", "tls-port"))
"""Asked beside them where nodes may have two ports."""
ANSWER_TIMEOUT_S = 3.0

VALKEY_ONLY = "valkey_version"
"""A line of INFO that Valkey has and Redis has not. Valkey gives 7.2.4 for `redis_version`, whatever it is."""

RUN_NAME = "reconciler-mover"
"""Connections of a run that changes the cluster have a name that begins so (CLIENT SETNAME). By it other runs see that
one is at work. The name vanishes with the process, so that a run which was killed blocks nobody."""


def parse_info(answer: str) -> dict[str, str]:
    """`INFO` as a mapping; titles of sections and empty lines are left out."""
    pairs = (line.partition(":") for line in answer.splitlines() if ":" in line and not line.startswith("#"))
    return {key: value.strip() for key, _, value in pairs}


def run_names(client_list: str) -> frozenset[str]:
    """Names of the runs that are changing the cluster, out of an answer of CLIENT LIST."""
    words = (word for line in client_list.splitlines() for word in line.split(" "))
    names = (word.removeprefix("name=") for word in words if word.startswith("name="))
    return frozenset(name for name in names if name.startswith(RUN_NAME))


def _is_replica_online(key: str, value: str) -> bool:
    """Of INFO's `slave0:ip=…,port=…,state=online,offset=…,lag=0` (and no other line)."""
    if not key.removeprefix("slave").isdigit():
        return False
    fields = dict(part.partition("=")[::2] for part in value.split(","))
    return fields.get("state") == "online" and fields.get("lag") in ("0", "1")


def milliseconds(time: Reply | ReplyError) -> float:
    """Of the answer of TIME, which is seconds and microseconds by the node's own clock. The times in its table of
    nodes are by that clock too, and it may differ from ours."""
    if isinstance(time, ReplyError):
        raise time
    if not isinstance(time, list) or len(time) != 2:
        raise ReplyError(f"two numbers were expected of TIME, the node answered {time!r:.80}")
    return int(text(time[0])) * 1000 + int(text(time[1])) / 1000


def _value(reply: Reply | ReplyError) -> str:
    """Of an answer to CONFIG GET, a name and its value; empty where the server has no such directive."""
    if isinstance(reply, ReplyError):
        raise reply
    return text(reply[1]) if isinstance(reply, list) and len(reply) == 2 else ""


def ask_node(connections: Connections, address: Address, pod: str | None, tls: Tls) -> NodeReport:
    """One node's report. Raises `UnreachableError` or `ReplyError` when the node is not able to answer (yet)."""
    connection = connections.to(address)
    asked = QUESTIONS if tls.port is None else (*QUESTIONS, *BUS_QUESTIONS)
    nodes, cluster_info, info, keys, time, *bus = connection.pipeline(asked, ANSWER_TIMEOUT_S)
    if isinstance(nodes, ReplyError) and str(nodes).startswith(BUSY):
        raise RefusedError(busy_reason(nodes))
    for answer in (nodes, cluster_info, info, keys, time, *bus):
        if isinstance(answer, ReplyError) and str(answer).startswith(NOT_ADMITTED):
            raise NotAdmittedError(str(answer))
    entries = tuple(
        replace(entry, port=tls.known_port(entry.port, address[1]))
        for entry in parse_cluster_nodes(text(nodes), milliseconds(time))
    )
    facts = parse_info(text(info))
    if facts.get("loading") == "1":
        raise RefusedError(LOADING)
    if not any("myself" in entry.flags for entry in entries):
        raise ReplyError("CLUSTER NODES has no line of the node itself")
    return NodeReport(
        ip=address[0],
        port=address[1],
        pod=pod,
        entries=entries,
        cluster_ok=parse_info(text(cluster_info)).get("cluster_state") == "ok",
        keys=integer(keys),
        master_link_up=facts.get("master_link_status") == "up",
        syncing=facts.get("master_sync_in_progress") == "1",
        replicas_online=sum(1 for key, value in facts.items() if _is_replica_online(key, value)),
        replication_offset=int(facts.get("slave_repl_offset", facts.get("master_repl_offset", "0"))),
        used_bytes=int(facts.get("used_memory", "0")),
        dataset_bytes=int(facts.get("used_memory_dataset", "0")),
        max_bytes=int(facts.get("maxmemory", "0")),
        takes_marks_in_transactions=VALKEY_ONLY not in facts,
        engine="valkey" if VALKEY_ONLY in facts else "redis",
        version=first_two_numbers(facts.get(VALKEY_ONLY) or facts.get("redis_version", "")),
        native_way=native_way(facts),
        library_count=int(facts.get("number_of_libraries", "0")),
        bus_has_tls=bool(bus) and _value(bus[0]) == "yes",
        has_tls_port=bool(bus) and _value(bus[1]) not in ("", "0"),
    )
