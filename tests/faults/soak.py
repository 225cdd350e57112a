"""`make soak`: every kill at many seeded random moments, on the rendered stack under load.

    python -m tests.faults.soak [--moments 20] [--seed 1] [--only crash,lost]

Each line says what was killed, when, and whether what must hold held. Exit status 0 when it always did; a line that
failed names the seed that does it again.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count

from sandbox.control.client import Sandbox
from sandbox.errors import SandboxError
from tests.faults import planned, scenarios
from tests.faults.deployment import SHARDS, Deployment
from tests.faults.rows import HANDOVER_S
from tests.faults.scenarios import PATIENT, Outcome
from tests.faults.stacks import local_stack, ours

_KILLS_OF_ONE_JOB = 3
"""Each ends an update, which is then done anew."""
_HOME_WITHIN_S = 150.0
_FORM_S, _RELEASE_S, _REPAIR_S = 5.0, 2.0, 2.0
"""How long these usually take here; the moments lie within."""


@dataclass(frozen=True)
class Finding:
    """One kill, or the kills of one Job: how many moments it was, and what did not hold."""

    moments: int
    text: str
    broken: tuple[str, ...]


def _unplanned(outcome: Outcome) -> Finding:
    checks = {
        "keys lost": outcome.load.lost_keys > 0,
        "keys unreadable": outcome.load.unreadable > 0,
        "old writes lost": outcome.load.lost_updates_before > 0,
        "no writes any more": not outcome.load.write_gap.ended,
        "other shards stopped": not outcome.bystanders_serve,
        "not whole again": outcome.whole_after_s is None,
    }
    text = f"{outcome.done}: {outcome.load.write_gap}, {outcome.load.failed} failed"
    return Finding(1, text, tuple(what for what, broken in checks.items() if broken))


def _planned(outcome: Outcome) -> Finding:
    found = _unplanned(outcome)
    failed = (f"requests failed: {outcome.load.errors}",) if outcome.load.failed else ()
    gap = outcome.load.write_gap
    # Three times the goal: a busy machine is no finding, a hand-over that Redis gave up after 5 s is.
    held = ("writes held back for long",) if gap.seconds > 3 * HANDOVER_S else ()
    return Finding(1, found.text, found.broken + failed + held)


def _masters(
    scenario: Callable[..., Outcome], judge: Callable[[Outcome], Finding]
) -> Callable[[int, int], Iterator[Finding]]:
    def kills(seed: int, moments: int) -> Iterator[Finding]:
        with ours("soak") as deployment:
            for n in range(moments):
                dice = random.Random(f"{seed}/{n}")
                _fresh_containers(deployment)
                yield judge(scenario(deployment, PATIENT, shard=dice.randrange(SHARDS), moment=dice))

    return kills


def _fresh_containers(deployment: Deployment) -> None:
    """New pods for those whose container has crashed: the kubelet holds back a second crash, longer every time, and
    what is to be seen is the first."""
    deployment.wait_whole(_HOME_WITHIN_S)
    for name in [name for name, pod in deployment.pods().items() if pod["restarts"]]:
        deployment.fault("kill-pod", pod=name)
        deployment.until(partial(_is_new, deployment, name), _HOME_WITHIN_S)
        deployment.wait_whole(_HOME_WITHIN_S)


def _is_new(deployment: Deployment, name: str) -> bool:
    pod = deployment.pods().get(name)
    return pod is not None and pod["restarts"] == 0


def _end_state(killed: int, what: str, deployment: Deployment, reached: Callable[[], bool]) -> Finding:
    same = deployment.until(reached, _HOME_WITHIN_S) is not None
    broken = () if same else (f"another end state: {planned.end_state(deployment)}",)
    return Finding(killed, f"{what} killed {killed} times", broken)


def _until_done(moments: int, turns: Iterator[Finding]) -> Iterator[Finding]:
    """Findings until so many kills have hit; a Job that was done before its moment came does not count."""
    done = 0
    for _ in range(3 * moments):
        if done >= moments:
            return
        found = next(turns)
        done += found.moments
        yield found


def _form(seed: int, moments: int) -> Iterator[Finding]:
    return _until_done(moments, _forms(seed))


def _forms(seed: int) -> Iterator[Finding]:
    for turn in count(1):
        with Sandbox(f"soak-form-{os.getpid()}") as sandbox:
            times = planned.moments(seed * 1000 + turn, _KILLS_OF_ONE_JOB, _FORM_S)
            killed, deployment = planned.form_killed(sandbox, local_stack(), times)
            home = partial(_is_home, deployment)
            yield _end_state(killed, "form", deployment, home)


def _release(seed: int, moments: int) -> Iterator[Finding]:
    return _until_done(moments, _releases(seed))


def _releases(seed: int) -> Iterator[Finding]:
    for turn in count(1):
        with Sandbox(f"soak-release-{os.getpid()}") as sandbox:
            times = planned.moments(seed * 1000 + turn, _KILLS_OF_ONE_JOB, _RELEASE_S)
            killed, deployment, outcome = planned.release_killed(sandbox, times)
            found = _end_state(killed, "release", deployment, partial(planned.is_balanced, deployment))
            yield Finding(found.moments, found.text, found.broken + _planned(outcome).broken)


def _repair(seed: int, moments: int) -> Iterator[Finding]:
    return _until_done(moments, _repairs(seed))


def _repairs(seed: int) -> Iterator[Finding]:
    with ours("soak") as deployment:
        for turn in count(1):
            dice = random.Random(f"{seed}/{turn}")
            times = [dice.uniform(0, _REPAIR_S) for _ in range(_KILLS_OF_ONE_JOB)]
            killed = planned.repair_killed(deployment, times, shard=dice.randrange(SHARDS))
            yield _end_state(killed, "repair", deployment, partial(_is_home, deployment))


def _is_home(deployment: Deployment) -> bool:
    return planned.end_state(deployment) == planned.wanted_state()


KINDS: dict[str, Callable[[int, int], Iterator[Finding]]] = {
    "crash": _masters(scenarios.crash, _unplanned),
    "lost": _masters(scenarios.master_lost, _unplanned),
    "kill-pod": _masters(scenarios.kill_pod, _planned),
    "form": _form,
    "repair": _repair,
    "release": _release,
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description="Kills at random moments.")
    parser.add_argument("--moments", type=int, default=20, help="of each kind (default 20)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", metavar="KIND,…", help=f"of: {', '.join(KINDS)}")
    options = parser.parse_args(arguments)
    kinds = list(KINDS) if options.only is None else options.only.split(",")
    unknown = sorted(set(kinds) - set(KINDS))
    if unknown:
        parser.error(f"there is no kind {', '.join(unknown)}; kinds: {', '.join(KINDS)}")
    began = time.monotonic()
    failures = 0
    for kind in kinds:
        hit = 0
        try:
            for found in KINDS[kind](options.seed, options.moments):
                hit += found.moments
                failures += bool(found.broken)
                verdict = f"BROKEN: {'; '.join(found.broken)}" if found.broken else "ok"
                _say(began, f"{kind} {hit}/{options.moments}: {found.text}: {verdict}")
        except SandboxError as error:
            failures += 1
            _say(began, f"{kind}: BROKEN: {error}")
    print(f"{failures} of the kills broke something; seed {options.seed}" if failures else "every kill was survived")
    return 1 if failures else 0


def _say(began: float, text: str) -> None:
    print(f"{time.monotonic() - began:6.0f}s  {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
