"""What redis-py and `RedisConnection` make of each class of reply, so that a simulated node can answer alike."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

import pytest

from reconciler import connection
from reconciler.connection import RedisConnection, Reply, ReplyError, UnreachableError
from reconciler.credentials import Credentials
from reconciler.tls import Tls

REPLIES: dict[str, str | None] = {
    "max clients": "ERR max number of clients + cluster connections reached",
    "BUSY": "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "LOADING": "LOADING Redis is loading the dataset in memory",
    "MASTERDOWN": "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "OOM": "OOM command not allowed when used memory > 'maxmemory'.",
    "NOAUTH": "NOAUTH Authentication required.",
    "WRONGPASS": "WRONGPASS invalid username-password pair or user is disabled.",
    "NOPERM": "NOPERM this user has no permissions to run the 'info' command",
    "MISCONF": "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
    "READONLY": "READONLY You can't write against a read only replica.",
    "no reply": None,
}
"""Class -> what a server in that state answers to every command; None for an open connection on which nothing comes."""
AT_THE_DOOR = ("max clients", "NOAUTH", "WRONGPASS", "no reply")
"""States in which no command gets as far as being refused by itself: connecting fails already."""
SHORT_S, LONG_S = 0.05, 30.0
"""How long an answer is waited for that never comes, and one that comes, however busy the machine is."""


@dataclass(frozen=True)
class Refusal:
    """How a node refuses: the exceptions of a single command and of a pipeline, or the error in place of each reply."""

    of_call: Exception
    of_pipeline: Exception
    takes_s: float
    """Of the reconciler's clock, for each attempt."""

    def call(self) -> Reply:
        raise self.of_call

    def pipeline(self, commands: int) -> list[Reply | ReplyError]:
        if isinstance(self.of_pipeline, ReplyError):
            return [self.of_pipeline] * commands
        raise self.of_pipeline


class _Server:
    """Gives one answer to every command, from the first on or once a client has named itself."""

    def __init__(self, reply: str | None, at_the_door: bool) -> None:
        self._reply = reply
        self._at_the_door = at_the_door
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = self._socket.getsockname()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError), client:
            while data := client.recv(65536):
                commands = sum(line.startswith(b"*") for line in data.split(b"\r\n"))
                greets = b"SETNAME" in data or b"AUTH" in data
                if greets and not self._at_the_door:
                    client.sendall(b"+OK\r\n" * commands)
                elif self._reply is not None:
                    client.sendall(f"-{self._reply}\r\n".encode() * commands)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@cache
def refusal(name: str) -> Refusal:
    """As a real connection sees it: one command and then two at once, each on a connection of its own."""
    server = _Server(REPLIES[name], name in AT_THE_DOOR)
    found: list[Exception] = []
    wait_s = SHORT_S if REPLIES[name] is None else LONG_S
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "CONNECT_TIMEOUT_S", wait_s)
        for commands in ([("CLUSTER", "NODES")], [("CLUSTER", "NODES"), ("INFO",)]):
            one = RedisConnection(server.address, [Credentials("operator", "a password")], Tls(), "a test")
            try:
                if len(commands) == 1:
                    one.call(*commands[0], timeout_s=wait_s)
                else:
                    replies = one.pipeline(commands, timeout_s=wait_s)
                    found += [reply for reply in replies[:1] if isinstance(reply, ReplyError)]
            except (ReplyError, UnreachableError) as error:
                found.append(error)
            finally:
                one.close()
    server.close()
    of_call, of_pipeline = found
    return Refusal(of_call, of_pipeline, connection.CONNECT_TIMEOUT_S if REPLIES[name] is None else 0.0)
