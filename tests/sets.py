"""The sets of tests, and how they run: `python -m tests.sets` runs the first three, `python -m tests.sets NAME` one.
With `--again` what failed of `real` runs once more.

    fast        starts nothing and takes no minutes
    real        starts real servers or the sandbox's pods
    computing   starts nothing and takes minutes all the same
    slow        looks a second time: the plain deployment, random kills, resizes that another test shows shorter, the
                pairs of edits that are no part of the sample

`real` mostly waits, so `computing` runs beside it at the lowest priority and takes what it leaves of the processors.
What ends this process ends all of them. The output closes with pytest's own line: what CI reads.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import IO
from xml.etree import ElementTree

SETS = {
    "fast": ("not redis and not sandbox and not long and not e2e", "starts nothing"),
    "real": ("(redis or sandbox) and not second_look and not e2e", "starts real servers or pods"),
    "computing": ("long and not second_look", "starts nothing, and takes minutes all the same"),
    "slow": ("second_look", "looks a second time at what a test of the other sets shows"),
}
"""Name -> (pytest's expression of markers, what is in it). Each test is in exactly one."""
AT_ONCE = ("-n", "2", "--dist", "loadfile", "--durations", "25", "--durations-min", "10")
"""A file's tests share clusters, so that a file stays with one process. (loadgroup does nothing with pytest 9: xdist
3.8 still names items by _nodeid.) Three real ones at a time were no faster on two cores: 1,252 s instead of 1,192 s."""
AGAIN = "--again"
TESTS_FAILED, NO_TESTS = 1, 5
_PR_SET_PDEATHSIG = 1


class Run:
    """One set under way, in a process group of its own that ends with this process."""

    def __init__(
        self, name: str, folder: Path, *options: str, niceness: int = 0, into: IO[bytes] | None = None
    ) -> None:
        expression, meaning = SETS[name]
        print(f"== {name}: {meaning} (-m '{expression}')", flush=True)
        self.name = name
        self.started = time.monotonic()
        self.seconds = 0.0
        self.counted = folder / f"{name}.xml"
        parent = os.getpid()

        def prepare() -> None:
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
            if os.getppid() != parent:
                os._exit(1)
            os.nice(niceness)
            # Linux gives each session the same share of the processors, whatever its processes' niceness, unless the
            # session itself is told to yield.
            with contextlib.suppress(OSError):
                Path("/proc/self/autogroup").write_text(str(niceness))

        self.process = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-q", "-m", expression, f"--junitxml={self.counted}", *options],
            stdout=into,
            stderr=subprocess.STDOUT if into else None,
            preexec_fn=prepare,
            start_new_session=True,
        )

    def wait(self) -> int:
        """Exit status of pytest. A set that is empty, as when only some files are asked for, has not failed."""
        status = self.process.wait()
        self.seconds = time.monotonic() - self.started
        return 0 if status == NO_TESTS else status

    def summary(self) -> str:
        """`fast: 770 tests, 0 failed, 2 skipped, 41 s`."""
        if not self.counted.exists():
            return f"{self.name}: ended before it could count, {self.seconds:.0f} s"
        # pytest wrote it a moment ago.
        (suite,) = ElementTree.parse(self.counted).getroot()  # noqa: S314
        failed = int(suite.attrib["failures"]) + int(suite.attrib["errors"])
        counts = f"{suite.attrib['tests']} tests, {failed} failed, {suite.attrib['skipped']} skipped"
        return f"{self.name}: {counts}, {self.seconds:.0f} s"

    def end(self) -> None:
        """Ends it as Ctrl-C would, so that fixtures still tidy up; for good after a minute."""
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGINT)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()


def _stop(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)


def one(name: str, folder: Path, *options: str) -> int:
    """One set alone."""
    run = Run(name, folder, *AT_ONCE, *options)
    try:
        return run.wait()
    finally:
        run.end()


def everything(folder: Path, *options: str) -> int:
    """All sets but the slow one. Gives the first status that is not 0.

    With `AGAIN` among the options, tests of `real` that failed run once more, alone, and that outcome counts: they
    measure seconds, and two ran at a time, perhaps on a machine that did other work. Both outcomes are printed.
    """
    again, options = AGAIN in options, tuple(option for option in options if option != AGAIN)
    with (folder / "computing.txt").open("w+b") as log:
        beside = Run("computing", folder, "-p", "no:cacheprovider", *options, niceness=19, into=log)
        runs: list[Run] = []
        statuses: list[int] = []
        try:
            for name in ("fast", "real"):
                runs.append(Run(name, folder, *AT_ONCE, *options))
                statuses.append(runs[-1].wait())
            if again and statuses[-1] == TESTS_FAILED:
                print("== real: what failed, once more and alone", flush=True)
                (folder / "again").mkdir()
                runs.append(
                    Run("real", folder / "again", "--last-failed", "--last-failed-no-failures", "none", *options)
                )
                statuses[-1] = runs[-1].wait()
            runs.append(beside)
            statuses.append(beside.wait())
        finally:
            for run in {beside, *runs}:
                run.end()
        log.seek(0)
        print("\n".join(f"== {run.summary()}" for run in runs))
        print(log.read().decode(errors="replace"), end="", flush=True)
    return next((status for status in statuses if status), 0)


def main(arguments: Sequence[str]) -> int:
    """Runs what the command line asks for."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    with tempfile.TemporaryDirectory(prefix="test-sets-") as name:
        if arguments and arguments[0] in SETS:
            return one(arguments[0], Path(name), *arguments[1:])
        return everything(Path(name), *arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
