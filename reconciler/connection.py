"""Connections to nodes and names in DNS: the only module that touches the network."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeAlias, TypeVar

# Before Python 3.11.3 (Debian 12 has 3.11.2) the asyncio half of redis-py, which is not used here, imports the package
# async_timeout. Without it `import redis` fails. asyncio.timeout is the same under its later name, and saves shipping
# one more package.
if sys.version_info < (3, 11, 3):
    sys.modules.setdefault("async_timeout", asyncio)

import redis.exceptions
from redis import connection as redis_connection
from redis.backoff import NoBackoff
from redis.retry import Retry

from reconciler.credentials import Credentials
from reconciler.error_replies import BUSY, LOADING, busy_reason, reply_text
from reconciler.tls import Tls
from reconciler.tls_connection import TlsConnection, of_another_authority, takes_connections

CONNECT_TIMEOUT_S = 3.0
"""For connecting, authenticating and naming the connection. A master that forks to copy a large dataset answers nobody
for a second or so."""

REPLY_TIMEOUT_S = 10.0
NODES_AT_ONCE = 16

Argument: TypeAlias = str | bytes | int
Reply: TypeAlias = "bytes | int | list[Reply] | None"
Address: TypeAlias = tuple[str, int]
Item = TypeVar("Item")
Result = TypeVar("Result")


class ReplyError(Exception):
    """The node answered with an error; the text is the node's own."""


class UnreachableError(Exception):
    """The node cannot be reached, or the connection broke before its answer came."""


class RefusedError(UnreachableError):
    """The node lives, but refuses the connection or every command on it: it answered with an error."""


class WrongModeError(RefusedError):
    """The node lives, and takes connections in another way only: with TLS, or without."""


class WrongAuthorityError(WrongModeError):
    """The node lives, and its certificate is of an authority that is not trusted."""


class NotAdmittedError(RefusedError):
    """The node lives, but does not let this program in: WRONGPASS, NOAUTH or NOPERM. Trying again does not help."""


class NoSuchNameError(Exception):
    """DNS answered, and the name has no address."""


class NameNotResolvedError(Exception):
    """DNS did not answer, or with an error of its own: nothing is known about the name."""


class Connection(Protocol):
    """One connection to one node."""

    def call(self, *arguments: Argument, timeout_s: float = REPLY_TIMEOUT_S) -> Reply:
        """One command. Raises `ReplyError` or `UnreachableError`."""
        ...

    def pipeline(
        self, commands: Sequence[Sequence[Argument]], timeout_s: float = REPLY_TIMEOUT_S
    ) -> list[Reply | ReplyError]:
        """Many commands in one round trip; errors of single commands are returned in their place."""
        ...

    @property
    def credentials(self) -> Credentials:
        """By which the node has let this connection in. Asked after a command."""
        ...

    def close(self) -> None: ...


class Network(Protocol):
    """All that the reconciler needs of the world, so that tests can give it another one."""

    def connect(self, address: Address) -> Connection: ...

    def resolve(self, host: str) -> list[str]:
        """IP addresses of a name. Raises `NoSuchNameError` or `NameNotResolvedError`."""
        ...

    def now(self) -> float:
        """Seconds on a clock that never goes back."""
        ...

    def sleep(self, seconds: float) -> None: ...


class RedisConnection:
    """A connection through redis-py. Not to be shared between threads."""

    def __init__(self, address: Address, credentials: Sequence[Credentials], tls: Tls, name: str) -> None:
        self._address = address
        self._tls = tls
        self._door = tls.doors(address[1])[0]
        self._options: dict[str, Any] = {
            "host": address[0],
            "client_name": name,
            "socket_connect_timeout": CONNECT_TIMEOUT_S,
            "socket_timeout": CONNECT_TIMEOUT_S,
            "protocol": 2,
            "driver_info": None,
            # A command that may have been carried out must not be sent twice behind the caller's back.
            "retry": Retry(NoBackoff(), 0),
        }
        self._lock = threading.Lock()
        self._ways_in = tuple(credentials)
        self.credentials = self._ways_in[0]
        self._connection: Any = self._made()

    def _made(self) -> Any:
        port, has_tls = self._door
        options = {
            **self._options,
            "port": port,
            "username": self.credentials.user,
            "password": self.credentials.password,
        }
        # redis-py says no types of what a connection takes.
        plain: Any = redis_connection.Connection
        return TlsConnection(self._tls, **options) if has_tls else plain(**options)

    def _open(self) -> None:
        """Connect, unless that is done. First as the node took it the last time: its pod may have another by now."""
        others = [way for way in self._ways_in if way is not self.credentials]
        doors = [door for door in self._tls.doors(self._address[1]) if door != self._door]
        while True:
            try:
                self._connection.connect()
                return
            except redis.exceptions.AuthenticationError:
                if not others:
                    raise
                self.credentials = others.pop(0)
            except redis.exceptions.ConnectionError as error:
                another = of_another_authority(error.__context__)
                if another is not None:
                    raise WrongAuthorityError(another) from error
                if not isinstance(error.__context__, ConnectionRefusedError):
                    raise
                if not doors:
                    self._raise_if_in_the_opposite_mode()
                    raise
                self._door = doors.pop(0)
            self._connection = self._made()

    def _raise_if_in_the_opposite_mode(self) -> None:
        other = self._tls.other_door(self._address[1])
        if other is not None and takes_connections(self._address[0], other, CONNECT_TIMEOUT_S):
            has, wanted = ("with TLS", "without") if self._tls.mode == "plain" else ("without TLS", "with it")
            raise WrongModeError(
                f"it takes connections {has} alone (port {other}), and the config wants them {wanted}. The change "
                "takes two edits, so that no client is cut off: set tls.mode to both, move the clients, then go on "
                "(docs/runbook.md)"
            )

    def call(self, *arguments: Argument, timeout_s: float = REPLY_TIMEOUT_S) -> Reply:
        with self._lock, _Translated(self):
            self._open()
            self._connection.send_command(*arguments)
            reply: Reply = self._connection.read_response(timeout=timeout_s, disable_decoding=True)
            return reply

    def pipeline(
        self, commands: Sequence[Sequence[Argument]], timeout_s: float = REPLY_TIMEOUT_S
    ) -> list[Reply | ReplyError]:
        replies: list[Reply | ReplyError] = []
        if not commands:
            return replies
        with self._lock, _Translated(self):
            self._open()
            self._connection.send_packed_command(self._connection.pack_commands(commands))
            for _ in commands:
                try:
                    replies.append(self._connection.read_response(timeout=timeout_s, disable_decoding=True))
                except redis.exceptions.ResponseError as error:
                    replies.append(ReplyError(reply_text(error)))
        return replies

    def close(self) -> None:
        self._connection.disconnect()


