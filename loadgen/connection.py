"""One connection to one node, which never blocks: one request at a time, as the pool of an ordinary client has them.

A value of 1 MB is copied out of the socket, as any client must, into a buffer that all connections of a thread share.
It is not kept: only its head is looked at, which names its key.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass

from loadgen.topology import Node

HEAD_BYTES = 64
_BLOCK_BYTES = 1 << 20
_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Lost(Exception):
    """The connection ended, could not be made, or said what is no answer."""


@dataclass(frozen=True)
class Answer:
    """`head` is the beginning of a value, None where there is none; `error` is what Redis refused with."""

    head: bytes | None = None
    value_bytes: int = 0
    error: str | None = None


def command(*parts: bytes) -> bytes:
    """A request as Redis reads it."""
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


def buffer() -> memoryview:
    return memoryview(bytearray(_BLOCK_BYTES))


class Connection:
    """It is up when each command of `hello` has its answer."""

    def __init__(self, node: Node, hello: Sequence[bytes], tls: ssl.SSLContext | None, shared: memoryview) -> None:
        self.node = node
        self.bytes_in = 0
        self.bytes_out = 0
        self.is_up = False
        self._shared = shared
        self._tls = tls
        self._is_encrypted = tls is None
        self._hello = len(hello)
        self._out = [memoryview(part) for part in hello]
        self._line = b""
        self._head = b""
        self._size = 0
        self._due = 0
        """Bytes that are still to come of a value and the end of its line."""
        family = socket.AF_INET6 if ":" in node.address else socket.AF_INET
        self._socket: socket.socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = self._socket.connect_ex((node.address, node.port))
        if code not in (0, errno.EINPROGRESS):
            self.close()
            raise Lost(os.strerror(code))

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    @property
    def wants_to_write(self) -> bool:
        return bool(self._out) or not self._is_encrypted

    def send(self, *parts: bytes | memoryview) -> None:
        """Begins a request. Raises Lost."""
        self._out = [memoryview(part) for part in parts]
        self.write()

    def write(self) -> None:
        """Sends as much as the socket takes. Raises Lost."""
        try:
            if not self._is_encrypted:
                self._encrypt()
            while self._out:
                sent = self._socket.sendmsg(self._out) if self._tls is None else self._socket.send(self._out[0])
                self.bytes_out += sent
                while self._out and sent >= len(self._out[0]):
                    sent -= len(self._out.pop(0))
                if sent:
                    self._out[0] = self._out[0][sent:]
        except _WOULD_BLOCK:
            return
        except OSError as error:
            raise Lost(type(error).__name__) from error

    def _encrypt(self) -> None:
        if self._tls is not None and not isinstance(self._socket, ssl.SSLSocket):
            if code := self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(code, os.strerror(code))
            self._socket = self._tls.wrap_socket(
                self._socket, server_hostname=self.node.host, do_handshake_on_connect=False
            )
        if isinstance(self._socket, ssl.SSLSocket):
            self._socket.do_handshake()
        self._is_encrypted = True

    def read(self) -> Answer | None:
        """Takes what has come. Gives the answer to the request once it is whole. Raises Lost."""
        try:
            if not self._is_encrypted:
                self.write()
                return None
            while True:
                size = self._socket.recv_into(self._shared[: self._due] if self._due else self._shared)
                self.bytes_in += size
                if not size:
                    raise Lost("closed by the other end")
                answer = self._value(0, size) if self._due else self._lines(size)
                if answer is not None:
                    return answer
        except _WOULD_BLOCK:
            return None
        except OSError as error:
            raise Lost(type(error).__name__) from error

    def _value(self, begin: int, end: int) -> Answer | None:
        """What has come of a value: its head is kept, and how much is due."""
        if len(self._head) < HEAD_BYTES:
            self._head += bytes(self._shared[begin : min(end, begin + HEAD_BYTES)])
        self._due -= end - begin
        if self._due < 0:
            raise Lost("more came than was asked for")
        return None if self._due else Answer(self._head[: min(HEAD_BYTES, self._size)], self._size)

    def _lines(self, size: int) -> Answer | None:
        begin = 0
        while begin < size:
            piece = bytes(self._shared[begin : min(size, begin + 512)])
            end = piece.find(b"\n")
            self._line += piece if end < 0 else piece[: end + 1]
            begin += len(piece) if end < 0 else end + 1
            if end < 0:
                continue
            line, self._line = self._line, b""
            if line[:1] == b"$" and line[1:2] != b"-":
                self._size = int(line[1:])
                self._due, self._head = self._size + 2, b""
                return self._value(begin, size)
            error = line[1:].decode(errors="replace").strip() if line[:1] == b"-" else None
            if self.is_up:
                return Answer(error=error)
            if error is not None:
                raise Lost(error)
            self._hello -= 1
            self.is_up = not self._hello
        return None
