"""The client's side of the control channel."""

from __future__ import annotations

import os
import socket
import threading

import pytest

from sandbox.control.protocol import Connection, address
from sandbox.errors import NotFoundError


def test_an_answer_that_comes_before_the_request_is_sent_to_its_end_is_not_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = f"answer-{os.getpid()}"
    answered = threading.Event()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(address(name))
        listener.listen(1)

        def answer() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.recv(1 << 16)
                peer.sendall(b'{"error": "not running", "kind": "NotFoundError"}\n')
            answered.set()

        threading.Thread(target=answer, daemon=True).start()
        send_fds = socket.send_fds

        def slow(sock: socket.socket, buffers: list[bytes], fds: list[int]) -> int:
            sent = send_fds(sock, buffers, fds)
            assert answered.wait(5)
            return sent

        monkeypatch.setattr(socket, "send_fds", slow)
        with Connection(name) as connection:
            connection.send({"operation": "exec"}, [0])
            with pytest.raises(NotFoundError, match="not running"):
                connection.result(lambda text: None)
