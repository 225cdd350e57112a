"""A server that does nothing but send: every request is answered with the same image, as Redis would answer a GET.

copying.py PORT
"""

from __future__ import annotations

import os
import socket
import sys
import threading

IMAGE_BYTES = 1_000_000


def main(port: int) -> None:
    answer = b"$%d\r\n" % IMAGE_BYTES + os.urandom(IMAGE_BYTES) + b"\r\n"
    listener = socket.create_server(("0.0.0.0", port), backlog=64)

    def serve(connection: socket.socket) -> None:
        with connection:
            while connection.recv(4096):
                connection.sendall(answer)

    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


if __name__ == "__main__":
    main(int(sys.argv[1]))
