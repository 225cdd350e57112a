"""Serves images over HTTP: from the cache, or on a miss from where they come from.

    GET /images/NAME    the image
    GET /metrics        counters and latencies, for Prometheus

Environment: REDIS_ENDPOINT (the stack output `endpoint`), ORIGIN (a URL that has /NAME), LISTEN (port),
TTL_SECONDS, and the files of settings.py.
"""

from __future__ import annotations

import os
import re
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import urllib3
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest
from redis.exceptions import ConnectionError, RedisClusterException, RedisError
from settings import answered, connect

HOST, _, PORT = os.environ["REDIS_ENDPOINT"].rpartition(":")
ORIGIN = os.environ["ORIGIN"].rstrip("/")
TTL_SECONDS = int(os.environ.get("TTL_SECONDS", "300"))
UNSTORED = 64
"""While the cache takes no writes, so many images wait to be stored. More are not."""
CONNECT_EVERY_S = 0.2
UNANSWERED = (RedisError, RedisClusterException, AttributeError, OSError)
"""What a command, or connecting, raises where the cache does not answer: see `answered`."""
IMAGE = re.compile(r"/images/([A-Za-z0-9_-][A-Za-z0-9._-]*)")
"""Other names are not found. Nothing in these is escaped, so that nobody reads them in two ways, and none of them leads
out of the origin's folder."""

LOOKUPS = Counter("image_lookups", "Requests for an image, by how they were answered", ["result"])
CACHE_ERRORS = Counter("image_cache_errors", "Commands that the cache did not answer", ["command"])
CACHE_SECONDS = Histogram("image_cache_seconds", "How long commands took, retries included", ["command"])


class NotFound(Exception):
    """The origin has no such image."""


class Images:
    """Images by name. However many ask for one at a time, it is looked up once."""

    def __init__(self) -> None:
        self._client: Any = None
        self._lock = threading.Lock()
        self._under_way: dict[str, Future[bytes]] = {}
        self._storing = ThreadPoolExecutor(UNSTORED)
        self._may_store = threading.Semaphore(UNSTORED)
        self._origin = urllib3.PoolManager(maxsize=32, timeout=urllib3.Timeout(connect=1, read=10), retries=False)
        threading.Thread(target=self._connect, daemon=True).start()

    def get(self, name: str) -> bytes:
        """Raises NotFound, or what went wrong with the origin."""
        with self._lock:
            shared = self._under_way.get(name)
            if shared is None:
                mine = self._under_way[name] = Future()
        if shared is not None:
            LOOKUPS.labels("coalesced").inc()
            return shared.result()
        try:
            image = self._command("get", name)
            is_hit = image is not None
            LOOKUPS.labels("hit" if is_hit else "miss").inc()
            if not is_hit:
                image = self._fetch(name)
        except BaseException as error:
            mine.set_exception(error)
            self._forget(name)
            raise
        mine.set_result(image)
        if is_hit:
            self._forget(name)
        else:
            self._store(name, image)
        return image

    def _store(self, name: str, image: bytes) -> None:
        """Nobody waits until it is stored: while a master is lost that may be long. Who asks until then gets it from
        here, and its origin is left alone."""
        if not self._may_store.acquire(blocking=False):
            CACHE_ERRORS.labels("set").inc()
            self._forget(name)
            return

        def ended(_: Future[Any]) -> None:
            self._may_store.release()
            self._forget(name)

        self._storing.submit(self._command, "set", name, image, ex=TTL_SECONDS).add_done_callback(ended)

    def _forget(self, name: str) -> None:
        with self._lock:
            del self._under_way[name]

    def _command(self, command: str, name: str, *arguments: Any, **options: Any) -> Any:
        """The answer; None also where there is none, since without its cache the application still works."""

        def send() -> Any:
            if self._client is None:
                raise ConnectionError("not connected yet")
            return getattr(self._client, command)(f"image:{name}", *arguments, **options)

        try:
            with CACHE_SECONDS.labels(command).time():
                return answered(send)
        except UNANSWERED:
            CACHE_ERRORS.labels(command).inc()
            return None

    def _connect(self) -> None:
        """Beside the requests: while the cache is away, or silent, when the application starts, each of them waits for
        its own patience alone."""
        while self._client is None:
            try:
                self._client = connect(HOST, int(PORT))
            except UNANSWERED:
                time.sleep(CONNECT_EVERY_S)

    def _fetch(self, name: str) -> bytes:
        answer = self._origin.request("GET", f"{ORIGIN}/{name}")
        if answer.status == 404:
            raise NotFound(name)
        if answer.status != 200:
            raise OSError(f"the origin answered {answer.status}")
        return answer.data


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    images = Images()

    def do_GET(self) -> None:
        path, _, _ = self.path.partition("?")
        asked = IMAGE.fullmatch(path)
        if path == "/metrics":
            self._answer(200, CONTENT_TYPE_LATEST, generate_latest())
        elif asked:
            try:
                self._answer(200, "image/jpeg", self.images.get(asked[1]))
            except NotFound:
                self._answer(404, "text/plain", b"no such image\n")
            except (OSError, urllib3.exceptions.HTTPError) as error:
                self._answer(502, "text/plain", f"{error}\n".encode())
        else:
            self._answer(404, "text/plain", b"/images/NAME or /metrics\n")

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Requests are counted, not written."""


class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


if __name__ == "__main__":
    Server(("", int(os.environ.get("LISTEN", "8080"))), Handler).serve_forever()
