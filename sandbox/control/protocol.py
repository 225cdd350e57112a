"""The control channel: one JSON object per line over an abstract unix socket, with file descriptors alongside.

A request is answered by any number of `{"progress": text}` lines and then one `{"result": …}` or `{"error": …}`.
Passing descriptors makes `exec` the program's own terminal instead of a copy of it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sandbox import errors
from sandbox.errors import NotFoundError, SandboxError

_CHUNK_BYTES = 1 << 20
_MAX_FDS = 8
PROJECT_DIR = Path(__file__).resolve().parents[2]

Message = dict[str, Any]


def default_name() -> str:
    """One sandbox per checkout of the project."""
    return hashlib.sha256(str(PROJECT_DIR).encode()).hexdigest()[:12]


def address(name: str) -> str:
    """Abstract (no file to leave behind); the user is part of it, and checked again on connection."""
    return f"\0sandbox-{os.getuid()}-{name}"


class _Channel:
    """One end of a connection: cuts what arrives into messages, and keeps the descriptors that came with them."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.fds: list[int] = []
        self._buffer = b""

    def _arrived(self) -> Message | None:
        """The next message, if it is there whole."""
        line, end, rest = self._buffer.partition(b"\n")
        if not end:
            return None
        self._buffer = rest
        message: Message = json.loads(line)
        return message

    def _read(self) -> bool:
        """Takes what there is; False when the other side is gone. Raises BlockingIOError when nothing is there yet."""
        try:
            data, fds, _, _ = socket.recv_fds(self.sock, _CHUNK_BYTES, _MAX_FDS)
        except ConnectionError:
            return False
        self.fds += fds
        self._buffer += data
        return bool(data)

    def _write(self, message: Message, fds: Sequence[int]) -> bytes:
        """Sends the descriptors with the first bytes of the message; the bytes that are left."""
        data = json.dumps(message).encode() + b"\n"
        return data[socket.send_fds(self.sock, [data], list(fds)) :] if fds else data

    def close(self) -> None:
        while self.fds:
            os.close(self.fds.pop())
        self.sock.close()


class Connection(_Channel):
    """The client's end: one request."""

    def __init__(self, name: str) -> None:
        super().__init__(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        try:
            self.sock.connect(address(name))
        except ConnectionRefusedError:
            self.sock.close()
            raise NotFoundError("no sandbox is running here; start one with: make up (python -m sandbox up)") from None

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def send(self, message: Message, fds: Sequence[int] = ()) -> None:
        data = self._write(message, fds)
        # Even sending nothing fails once the supervisor has answered and closed, and the answer would be lost.
        if data:
            self.sock.sendall(data)

    def receive(self) -> Message:
        """The next message. Raises SandboxError when the supervisor is gone."""
        while (message := self._arrived()) is None:
            if not self._read():
                raise SandboxError("the sandbox ended")
        return message

    def receive_good(self) -> Message:
        """The next message. Raises the supervisor's error as the class it was there."""
        message = self.receive()
        if "error" in message:
            raise getattr(errors, message.get("kind", ""), SandboxError)(message["error"])
        return message

    def result(self, on_progress: Callable[[str], None] = lambda text: None) -> Any:
        """The result; progress goes to `on_progress`."""
        while "progress" in (message := self.receive_good()):
            on_progress(message["progress"])
        return message["result"]


class MessageSocket(_Channel):
    """The supervisor's end, inside its event loop."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        super().__init__(sock)

    async def receive(self) -> Message | None:
        """The next message; None when the client is gone."""
        while (message := self._arrived()) is None:
            try:
                if not self._read():
                    return None
            except BlockingIOError:
                await self._readable()
        return message

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(self.sock, readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(self.sock)

    async def send(self, message: Message, fds: Sequence[int] = ()) -> None:
        await asyncio.get_running_loop().sock_sendall(self.sock, self._write(message, fds))

    def peer_uid(self) -> int:
        credentials = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        return int.from_bytes(credentials[4:8], "little")
