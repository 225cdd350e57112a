"""Tries one application beside an origin of images, and prints what it saw as JSON:

    driver.py IMAGES TURNS COMMAND…      each of so many images is asked for so often

The application gets this program's environment, and ORIGIN and LISTEN. It ends with this program.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

AT_ONCE = 20
IMAGE_BYTES = 100_000
_SLOW_S = 1.0
_STARTED_WITHIN_S = 120.0
_STORED_S = 1.0
"""An application stores an image after it has sent it. Who asks again in between gets it from the application's own
memory, and what is counted here is what comes from the cache."""


def image(name: str) -> bytes:
    return hashlib.shake_256(name.encode()).digest(10 * IMAGE_BYTES if name.startswith("big") else IMAGE_BYTES)


class Origin(ThreadingHTTPServer):
    """Where the images come from. It counts who asks for what, and on how many connections."""

    request_queue_size = 128
    """Whoever finds the default of 5 full waits for a second, which is how long an application waits."""

    def __init__(self) -> None:
        self.fetched: Counter[str] = Counter()
        self.connections = 0
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Answer)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Answer(BaseHTTPRequestHandler):
    server: Origin
    protocol_version = "HTTP/1.1"
    """Connections stay: whoever asks decides how many."""

    def setup(self) -> None:
        with self.server.lock:
            self.server.connections += 1
        super().setup()

    def do_GET(self) -> None:
        name = self.path.removeprefix("/images/")
        with self.server.lock:
            self.server.fetched[name] += 1
        if name.startswith("slow"):
            time.sleep(_SLOW_S)
        status, body = (404, b"") if name.startswith("missing") else (200, image(name))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing but the report is printed."""


def free_port() -> int:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answer) as server:
        return int(server.server_address[1])


def ask(port: int, path: str) -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def started(port: int, running: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _STARTED_WITHIN_S
    while True:
        try:
            ask(port, "/metrics")
        except (OSError, HTTPException):
            if running.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def right(port: int, name: str) -> bool:
    return ask(port, f"/images/{name}") == (200, image(name))


@contextmanager
def application(command: Sequence[str]) -> Iterator[tuple[Origin, int]]:
    """An application that answers, beside its origin: that one, and the port to ask."""
    origin, port = Origin(), free_port()
    given = {"ORIGIN": f"http://127.0.0.1:{origin.server_address[1]}/images", "LISTEN": str(port)}
    # The kernel ends the application with this program, however that ends. What it says is no part of a report.
    words = ["setpriv", "--pdeathsig", "KILL", *command]
    running = subprocess.Popen(words, env=os.environ | given, stdout=sys.stderr)
    try:
        started(port, running)
        yield origin, port
    finally:
        running.kill()
        running.wait()


def main(images: int, turns: int, command: list[str]) -> int:
    with application(command) as (origin, port):
        with ThreadPoolExecutor(AT_ONCE) as threads:
            together = list(threads.map(lambda _: right(port, "slow.jpg"), range(AT_ONCE)))
        names = [f"{number}.jpg" for number in range(images)]
        answers = []
        for _ in range(turns):
            answers.append([right(port, name) for name in names])
            time.sleep(_STORED_S)
        report = {
            "together": together,
            "turns": answers,
            "missing": ask(port, "/images/missing.jpg")[0],
            "fetched": origin.fetched,
            "metrics": ask(port, "/metrics")[1].decode(),
        }
    json.dump(report, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
