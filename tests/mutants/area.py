"""The tests of an area in a process of their own: once as they are, to see which test runs which line, then per mutant.

A child is forked from a parent that has imported what comes from outside this project, and nothing of the project: so
a mutant is in place before anything imports the module, as values at module level need it, and Pulumi is imported once.
Nothing is written into the checkout: compiled files, pytest's temporary folders and hypothesis' examples go elsewhere.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from tests.mutants.edits import Mutant

FAST = "not redis and not sandbox and not long and not e2e"
CPU_SECONDS_MIN = 1
CPU_FACTOR = 10
"""A test may take so many times the processor time it takes without a mutant. What takes longer loops for ever."""
MEMORY_BYTES_MAX = 4 << 30
"""Of data, so that a mutant which collects for ever ends before the machine is out of memory."""
NOT_IN_PLACE = 64
"""Exit status of a child whose tests passed on the original, because they never imported the mutant."""
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Baseline:
    """The area without a mutant. Tests are in the order of their processor time, the quickest first."""

    cpu_seconds: dict[str, float]
    lines: dict[str, set[tuple[str, int]]]
    """Test -> (path, line) that it runs."""
    shared: set[tuple[str, int]]
    """Lines that run for all: while modules are imported and while fixtures of several tests are made."""
    imported: list[str]
    """Modules from outside this project, in the order in which they were imported."""

    def tests_of(self, mutant: Mutant) -> list[str]:
        """The tests that can notice a mutant; the quickest first."""
        first, last = mutant.span
        changed = {(str(mutant.path), line) for line in range(first, last + 1)}
        if changed & self.shared:
            return list(self.cpu_seconds)
        return [test for test in self.cpu_seconds if changed & self.lines[test]]


def fork(scratch: Path, output: Path, plugin: object, tests: Sequence[str], finder: Finder | None = None) -> int:
    """Starts a child that runs the tests with a plugin, and ends with pytest's exit status. Gives its pid."""
    parent = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    status = 3
    try:
        os.setsid()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(status)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
        log = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.pycache_prefix = str(scratch / "compiled")
        if finder is not None:
            sys.meta_path.insert(0, finder)
        _same_examples_each_time()
        status = int(pytest.main(_arguments(scratch / f"tmp-{os.getpid()}", tests), plugins=[plugin]))
        if status == 0 and finder is not None and not finder.used:
            status = NOT_IN_PLACE
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _arguments(folder: Path, tests: Sequence[str]) -> list[str]:
    quiet = ["-q", "-x", "--tb=short", "-p", "no:cacheprovider", "-p", "no:xdist", f"--basetemp={folder}"]
    # Plugins that are imported before pytest keep plain assertions; this project's tests do not.
    early = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    return [*quiet, *early, "-m", FAST, *tests]


def _same_examples_each_time() -> None:
    """Generated inputs are the same in each run, none is remembered, and a failure is not made small."""
    from hypothesis import Phase, settings

    settings.register_profile(
        "mutants", derandomize=True, database=None, deadline=None, phases=(Phase.explicit, Phase.generate)
    )
    settings.load_profile("mutants")


