"""Asks one application for images at a steady rate while something happens to the cache, in step with others:

    python -m tests.examples.steady NAME FOLDER COMMAND…

It makes FOLDER/ready-NAME once the images are in the cache and the application has measured how far away the nodes are.
Once FOLDER/begin is there, it sees to it that they are still in the cache, and makes FOLDER/begun-NAME. Then it asks
until FOLDER/stop is there, whether or not earlier requests have ended. Some of the images are new ones, which the
application must fetch and store. Each of them is asked for twice in a row. It prints what it saw from then on as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from tests.examples.driver import AT_ONCE, application, ask, right
from tests.examples.zone_reader import MEASURING_S

IMAGES = 30
REQUESTS_PER_S = 20.0
NEW_EVERY = 4
_TOLD_WITHIN_S = 300.0
_STORED_S = 1.0


@dataclass(frozen=True)
class Asked:
    """One request for an image: whether it brought the image, and how long that took."""

    name: str
    is_right: bool
    seconds: float


def _asked(port: int, name: str) -> Asked:
    began = time.monotonic()
    try:
        brought = right(port, name)
    except (OSError, HTTPException):
        brought = False
    return Asked(name, brought, time.monotonic() - began)


def _wait_for(file: Path) -> None:
    deadline = time.monotonic() + _TOLD_WITHIN_S
    while not file.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"nobody made {file.name} in time")
        time.sleep(0.05)


def _steadily(port: int, own: str, stop: Path) -> list[Asked]:
    due, running = time.monotonic(), []
    deadline = due + _TOLD_WITHIN_S
    with ThreadPoolExecutor(200) as threads:
        while not stop.exists():
            if due > deadline:
                raise TimeoutError(f"nobody made {stop.name} in time")
            due += 1 / REQUESTS_PER_S
            time.sleep(max(0.0, due - time.monotonic()))
            number = len(running)
            # Of its own: an image that another application stored is no new one.
            new, is_old = number // NEW_EVERY, number % NEW_EVERY > 1
            name = f"{number % IMAGES}.jpg" if is_old else f"new-{own}-{new}.jpg"
            running.append(threads.submit(_asked, port, name))
        return [item.result() for item in running]


def main(name: str, folder: Path, command: Sequence[str]) -> int:
    with application(command) as (origin, port):
        names = [f"{number}.jpg" for number in range(IMAGES)]
        warm = [right(port, image) for _ in range(2) for image in names]
        time.sleep(MEASURING_S)
        (folder / f"ready-{name}").touch()
        _wait_for(folder / "begin")
        with ThreadPoolExecutor(AT_ONCE) as threads:
            warm += threads.map(lambda image: right(port, image), names)
        time.sleep(_STORED_S)
        before = ask(port, "/metrics")[1].decode()
        fetched = {image: origin.fetched[image] for image in names}
        (folder / f"begun-{name}").touch()
        asked = _steadily(port, name, folder / "stop")
        report = {
            "warm": all(warm),
            "failed": [item.name for item in asked if not item.is_right],
            "asked": len(asked),
            "longest_s": max(item.seconds for item in asked),
            "fetched_again": [image for image in names if origin.fetched[image] > fetched[image]],
            "new": [image for image in origin.fetched if image.startswith("new-")],
            "new_fetched_again": [
                image for image, times in origin.fetched.items() if image.startswith("new-") and times > 1
            ],
            "before": before,
            "after": ask(port, "/metrics")[1].decode(),
        }
    json.dump(report, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:]))
