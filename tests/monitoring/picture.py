"""`python -m tests.monitoring.picture FILE.png`: the dashboard of a running stack `local`, as a browser shows it.

A stack with its Prometheus serves images for some minutes. In between a master is lost and comes back, so that there is
something to see. Every figure is what that Prometheus says.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from components.manifests.monitoring.dashboard import panels
from sandbox.control.dashboard import write_dashboard
from tests.monitoring.live import Live, live
from tests.monitoring.provocations import settled
from tests.monitoring.stacks import watched

BROWSER = "chromium-headless-shell"
"""Debian's Chromium without a window; `make test-long` and `make picture` install it."""
WIDTH_PX, HEIGHT_PX = 1440, 1812
_BEFORE_S, _AFTER_S = 120, 120
_IMAGES = 500
"""Of 1 MB. The three masters hold 768 MiB together, and the plan of stack local expects 612 MiB."""
_BROWSER_TIMEOUT_S = 120
TITLES = "panels"
"""Text in the PNG that names the panels in it, so that an old picture is noticed."""


def titles() -> list[str]:
    """Of the panels that the dashboard of stack `local` has."""
    return [panel.title for row in panels(*watched("local")).values() for panel in row]


def photographed(page: Path, picture: Path) -> None:
    """What a browser shows of a page, as a PNG. Raises CalledProcessError with what the browser says."""
    with tempfile.TemporaryDirectory(prefix="browser-") as profile:
        subprocess.run(
            [
                BROWSER,
                # Root has no other way, and the page is our own.
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                f"--user-data-dir={profile}",
                f"--window-size={WIDTH_PX},{HEIGHT_PX}",
                f"--screenshot={picture}",
                page.absolute().as_uri(),
            ],
            check=True,
            capture_output=True,
            timeout=_BROWSER_TIMEOUT_S,
        )


def some_minutes(running: Live, say: Callable[[str], None]) -> float:
    """Serves images, loses a master and gets it back; how many seconds that took."""
    began = time.monotonic()
    with running.load("images", str(_IMAGES)):
        say(f"images are read and written for {_BEFORE_S} s")
        time.sleep(_BEFORE_S)
        say("redis-master-1 is killed; its replica takes over, and repair makes it master again")
        running.sandbox.fault("kill-pod", pod="redis-master-1")
        settled(running)
        time.sleep(_AFTER_S)
    return time.monotonic() - began


def main(arguments: Sequence[str]) -> int:
    """Writes the picture."""
    picture = Path(arguments[0]).absolute()
    with live(f"picture-{os.getpid()}", print) as running, tempfile.TemporaryDirectory(prefix="picture-") as folder:
        seconds = some_minutes(running, print)
        (page,) = write_dashboard(running.sandbox, Path(folder) / "dashboard.html", seconds)
        photographed(page, picture)
    with Image.open(picture) as shown:
        # A third of the size, and nobody sees the difference.
        told = PngInfo()
        told.add_text(TITLES, "\n".join(titles()))
        shown.convert("RGB").quantize(128).save(picture, optimize=True, pnginfo=told)
    print(f"written to {picture}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