def _limit_examples(item: pytest.Item, most: int) -> None:
    """Hypothesis keeps a test's settings in its function, and has no other place for those of a single test."""
    from hypothesis import settings

    function = getattr(item, "function", None)
    chosen = getattr(function, "_hypothesis_internal_use_settings", None)
    if chosen is not None and chosen.max_examples > most:
        vars(function)["_hypothesis_internal_use_settings"] = settings(chosen, max_examples=most)


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives the mutant where its module is imported, and everything else as it is."""

    def __init__(self, name: str, mutant: Mutant) -> None:
        self.name = name
        self.path = mutant.path.resolve()
        self.source = mutant.source()
        self.used = False

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if name != self.name:
            return None
        return importlib.util.spec_from_file_location(
            name,
            self.path,
            loader=self,
            submodule_search_locations=[str(self.path.parent)] if self.path.name == "__init__.py" else None,
        )

    def exec_module(self, module: Any) -> None:
        self.used = True
        exec(compile(self.source, self.path, "exec"), module.__dict__)  # noqa: S102

    def get_source(self, name: str) -> str:
        return self.source.decode()


@dataclass(eq=False)
class Judge:
    """Runs chosen tests in a chosen order, each with its limit, and writes down the test that failed."""

    order: list[str]
    cpu_seconds: dict[str, float]
    verdict: Path
    examples_max: int
    """Generated inputs per test. What only the hundredth of them notices is noticed on some days alone."""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        place = {test: number for number, test in enumerate(self.order)}
        items[:] = sorted((item for item in items if item.nodeid in place), key=lambda item: place[item.nodeid])
        for item in items:
            _limit_examples(item, self.examples_max)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.verdict.write_text(nodeid)
        # The signal ends the process, whatever its thread is in.
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS_MIN + CPU_FACTOR * self.cpu_seconds[nodeid])


@dataclass(eq=False)
class Watcher:
    """Sees which test runs which line of the files that are to be changed."""

    files: dict[str, str]
    """Absolute path -> path as it is reported."""
    result: Path
    examples_max: int
    lines: dict[str, set[tuple[str, int]]] = field(default_factory=dict)
    shared: set[tuple[str, int]] = field(default_factory=set)
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    before: set[str] = field(default_factory=lambda: {*sys.modules})

    def __post_init__(self) -> None:
        self.seen = self.shared

    def trace(self, frame: FrameType, event: str, argument: Any) -> Any:
        code = frame.f_code
        path = self.files.get(code.co_filename)
        if path is None:
            return None
        seen = self.seen
        # Lines that were all seen in this test need not be seen again: generated inputs run them a thousand times.
        missing = {line for _, _, line in code.co_lines() if line is not None and (path, line) not in seen}
        if not missing:
            return None
        seen.add((path, frame.f_lineno))

        def line(frame: FrameType, event: str, argument: Any) -> Any:
            seen.add((path, frame.f_lineno))
            return line

        return line

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            _limit_examples(item, self.examples_max)

    def pytest_collection(self) -> None:
        threading.settrace(self.trace)
        sys.settrace(self.trace)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Generator[None]:
        """What several tests share is made in the first of them, and all of them see it."""
        kept = self.seen
        if fixturedef.scope != "function":
            self.seen = self.shared
        yield
        self.seen = kept

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None]:
        _forget_what_was_cached()
        self.seen = self.lines.setdefault(item.nodeid, set())
        start = time.process_time()
        yield
        self.cpu_seconds[item.nodeid] = time.process_time() - start
        self.seen = self.shared

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped:
            # It says nothing about a mutant.
            self.lines[report.nodeid] = set()

    def pytest_sessionfinish(self) -> None:
        sys.settrace(None)
        order = sorted(self.cpu_seconds, key=lambda test: self.cpu_seconds[test])
        content = {
            "cpu_seconds": {test: self.cpu_seconds[test] for test in order},
            "lines": {test: sorted(self.lines[test]) for test in order},
            "shared": sorted(self.shared),
            "imported": [
                name for name, module in sys.modules.items() if name not in self.before and not _is_own(module)
            ],
        }
        self.result.write_text(json.dumps(content))


def _forget_what_was_cached() -> None:
    """Otherwise a line would be seen in the first test alone that has its result computed."""
    for module in list(sys.modules.values()):
        if _is_own(module):
            for value in list(vars(module).values()):
                if isinstance(value, functools._lru_cache_wrapper):
                    value.cache_clear()


def _is_own(module: object) -> bool:
    """Whether a module is a file of this checkout, and not of its virtual environment."""
    file = getattr(module, "__file__", None)
    return file is not None and Path(file).is_relative_to(Path.cwd()) and "site-packages" not in Path(file).parts


def read_baseline(result: Path) -> Baseline:
    """What a Watcher wrote."""
    content = json.loads(result.read_text())
    return Baseline(
        cpu_seconds=content["cpu_seconds"],
        lines={test: {(path, line) for path, line in lines} for test, lines in content["lines"].items()},
        shared={(path, line) for path, line in content["shared"]},
        imported=content["imported"],
    )
