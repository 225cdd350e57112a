"""`python -m tests.mutants components/plan --tests tests/plan tests/advice --sample 150 --seed 1`."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.mutants.area import NOT_IN_PLACE, Baseline, Finder, Judge, Watcher, fork, read_baseline
from tests.mutants.edits import Mutant, mutants

WALL_SECONDS_MIN = 60
WALL_FACTOR = 10
"""For a test that waits for ever. One that computes for ever is ended sooner, by its processor time."""
DIFF_LINES_MAX = 12
NO_TEST = int(pytest.ExitCode.NO_TESTS_COLLECTED)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a mutant: `because` is the test that failed; empty if none did."""

    mutant: Mutant
    survived: bool
    because: str


@dataclass(slots=True)
class _Child:
    mutant: Mutant
    verdict: Path
    deadline: float


class Area:
    """The tests of an area, ready to judge mutants."""

    def __init__(self, scratch: Path, files: Sequence[Path], tests: Sequence[str], examples_max: int) -> None:
        self.scratch = scratch
        self.examples_max = examples_max
        self.killers: Counter[tuple[Path, str]] = Counter()
        started = time.monotonic()
        self.baseline = self._watch(files, tests)
        self.wall_seconds_max = WALL_SECONDS_MIN + WALL_FACTOR * (time.monotonic() - started)
        self.children: dict[int, _Child] = {}

    def _watch(self, files: Sequence[Path], tests: Sequence[str]) -> Baseline:
        result, output = self.scratch / "baseline.json", self.scratch / "baseline.txt"
        watcher = Watcher({str(path.resolve()): str(path) for path in files}, result, self.examples_max)
        pid = fork(self.scratch, output, watcher, tests)
        try:
            _, status = os.waitpid(pid, 0)
        except BaseException:
            _end(pid)
            raise
        if status != 0:
            raise SystemExit(f"{output.read_text()}\nthe tests do not pass without a mutant; there is nothing to learn")
        baseline = read_baseline(result)
        for name in baseline.imported:
            # Some modules cannot be imported by name alone (a part of a package that replaces itself).
            with warnings.catch_warnings(), contextlib.suppress(Exception):
                warnings.simplefilter("ignore")
                importlib.import_module(name)
        return baseline

    def judge(self, chosen: Sequence[Mutant], at_once: int) -> Iterator[Outcome]:
        """Outcomes as they come, of so many children at once."""
        waiting = list(chosen)
        try:
            while waiting or self.children:
                while waiting and len(self.children) < at_once:
                    mutant = waiting.pop(0)
                    if self.baseline.tests_of(mutant):
                        self._start(mutant)
                    else:
                        yield Outcome(mutant, True, "no test runs this line")
                yield from self._ended()
                time.sleep(0.01)
        finally:
            for pid in self.children:
                _end(pid)

    def _start(self, mutant: Mutant) -> None:
        # What noticed another mutant of the file will probably notice this one.
        tests = sorted(self.baseline.tests_of(mutant), key=lambda test: -self.killers[mutant.path, test])
        files = list(dict.fromkeys(test.partition("::")[0] for test in tests))
        number = len(list(self.scratch.glob("verdict-*")))
        verdict = self.scratch / f"verdict-{number}"
        verdict.write_text("import")
        judge = Judge(tests, self.baseline.cpu_seconds, verdict, self.examples_max)
        finder = Finder(_module(mutant.path), mutant)
        pid = fork(self.scratch, self.scratch / f"output-{number}", judge, files, finder)
        self.children[pid] = _Child(mutant, verdict, time.monotonic() + self.wall_seconds_max)

    def _ended(self) -> Iterator[Outcome]:
        for pid, child in list(self.children.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if not ended and time.monotonic() < child.deadline:
                continue
            _end(pid, reaped=bool(ended))
            del self.children[pid]
            test = child.verdict.read_text()
            if ended and os.WIFEXITED(status) and os.WEXITSTATUS(status) in (0, NO_TEST, NOT_IN_PLACE):
                if os.WEXITSTATUS(status) != 0:
                    raise RuntimeError(f"{child.mutant}: no test ran on it, so nothing can be said of it")
                yield Outcome(child.mutant, True, "")
                continue
            self.killers[child.mutant.path, test] += 1
            late = not ended or os.WIFSIGNALED(status)
            yield Outcome(child.mutant, False, f"{test} (out of time)" if late else test)


def _end(pid: int, reaped: bool = False) -> None:
    """Ends a child and whatever its tests have started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    if not reaped:
        os.waitpid(pid, 0)


def _module(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _files(targets: Sequence[str]) -> tuple[list[Path], int]:
    """Python files of packages and modules, and the one line that is asked for (0: all)."""
    files: list[Path] = []
    line = 0
    for target in targets:
        name, _, number = target.partition(":")
        line = int(number) if number else line
        path = Path(name)
        if not path.exists():
            raise SystemExit(f"{name} is neither a package nor a module here")
        files += sorted(path.rglob("*.py")) if path.is_dir() else [path]
    return [path for path in files if path.name != "__main__.py"], line


def run(
    targets: Sequence[str], tests: Sequence[str], sample: int, seed: int, at_once: int, examples: int, killed: bool
) -> float:
    """Judges a sample of the mutants and prints the survivors. Gives the share that survived."""
    files, line = _files(targets)
    everything = [mutant for path in files for mutant in mutants(path) if line in (0, mutant.line)]
    if not everything:
        raise SystemExit("there is nothing to change")
    chosen = random.Random(seed).sample(everything, min(sample or len(everything), len(everything)))
    chosen.sort(key=lambda mutant: (mutant.path, mutant.start, mutant.text))
    scratch = Path(tempfile.mkdtemp(prefix="mutants-"))
    outcomes: dict[Mutant, Outcome] = {}
    try:
        area = Area(scratch, files, tests, examples)
        count = f"{len(area.baseline.cpu_seconds)} tests against {len(chosen)} of {len(everything)} mutants"
        print(f"{count} (sample by seed {seed})", flush=True)
        told = 0
        for outcome in area.judge(chosen, at_once):
            outcomes[outcome.mutant] = outcome
            # In the order of the code, whichever child is done first, so that two runs can be compared.
            while told < len(chosen) and chosen[told] in outcomes:
                _tell(outcomes[chosen[told]], killed)
                told += 1
            if len(outcomes) % 25 == 0:
                print(f"… {len(outcomes)} of {len(chosen)}", file=sys.stderr, flush=True)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    survived = Counter(str(outcome.mutant.path) for outcome in outcomes.values() if outcome.survived)
    print("\nsurvivors by file:")
    for path, number in sorted(Counter(str(mutant.path) for mutant in chosen).items()):
        print(f"  {survived[path]:4} of {number:4}  {path}")
    share = survived.total() / len(chosen)
    print(f"killed {len(chosen) - survived.total()} of {len(chosen)}, survived {survived.total()} ({share:.0%})")
    return share


def _tell(outcome: Outcome, killed: bool) -> None:
    because = f" ({outcome.because})" if outcome.because else ""
    if not outcome.survived:
        if killed:
            print(f"killed {outcome.mutant}{because}", flush=True)
        return
    lines = outcome.mutant.diff()
    cut = [*lines[:DIFF_LINES_MAX], "  …"] if len(lines) > DIFF_LINES_MAX else lines
    print("\n".join([f"SURVIVED {outcome.mutant}{because}", *cut]), flush=True)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("targets", nargs="+", help="packages and modules, or one line: components/plan/sizing.py:40")
    parser.add_argument("--tests", nargs="+", required=True, help="files and folders whose fast tests judge")
    parser.add_argument("--sample", type=int, default=150, help="how many mutants (0: all)")
    parser.add_argument("--seed", type=int, default=1, help="another seed takes another sample")
    parser.add_argument("--at-once", type=int, default=2, help="how many mutants are judged at a time")
    parser.add_argument("--examples", type=int, default=30, help="generated inputs per test at most")
    parser.add_argument("--killed", action="store_true", help="also show what killed each of the others")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    run(given.targets, given.tests, given.sample, given.seed, given.at_once, given.examples, given.killed)


if __name__ == "__main__":
    main()
