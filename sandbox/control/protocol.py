"""The control channel: one JSON object per line over an abstract unix socket, with file descriptors alongside.

A request is answered by any number of `{"progress": text}` lines and then one `{"result": …}` or `{"error": …}`.
Passing descriptors makes `exec` the program's own terminal instead of a copy of it.
"""

from __future__ import annotations

import array
import asyncio
import hashlib
import json
import os
import socket
from pathlib import Path
from typing import Any

_CHUNK_BYTES = 1 << 20
_MAX_FDS = 8
PROJECT_DIR = Path(__file__).resolve().parent.parent.parent

Message = dict[str, Any]


def default_name() -> str:
    """One sandbox per checkout of the project."""
    return hashlib.sha256(str(PROJECT_DIR).encode()).hexdigest()[:12]


def address(name: str) -> str:
    """Abstract (no file to leave behind); the user is part of it, and checked again on connection."""
    return f"\0sandbox-{os.getuid()}-{name}"


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class MessageSocket:
    """Messages over a non-blocking socket inside an event loop."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._buffer = b""
        self._fds: list[int] = []
        self._loop = asyncio.get_running_loop()

    async def receive(self) -> tuple[Message, list[int]] | None:
        """The next message and the descriptors that came with it; None when the other side is gone."""
        while b"\n" not in self._buffer:
            chunk = await self._receive_chunk()
            if not chunk:
                return None
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        fds, self._fds = self._fds, []
        return json.loads(line), fds

    async def _receive_chunk(self) -> bytes:
        while True:
            try:
                data, fds, _, _ = socket.recv_fds(self._sock, _CHUNK_BYTES, _MAX_FDS)
            except BlockingIOError:
                readable = self._loop.create_future()
                self._loop.add_reader(self._sock, _finish, readable)
                try:
                    await readable
                finally:
                    self._loop.remove_reader(self._sock)
                continue
            except ConnectionError:
                return b""
            self._fds += fds
            return data

    async def send(self, message: Message, fds: tuple[int, ...] = ()) -> None:
        data = json.dumps(message).encode() + b"\n"
        if fds:
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
            sent = self._sock.sendmsg([data], ancillary)
            data = data[sent:]
        await self._loop.sock_sendall(self._sock, data)

    def peer_uid(self) -> int:
        credentials = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        return int.from_bytes(credentials[4:8], "little")

    def close(self) -> None:
        for fd in self._fds:
            os.close(fd)
        self._fds = []
        self._sock.close()
