"""Sends GET and SET of images at a steady rate, whether or not earlier requests have ended: what the Python drivers
share. Each driver is started as `DRIVER recommended|defaults HOST PORT RATE VALUE_BYTES FOLDER`, with the password in
REDIS_PASSWORD. It sends nothing while the file FOLDER/asleep is there, and ends when FOLDER/stop is. For each request
it prints two lines of JSON with its number `n`: one when it is sent, with `at` (wall clock, ms), and one when it has
ended, with `ms` (how long it took) and `error` (or null). So a request that nobody answers is seen, too.

A request that finds IN_FLIGHT others unanswered is not sent and counts as failed: an application's queue is full then.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

IN_FLIGHT = 400
KEYS = 300
SET_EVERY = 5


@dataclass(frozen=True)
class Given:
    """What the command line asks for."""

    recommended: bool
    host: str
    port: int
    rate: float
    value: bytes
    folder: Path
    password: str

    @classmethod
    def read(cls) -> Given:
        mode, host, port, rate, size, folder = sys.argv[1:]
        value = os.urandom(int(size))
        return cls(
            mode == "recommended", host, int(port), float(rate), value, Path(folder), os.environ["REDIS_PASSWORD"]
        )

    @property
    def is_over(self) -> bool:
        return (self.folder / "stop").exists()

    @property
    def sleeps(self) -> bool:
        return (self.folder / "asleep").exists()


def request(number: int) -> tuple[str, str]:
    """(op, key) of the n-th request."""
    return ("set" if number % SET_EVERY == 0 else "get"), f"image:{number % KEYS}"


def sent(number: int) -> float:
    """Says that a request is sent. Gives the time of `time.monotonic()`."""
    _say({"n": number, "at": time.time() * 1000})
    return time.monotonic()


def ended(number: int, began: float, error: str | None) -> None:
    _say({"n": number, "ms": (time.monotonic() - began) * 1000, "error": error})


def _say(line: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def run(given: Given, send: Callable[[str, str, bytes], object]) -> None:
    """`send(op, key, value)` raises when the request failed."""
    unanswered = threading.Semaphore(IN_FLIGHT)

    def one(number: int, op: str, key: str, began: float) -> None:
        error = None
        try:
            send(op, key, given.value)
        except Exception as raised:
            error = f"{type(raised).__name__}: {raised}"[:160]
        unanswered.release()
        ended(number, began, error)

    with ThreadPoolExecutor(IN_FLIGHT) as threads:
        due, number = time.monotonic(), 0
        while not given.is_over:
            due += 1 / given.rate
            time.sleep(max(0.0, due - time.monotonic()))
            if given.sleeps:
                due = time.monotonic()
                continue
            op, key = request(number)
            number += 1
            began = sent(number)
            if unanswered.acquire(blocking=False):
                threads.submit(one, number, op, key, began)
            else:
                ended(number, began, "not sent: too many unanswered")
        # What hangs is told by the lines that are missing; it must not keep this process.
        threads.shutdown(wait=False, cancel_futures=True)
        os._exit(0)


def drive(
    connect: Callable[[str, int, str], Any],
    answered: Callable[[Callable[[], Any]], Any],
    by_defaults: Callable[[str, int, str], Any],
) -> None:
    """A driver of a client with redis-py's interface. As recommended it is made by `connect`, and each request goes
    through `answered`."""
    given = Given.read()
    client = (connect if given.recommended else by_defaults)(given.host, given.port, given.password)

    def send(op: str, key: str, value: bytes) -> object:
        def once() -> object:
            return client.set(key, value, ex=300) if op == "set" else client.get(key)

        return answered(once) if given.recommended else once()

    run(given, send)
