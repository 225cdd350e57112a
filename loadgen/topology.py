"""Who serves which slot, learned as ordinary clients learn it: CLUSTER SLOTS, anew after an error and now and then."""

from __future__ import annotations

import ipaddress
import random
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import redis

from loadgen.workload import WrongWorkload

SLOTS = 16384
REFRESH_EVERY_S = 1.0
_REFRESH_APART_S = 0.2
_CONNECT_S = 0.25
_ANSWER_S = 1.0


@dataclass(frozen=True)
class Target:
    """How the cluster is reached. `zone` has the address ranges of the own zone."""

    host: str
    port: int
    password: str | None
    ca_file: str | None = None
    reads_from: str = "master"
    zone: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()
    user: str | None = None
    cert_file: str | None = None
    key_file: str | None = None

    def __post_init__(self) -> None:
        if self.reads_from not in READS_FROM:
            raise WrongWorkload(f"READS_FROM is {self.reads_from}; allowed are {', '.join(READS_FROM)}")
        if (self.reads_from == "zone") != bool(self.zone):
            raise WrongWorkload("reads from the own zone need its address ranges, and no others do: give both or none")

    def tls(self) -> ssl.SSLContext | None:
        if self.ca_file is None:
            return None
        context = ssl.create_default_context(cafile=self.ca_file)
        if self.cert_file is not None:
            context.load_cert_chain(self.cert_file, self.key_file)
        return context

    def client(self, host: str, port: int) -> redis.Redis:
        return redis.Redis(
            host=host,
            port=port,
            username=self.user,
            password=self.password,
            socket_connect_timeout=_CONNECT_S,
            socket_timeout=_ANSWER_S,
            ssl=self.ca_file is not None,
            ssl_ca_certs=self.ca_file,
            ssl_certfile=self.cert_file,
            ssl_keyfile=self.key_file,
        )


READS_FROM = ("master", "any", "zone")
"""The copies of a shard that a read may go to. `zone`: one in the own zone where there is one, else the master."""


@dataclass(frozen=True)
class Node:
    """One copy of a shard: the name it has, by which TLS knows it, and where that points to now."""

    host: str
    address: str
    port: int


@dataclass(frozen=True)
class Range:
    """Slots that one shard serves; its master is first."""

    first: int
    last: int
    copies: tuple[Node, ...]


class Topology:
    """The latest view; a thread of its own renews it, so that who sends never waits for it."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.version = 0
        self._masters: list[Node | None] = [None] * SLOTS
        self._readers: list[tuple[Node, ...]] = [()] * SLOTS
        self._wanted = threading.Event()
        self._ended = False
        self._seeds: list[tuple[str, int]] = []
        self._nodes: set[Node] = set()
        self._take(self._ask())
        threading.Thread(target=self._renew, daemon=True).start()

    def end(self) -> None:
        self._ended = True
        self._wanted.set()

    def renew(self) -> None:
        """Soon; many calls are one."""
        self._wanted.set()

    def master(self, slot: int) -> Node | None:
        return self._masters[slot]

    def reader(self, slot: int, turn: int) -> Node | None:
        readers = self._readers[slot]
        return readers[turn % len(readers)] if readers else self._masters[slot]

    def nodes(self) -> set[Node]:
        """All that requests may go to."""
        return self._nodes

    def _renew(self) -> None:
        while not self._ended:
            self._wanted.wait(REFRESH_EVERY_S)
            self._wanted.clear()
            # Nobody could be asked: who sends sees it by its own errors, and this goes on.
            try:
                self._take(self._ask())
            except (OSError, redis.RedisError):
                time.sleep(_REFRESH_APART_S)
                continue
            time.sleep(_REFRESH_APART_S)

    def _ask(self) -> tuple[Range, ...]:
        """Any node that answers, in any order, so that a lost one does not hold all up; the given name last, which is
        how a client finds the cluster again when every address is another. Raises the last error."""
        seeds = random.sample(self._seeds, len(self._seeds))
        error: Exception = OSError("nobody was asked")
        for host, port in [*seeds, (self.target.host, self.target.port)]:
            try:
                client: Any = self.target.client(host, port)  # redis-py's commands have no types
                try:
                    found = parse_slots(client.execute_command("CLUSTER SLOTS"))
                finally:
                    client.close()
                if found:
                    return found
                error = OSError(f"{host} knows no slots")
            except (OSError, redis.RedisError) as raised:
                error = raised
        raise error

    def _take(self, ranges: Sequence[Range]) -> None:
        masters: list[Node | None] = [None] * SLOTS
        readers: list[tuple[Node, ...]] = [()] * SLOTS
        for part in ranges:
            chosen = readers_of(part.copies, self.target)
            for slot in range(part.first, part.last + 1):
                masters[slot] = part.copies[0]
                readers[slot] = chosen
        self._seeds = sorted({(node.host, node.port) for part in ranges for node in part.copies})
        self._nodes = {node for part in ranges for node in (part.copies[0], *readers_of(part.copies, self.target))}
        self._masters, self._readers = masters, readers
        self.version += 1


def readers_of(copies: Sequence[Node], target: Target) -> tuple[Node, ...]:
    """The copies that a read may go to; the master where none suits."""
    if target.reads_from == "any":
        return tuple(copies)
    if target.reads_from == "zone":
        near = tuple(node for node in copies if any(ipaddress.ip_address(node.address) in part for part in target.zone))
        return near or (copies[0],)
    return (copies[0],)


def parse_slots(reply: object) -> tuple[Range, ...]:
    """CLUSTER SLOTS. A copy whose name cannot be resolved is left out. Raises OSError when it is no such answer."""
    if not isinstance(reply, list):
        raise OSError(f"CLUSTER SLOTS was answered with {type(reply).__name__}")
    found = []
    for first, last, *nodes in reply:
        copies = tuple(copy for node in nodes if (copy := resolved(_text(node[0]), int(node[1]))))
        if copies:
            found.append(Range(int(first), int(last), copies))
    return tuple(found)


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def resolved(host: str, port: int) -> Node | None:
    try:
        return Node(host, str(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][0]), port)
    except OSError:
        return None
