"""`python -m tests.monitoring`: provokes alerts for real, and prints when they fired and resolved.

Names of alerts choose those that are provoked; without any, it is all that can be. First a healthy cluster and planned
changes are shown to call nobody. Each step is said as it ends, and what has not begun within `LONGEST_S` is not begun.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table

from sandbox.errors import SandboxError
from tests.monitoring.live import HURRY, Live, live
from tests.monitoring.provocations import ROUNDS, Seen, provoke, settled

LONGEST_S = 20 * 60
_HEALTHY_S = 60
ROLL = ("access.alsoAccepted=another-password-for-a-while",)
RESIZE = ("podMemory=512MB", "totalMemory=1536MB")
"""What the planned changes set: pods roll one by one, and another pool takes over. Both are taken back."""


def planned_changes(running: Live) -> set[str]:
    """Alerts that fired in a healthy cluster or during a planned change. Their waits are those that are rendered: a
    tenth of them would call somebody for what is over in time."""
    began = time.time()
    time.sleep(_HEALTHY_S)
    for settings in (ROLL, (), RESIZE, ()):
        running.change(*settings)
    settled(running)
    return running.fired(since=began)


def main(names: Sequence[str]) -> int:
    """1 if an alert fired that should not have, did not fire, did not resolve, or had no time left."""
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {text}", flush=True)

    rounds = [[item for item in together if not names or set(names) & set(item.alerts)] for together in ROUNDS]
    failures: list[str] = []
    seen: list[Seen] = []
    later: list[Callable[[], Seen]] = []

    def tell(item: Seen) -> None:
        seen.append(item)
        say(f"  {item.alert} fired after {item.fired_after_s:.0f} s, ended {item.resolved_after_s:.0f} s later")

    say("stack local with its Prometheus")
    with live(f"alerts-{os.getpid()}", lambda text: None, hurry=HURRY if names else 1) as running:
        if not names:
            say("nothing but planned changes: a minute of rest, a roll, a change of size, and back")
            called = planned_changes(running)
            say(f"fired meanwhile: {', '.join(sorted(called)) or 'no alert'}")
            failures += [f"{name} fired for nothing" for name in sorted(called)]
            running.watch(HURRY)
        say(f"from here on, waits and windows of the rules are divided by {HURRY:g}")
        for together in filter(None, rounds):
            alerts = ", ".join(alert for item in together for alert in item.alerts)
            if time.monotonic() - began > LONGEST_S:
                failures.append(f"{alerts}: no time left")
                continue
            say("; ".join(item.by for item in together))
            try:
                found = provoke(running, *together, later=later)
            except (AssertionError, SandboxError) as error:
                say(f"  FAILED {error}")
                failures.append(f"{alerts}: {error}")
                continue
            for item in found:
                tell(item)
        for wait in later:
            try:
                tell(wait())
            except AssertionError as error:
                say(f"  FAILED {error}")
                failures.append(str(error))
    print()
    show(seen)
    print(f"\n{len(seen)} alerts fired and resolved in {time.monotonic() - began:.0f} s")
    for failure in failures:
        print(f"FAILED {failure}", file=sys.stderr)
    return 1 if failures else 0


def show(seen: Sequence[Seen]) -> None:
    """One row for each alert, as wide as the terminal."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("ALERT", "PROVOKED BY", "FIRED AFTER", "RESOLVED AFTER"):
        table.add_column(title, overflow="fold")
    for item in seen:
        table.add_row(item.alert, item.by, f"{item.fired_after_s:.0f} s", f"{item.resolved_after_s:.0f} s")
    Console(highlight=False).print(table)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
