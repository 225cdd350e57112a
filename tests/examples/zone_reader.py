"""Reads images through one application in the network of one pod, in step with readers in other zones:

    python -m tests.examples.zone_reader NUMBER IMAGES TURNS FOLDER COMMAND…

It makes FOLDER/ready-NUMBER once the application has measured how far away the nodes are, waits for FOLDER/go, and asks
for each image so often. What it prints is the number of bytes that came.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tests.examples.driver import IMAGE_BYTES, application, right

MEASURING_S = 4.0
"""Each client asks the nodes once a second; Lettuce looks at the answers a second later."""
_GO_WITHIN_S = 120.0


def main(number: str, images: int, turns: int, folder: Path, command: list[str]) -> int:
    names = [f"{image}.jpg" for image in range(images)]
    with application(command) as (origin, port):
        # It connects beside its first requests.
        answers = [right(port, name) for name in names]
        time.sleep(MEASURING_S)
        fetched = sum(origin.fetched.values())
        (folder / f"ready-{number}").touch()
        deadline = time.monotonic() + _GO_WITHIN_S
        while not (folder / "go").exists():
            if time.monotonic() > deadline:
                raise TimeoutError("the others were not ready in time")
            time.sleep(0.02)
        answers += [right(port, name) for _ in range(turns) for name in names]
        late = sum(origin.fetched.values()) - fetched
    if not all(answers):
        raise ValueError("an answer was another image, or an error")
    print((images * turns - late) * IMAGE_BYTES)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]), sys.argv[5:]))
