"""`make soak`: changes of size with their Jobs killed at many seeded moments, under load.

python -m tests.resize.soak [--moments 10] [--seed 1] [--only masters,pool,replicas,second]
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import partial

from sandbox.errors import SandboxError
from tests.resize.content import fill, there
from tests.resize.harness import LOAD, SLOW_MIB_PER_SECOND, Killer, assert_nothing_lost, stack, until_done, wait_settled

KINDS: Mapping[str, tuple[Mapping[str, str], Sequence[Mapping[str, str]]]] = {
    "masters": (
        {"podMemory": "64MB", "totalMemory": "192MB"},
        [{"totalMemory": "384MB"}, {"totalMemory": "256MB"}],
    ),
    "pool": (
        {"podMemory": "128MB", "totalMemory": "384MB"},
        [{"podMemory": "64MB"}, {"podMemory": "128MB"}],
    ),
    "replicas": (
        {"podMemory": "64MB", "totalMemory": "192MB"},
        [{"replicasPerMaster": "2"}, {"replicasPerMaster": "1"}],
    ),
}
"""Kind -> the stack, and the edits that are made one after the other."""

SECOND = "second"
_KILLS_AT_MOST = 5
"""Of one change: a Job is tried four times, and an update that failed is run again."""


def run(kind: str, seed: int, moments: int) -> tuple[int, list[str]]:
    """Kills until `moments` are reached; how many there were, and what went wrong."""
    config, edits = KINDS[kind]
    killed, turn = 0, 0
    wrong: list[str] = []
    while killed < moments and turn < moments:
        turn += 1
        try:
            killed += _turn(f"resize-soak-{kind}", config, edits, seed * 10_000 + turn * 10)
        except (AssertionError, SandboxError) as error:
            wrong.append(f"turn {turn}: {error}")
    return killed, wrong


def _turn(name: str, config: Mapping[str, str], edits: Sequence[Mapping[str, str]], seed: int) -> int:
    """All edits of one stack; how many kills there were."""
    killed = 0
    with stack(name, **config, resize__maxMibPerSecond=SLOW_MIB_PER_SECOND) as living:
        with living.deployment.load(LOAD) as load:
            for number, edit in enumerate(edits):
                with Killer(living.sandbox, seed + number, times=_KILLS_AT_MOST) as killer:
                    until_done(partial(living.edit, **edit), attempts=_KILLS_AT_MOST + 1)
                killed += len(killer.killed)
            wait_settled(2)
            measured = load.end()
        assert_nothing_lost(measured, requests_at_least=500)
    return killed


def second_change() -> None:
    """An update is cut off, as by Ctrl-C twice: its Job goes on alone, and the next update, with another config, moves
    nothing until that one has ended."""
    with stack("resize-second", podMemory="64MB", totalMemory="192MB", resize__maxMibPerSecond="1") as living:
        assert fill(living, 120) == 120
        before = set(living.jobs("form"))

        def moving() -> set[str]:
            return {pod for pod in living.jobs("form") if pod not in before and "Move:" in living.says(pod)}

        living.cut_off(lambda: bool(moving()), within_s=90, totalMemory="256MB")
        (first,) = moving()
        heard: list[str] = []
        listener = threading.Thread(target=living.sandbox.follow_logs, args=(first, heard.append), daemon=True)
        listener.start()
        until_done(lambda: living.edit(totalMemory="320MB"), attempts=10, pause_s=5)
        listener.join(30)

        assert len(living.masters()) == 5
        second = [pod for pod in living.jobs("form") if pod not in before | {first}]
        began = min(line.split()[0] for pod in second for line in living.says(pod).splitlines() if "Move:" in line)
        ended = max(line.split()[0] for line in "".join(heard).splitlines() if " move: " in line)
        assert began >= ended
        assert there(living, 120) == 120


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.resize.soak", description="Kills while the size changes.")
    parser.add_argument("--moments", type=int, default=10, help="of each kind (default 10)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default=",".join((*KINDS, SECOND)), help="some of the default's")
    options = parser.parse_args(arguments)
    failed = False
    for kind in options.only.split(","):
        if kind == SECOND:
            second_change()
            print("second: nothing moved until the first change had ended", flush=True)
            continue
        if kind not in KINDS:
            parser.error(f"--only {kind}: the kinds are {', '.join((*KINDS, SECOND))}")
        killed, wrong = run(kind, options.seed, options.moments)
        failed = failed or bool(wrong)
        print(
            f"{kind}: Jobs killed {killed} times, seed {options.seed}: {'; '.join(wrong) or 'nothing lost'}", flush=True
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