class _Translated:
    """Turns redis-py's errors into those of this module. Unless the node answered with an error, the connection is
    dropped: a reply that comes late would be taken for the answer to the next command."""

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            return
        # redis-py knows one of the two texts that Redis has for this. The connection is closed either way.
        if isinstance(error, redis.exceptions.RedisError) and "max number of clients" in str(error):
            self._connection.close()
            raise RefusedError(
                "clients have taken all its connections (maxclients); it lives and serves them. Its pod closes those "
                "that are idle. If that is not enough, stop the application that takes them"
            ) from error
        if isinstance(error, redis.exceptions.ResponseError) and str(error).startswith(BUSY):
            self._connection.close()
            raise RefusedError(busy_reason(error)) from error
        if isinstance(error, redis.exceptions.BusyLoadingError):
            raise RefusedError(LOADING) from error
        if isinstance(error, redis.exceptions.MasterDownError):
            raise RefusedError(reply_text(error)) from error
        if isinstance(error, redis.exceptions.ResponseError) and not isinstance(
            error, redis.exceptions.AuthenticationError
        ):
            raise ReplyError(reply_text(error)) from error
        self._connection.close()
        if isinstance(error, redis.exceptions.AuthenticationError):
            raise NotAdmittedError(
                f"the node refuses {self._connection.credentials.name}: {reply_text(error)}"
            ) from error
        if isinstance(error, redis.exceptions.TimeoutError | TimeoutError):
            raise UnreachableError(
                f"no answer in time, as from a stopped process, a lost machine or a cut network ({error})"
            ) from error
        if isinstance(error, redis.exceptions.RedisError | OSError):
            raise UnreachableError(str(error)) from error


class RealNetwork:
    """redis-py and the resolver of the machine."""

    def __init__(self, credentials: Sequence[Credentials], tls: Tls, client_name: str) -> None:
        self._credentials = credentials
        self._tls = tls
        self._client_name = client_name

    def connect(self, address: Address) -> Connection:
        return RedisConnection(address, self._credentials, self._tls, self._client_name)

    def resolve(self, host: str) -> list[str]:
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            # EAI_NONAME is NXDOMAIN, EAI_NODATA a name without addresses (a Service without pods). All others
            # (EAI_AGAIN: timeout or SERVFAIL, EAI_FAIL: REFUSED) say nothing about the name.
            if error.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)):
                raise NoSuchNameError(f"DNS has no address for {host}") from error
            raise NameNotResolvedError(f"DNS did not answer for {host}: {error.strerror}") from error
        except (OSError, UnicodeError) as error:
            raise NameNotResolvedError(f"{host} cannot be resolved: {error}") from error
        return sorted({str(entry[4][0]) for entry in found})

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class Connections:
    """One kept connection per address, and the threads to use many of them at once.

    Without `in_threads` they are used one after the other, so that a test is the same each time.
    """

    def __init__(self, network: Network, in_threads: bool = True) -> None:
        self.network = network
        self.in_threads = in_threads
        self._threads = ThreadPoolExecutor(NODES_AT_ONCE) if in_threads else None
        self._connections: dict[Address, Connection] = {}
        self._lock = threading.Lock()

    def to(self, address: Address) -> Connection:
        with self._lock:
            if address not in self._connections:
                self._connections[address] = self.network.connect(address)
            return self._connections[address]

    def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """The function of each item, of many at once."""
        return list(map(function, items) if self._threads is None else self._threads.map(function, items))

    def close(self) -> None:
        with self._lock:
            for connection in self._connections.values():
                connection.close()
            self._connections.clear()
        if self._threads is not None:
            self._threads.shutdown()


def text(reply: Reply | ReplyError) -> str:
    """A reply that must be a string. Raises the error that stands in its place, if any."""
    if isinstance(reply, ReplyError):
        raise reply
    if not isinstance(reply, bytes):
        raise ReplyError(f"a string was expected, the node answered {reply!r:.80}")
    return reply.decode("utf-8", "replace")


def integer(reply: Reply | ReplyError) -> int:
    """A reply that must be an integer. Raises the error that stands in its place, if any."""
    if isinstance(reply, ReplyError):
        raise reply
    if not isinstance(reply, int):
        raise ReplyError(f"an integer was expected, the node answered {reply!r:.80}")
    return reply
