"""One simple client for every server that is compared: GETs of the same bytes, as fast as its connections carry them.

    python -m tests.bench.client redis|memcached|http|copy HOST PORT SECONDS TAG

It runs in the sandbox's network, writes its images first (where they can be written), and prints one JSON object. The
user and the password are taken from REDIS_USER and REDISCLI_AUTH.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from loadgen.connection import command
from loadgen.histogram import Histogram

IMAGE_BYTES = 1_000_000
IMAGES = 20
CONNECTIONS = 4
_TIMEOUT_S = 20


@dataclass(frozen=True)
class Protocol:
    """How an image is written and asked for, where the head of an answer ends, and what follows the image."""

    write: Callable[[bytes, bytes], bytes]
    ask: Callable[[bytes], bytes]
    head_ends: bytes
    size: Callable[[bytes], int]
    tail_bytes: int
    written: bytes = b""


def _http_size(head: bytes) -> int:
    fields = (line.partition(b":") for line in head.lower().splitlines())
    return next(int(value) for name, _, value in fields if name == b"content-length")


PROTOCOLS = {
    "redis": Protocol(
        lambda key, value: command(b"SET", key, value),
        lambda key: command(b"GET", key),
        b"\r\n",
        lambda head: int(head[1:]),
        2,
        b"+OK\r\n",
    ),
    "memcached": Protocol(
        lambda key, value: b"set %s 0 0 %d\r\n%s\r\n" % (key, len(value), value),
        lambda key: b"get %s\r\n" % key,
        b"\r\n",
        lambda head: int(head.split()[3]),
        len(b"\r\nEND\r\n"),
        b"STORED\r\n",
    ),
    "http": Protocol(
        lambda key, value: b"",
        lambda key: b"GET /%s HTTP/1.1\r\nHost: images\r\n\r\n" % key,
        b"\r\n\r\n",
        _http_size,
        0,
    ),
}


PROTOCOLS["copy"] = replace(PROTOCOLS["redis"], written=b"")
"""A server that has one image and answers everything with it."""


def key(tag: str, number: int) -> bytes:
    return f"{{{tag}}}:{number}".encode()


def connected(host: str, port: int) -> socket.socket:
    connection = socket.create_connection((host, port), timeout=_TIMEOUT_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def exchange(connection: socket.socket, request: bytes, wanted: bytes) -> None:
    """Raises OSError when the answer is another."""
    connection.sendall(request)
    answer = b""
    while len(answer) < len(wanted):
        part = connection.recv(4096)
        if not part:
            break
        answer += part
    if answer != wanted:
        raise OSError(f"{request[:40]!r} was answered with {answer[:80]!r}")


def fetch(connection: socket.socket, protocol: Protocol, request: bytes, buffer: memoryview) -> int:
    """Bytes of the image. Raises OSError when the answer is none."""
    connection.sendall(request)
    held = 0
    while True:
        size = connection.recv_into(buffer[held:])
        if not size:
            raise OSError("the other end closed the connection")
        held += size
        head, mark, _ = bytes(buffer[: min(held, 1024)]).partition(protocol.head_ends)
        if mark:
            break
    try:
        image_bytes = protocol.size(head)
    except (ValueError, IndexError, StopIteration) as error:
        raise OSError(f"the answer is {head[:80]!r}") from error
    due = len(head) + len(mark) + image_bytes + protocol.tail_bytes - held
    while due > 0:
        size = connection.recv_into(buffer[:due])
        if not size:
            raise OSError("the other end closed the connection")
        due -= size
    return image_bytes


def main(kind: str, host: str, port: str, seconds: str, tag: str) -> int:
    protocol = PROTOCOLS[kind]
    login = [os.environ[name].encode() for name in ("REDIS_USER", "REDISCLI_AUTH") if os.environ.get(name)]
    hello = [(command(b"AUTH", *login), b"+OK\r\n")] if kind == "redis" and login else []
    connections = [connected(host, int(port)) for _ in range(CONNECTIONS)]
    for connection in connections:
        for request, wanted in hello:
            exchange(connection, request, wanted)
    if protocol.written:
        for number in range(IMAGES):
            image = os.urandom(IMAGE_BYTES)
            exchange(connections[0], protocol.write(key(tag, number), image), protocol.written)
    until = time.monotonic() + float(seconds)
    counted = [Histogram() for _ in connections]
    failed: list[str] = []

    def ask(number: int) -> None:
        buffer, turn = memoryview(bytearray(IMAGE_BYTES + 4096)), number
        try:
            while (began := time.monotonic()) < until:
                turn += 1
                fetch(connections[number], protocol, protocol.ask(key(tag, turn % IMAGES)), buffer)
                counted[number].record((time.monotonic() - began) * 1e6)
        except OSError as error:
            failed.append(str(error))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(CONNECTIONS)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.monotonic() - began
    if failed:
        raise SystemExit(failed[0])
    whole = Histogram()
    for part in counted:
        whole.add(part)
    print(json.dumps({**whole.summary(), "gets_per_s": whole.total / took}))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
