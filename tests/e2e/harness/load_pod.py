"""An application's load on the cache and the account of its keys; runs in a pod, beside tests/faults/load.py.

Fills, then serves HTTP on port 8080: /ready says whether the load runs, /stop ends it and answers with the account.
"""

import json
import os
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from load import Worker  # type: ignore[import-not-found]
from redis.exceptions import RedisClusterException, RedisError

stop = threading.Event()
running = threading.Event()
config = json.loads(os.environ["LOAD"])


def patient(shard: int) -> Worker:
    """A worker once the cache lets it start: a container that cannot is started again, on any cluster."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return Worker(config, shard, stop)
        except (RedisError, RedisClusterException):
            if time.monotonic() > deadline:
                raise
            time.sleep(1)


workers = [patient(shard) for shard in range(config["shards"])]


def account() -> dict:
    """What became of every request and every key; `lost` are keys whose last acknowledged value is not there."""
    stop.set()
    for worker in workers:
        worker.join(60)
    requests = [request for worker in workers for request in worker.requests]
    outcomes = Counter(f"{kind} {outcome}" for _, _, kind, outcome in requests if outcome != "ok")
    lost, unreadable, keys = [], [], 0
    for worker in workers:
        checked = worker.check()
        unreadable += checked["unreadable"]
        keys += len(worker.acknowledged)
        for key, found in checked["found"].items():
            # What was sent after the last acknowledged version may have arrived as well.
            if found is None or found < worker.acknowledged[key][-1][0]:
                lost.append(key)
    return {
        "requests": len(requests),
        "failed": dict(outcomes),
        "longest_s": max((ended - began for began, ended, _, _ in requests), default=0.0),
        "keys": keys,
        "lost": lost,
        "unreadable": unreadable,
        "tracebacks": [text for worker in workers for text in worker.tracebacks],
    }


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/stop":
            self._answer(200, account())
        else:
            self._answer(200 if running.is_set() else 503, {})

    def _answer(self, status: int, body: dict) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *arguments: object) -> None:
        """Not every poll belongs into the pod's log."""


server = ThreadingHTTPServer(("", 8080), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
for worker in workers:
    worker.fill()
for worker in workers:
    worker.start()
running.set()
threading.Event().wait()
