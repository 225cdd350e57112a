"""`python -m tests.monitoring`: provokes alerts for real, each in turn, and prints when they fired and resolved.

Names of alerts choose those that are provoked; without any, it is all that can be. First a healthy cluster and planned
changes are shown to call nobody.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from sandbox.errors import SandboxError
from tests.monitoring.live import HURRY, Live, live
from tests.monitoring.provocations import PROVOCATIONS, Seen, provoke, settled

_HEALTHY_S = 60
ROLL = ("access.alsoAccepted=another-password-for-a-while",)
RESIZE = ("podMemory=512MB", "totalMemory=1536MB")
"""What the planned changes set: pods roll one by one, and another pool takes over. Both are taken back."""


def planned_changes(running: Live) -> set[str]:
    """Alerts that fired in a healthy cluster or during a planned change."""
    began = time.time()
    time.sleep(_HEALTHY_S)
    for settings in (ROLL, (), RESIZE, ()):
        running.change(*settings)
    settled(running)
    return running.fired(since=began)


def main(names: Sequence[str]) -> int:
    """1 if an alert fired that should not have, did not fire, or did not resolve."""
    wanted = [item for item in PROVOCATIONS if not names or set(names) & set(item.alerts)]
    failures: list[str] = []
    seen: list[Seen] = []
    with live(f"alerts-{os.getpid()}", lambda text: None) as running:
        if not names:
            called = planned_changes(running)
            print(f"healthy for {_HEALTHY_S} s, a roll and a change of size: {', '.join(sorted(called)) or 'no alert'}")
            failures += called
        for item in wanted:
            try:
                seen += provoke(running, item)
            except (AssertionError, SandboxError) as error:
                failures.append(f"{', '.join(item.alerts)}: {error}")
    print(f"waits and windows divided by {HURRY:g}\n")
    show(seen)
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
