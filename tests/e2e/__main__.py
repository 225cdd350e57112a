"""What `make e2e` runs.

    python -m tests.e2e [--engine DIR] [--jobs N] [--long] [--again] [test_….py …] [pytest's arguments]

The files of one group share a cluster of their own, in namespaces of its own; N groups run at a time, and the output of
each is printed when it ends. Files that are named are groups of one. With KUBECONFIG set all files run one after the
other on that cluster. With `--again` what failed beside others runs once more, alone, and both outcomes are printed.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from tests.e2e.harness import cgroups, given, programs, supervise
from tests.e2e.harness.report import MARK

_HERE = Path(__file__).parent
_TOGETHER: tuple[Sequence[str], ...] = (
    ("test_life.py", "test_hands.py", "test_failures.py", "test_destroy.py", "test_guard.py"),
    ("test_prod.py",),
    ("test_mistakes.py", "test_edits.py"),
    ("test_isolation.py",),
)
"""Files that share a cluster and a stack, in this order; a cluster and its first `up` take more than a minute. Longest
first, so that the last to end is not alone for long."""
_LONG_TOGETHER: tuple[Sequence[str], ...] = (
    ("test_prod_edits.py",),
    ("test_kills.py",),
    ("test_prod_lost_nodes.py",),
)
"""The same; all of their tests are marked `e2e_long`."""
_LONGEST_S = 12 * 60
_LONGEST_WITH_LONG_S = 40 * 60
_ENDED_WELL = (0, 5)
"""pytest's exit status when all tests passed, and when none was selected."""


class Running:
    """Test files under way on one cluster. Progress is printed at once, the rest when pytest has ended."""

    def __init__(self, files: Sequence[str], arguments: list[str], env: dict[str, str]) -> None:
        self.group = files
        self._name = Path(files[0]).stem
        self.began = time.monotonic()
        # pytest must not capture: progress is to be seen while a test runs.
        pytest = [
            "pytest",
            "-s",
            "-p",
            "no:cacheprovider",
            "--durations=0",
            *arguments,
            *(str(_HERE / file) for file in files),
        ]
        self._supervised = supervise.Supervised(self._name, [sys.executable, "-m", *pytest], env, subprocess.PIPE)
        self._rest: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        for line in self._supervised.output():
            text = line.decode(errors="replace")
            # pytest may have begun the line with a test's name.
            before, mark, progress = text.partition(MARK)
            if mark:
                print(f"{self._name:14} {progress}", end="", flush=True)
            self._rest.append(before if mark else text)

    def poll(self) -> int | None:
        """The exit status of pytest once it has ended."""
        return self._supervised.poll()

    def end(self) -> None:
        """Ends it if it runs, removes what is left of it, prints the rest."""
        left = self._supervised.end()
        self._reader.join()
        print(
            f"\n=== {', '.join(self.group)} ({time.monotonic() - self.began:.0f} s)\n{''.join(self._rest)}", flush=True
        )
        if left:
            print(f"control groups that would not go: {', '.join(map(str, left))}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.e2e")
    parser.add_argument("--engine", type=Path, help="directory of the programs, or the one whose `unpack` brings them")
    parser.add_argument("--jobs", type=int, default=3, help="groups at a time, each with a cluster of its own")
    parser.add_argument("--long", action="store_true", help="also what takes longer than twelve minutes together")
    parser.add_argument("--again", action="store_true", help="run groups that failed once more, alone")
    parser.add_argument("--longest", type=float, help="seconds after which everything is ended")
    options, arguments = parser.parse_known_args()
    if not options.long:
        arguments += ["-m", "not e2e_long"]
    named: tuple[Sequence[str], ...] = tuple((name,) for name in arguments if name.endswith(".py"))
    groups = named or (_TOGETHER + _LONG_TOGETHER if options.long else _TOGETHER)
    arguments = [name for name in arguments if not name.endswith(".py")]
    longest_s = options.longest or (_LONGEST_WITH_LONG_S if options.long else _LONGEST_S)
    own_cluster = not os.environ.get("KUBECONFIG")
    try:
        found = programs.find(options.engine, own_cluster)
        if own_cluster:
            supervise.check()
    except (programs.Missing, supervise.CannotSupervise) as error:
        print(error, file=sys.stderr)
        return 2
    env = {**os.environ, "PATH": found.path, "PYTHONPATH": str(_HERE.parents[1]), "PYTHONUNBUFFERED": "1"}
    if not own_cluster:
        paths = [str(_HERE / file) for group in groups for file in group]
        command = [sys.executable, "-m", "pytest", "-s", "--durations=0", *arguments, *paths]
        os.execvpe(sys.executable, command, env)  # noqa: S606 (a list, no shell)
    cgroups.remove_stale()
    # Ctrl-C and SIGTERM end this process in the usual way, with its `finally`.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    env[given.OWN] = str(found.cni)
    failed = _run(groups, arguments, env, options.jobs, longest_s)
    if failed and options.again:
        print(f"\nonce more, and alone: {'; '.join(map(', '.join, failed))}\n", flush=True)
        failed = _run(failed, arguments, env, 1, longest_s)
    return 1 if failed else 0


def _run(
    groups: Sequence[Sequence[str]], arguments: list[str], env: dict[str, str], jobs: int, longest_s: float
) -> list[Sequence[str]]:
    """Gives the groups that failed, and those that did not end in time."""
    began = time.monotonic()
    waiting, running, failed = list(groups), list[Running](), list[Sequence[str]]()
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                running.append(Running(waiting.pop(0), arguments, env))
            for one in list(running):
                ended = one.poll()
                if ended is None:
                    continue
                running.remove(one)
                one.end()
                if ended not in _ENDED_WELL:
                    failed.append(one.group)
            if time.monotonic() - began > longest_s:
                late = [*(one.group for one in running if one.poll() not in _ENDED_WELL), *waiting]
                print(f"ended after {longest_s:.0f} s without {', '.join(map(', '.join, late))}", flush=True)
                return failed + late
            time.sleep(0.2)
    finally:
        for one in running:
            one.end()
    print(f"tests/e2e: {time.monotonic() - began:.0f} s", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
