"""A server in a pod's place that gives one answer to every command, or none at all."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

from tests.pod_life.pods import PORT, Pod, enter_network


class FakeServer:
    """Listens on Redis's port in the network of a pod whose container runs no Redis. `reply` None: it takes the
    connection and says nothing, as a stopped process does whose kernel still accepts."""

    def __init__(self, pod: Pod, reply: str | None) -> None:
        self._reply = reply
        self._open: list[socket.socket] = []
        ready = threading.Event()

        def listen() -> None:
            # Only this thread goes there, and the socket stays there.
            enter_network(pod)
            self._socket = socket.create_server(("", PORT))
            ready.set()
            with suppress(OSError):
                while True:
                    connection, _ = self._socket.accept()
                    self._open.append(connection)
                    threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

        threading.Thread(target=listen, daemon=True).start()
        assert ready.wait(10)

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError):
            while data := connection.recv(65536):
                if self._reply is not None:
                    # Each command is an array, which begins with its length.
                    commands = sum(line.startswith(b"*") for line in data.split(b"\r\n"))
                    connection.sendall(f"-{self._reply}\r\n".encode() * commands)

    def close(self) -> None:
        for connection in self._open:
            connection.close()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
