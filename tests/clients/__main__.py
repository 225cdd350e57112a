"""`make clients`: drives every client through every fault at once, and writes docs/clients.md.

    python -m tests.clients [--only lost,frozen] [--python] [--runs 1] [--write]

Three runs: by the recommended settings through all faults, by the same with more patience through those that it
outlasts, and by the clients' defaults through all.
Exit status 0 when every cell of the first two met its goal.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from tests.clients import faults
from tests.clients.drivers import ALL, DEFAULTS, PYTHON, RECOMMENDED, Client
from tests.clients.figures import Figures
from tests.clients.page import MEASURED, PAGE, Measured, Run, cell, is_met, render
from tests.clients.running import drivers_on
from tests.faults.deployment import Deployment, machine
from tests.faults.report import Progress
from tests.faults.rows import Stack
from tests.faults.stacks import local_stack, ours, zoned

_CALM_S = 5.0


def processor_s() -> float:
    """How long the processors of this machine have worked since it started, for whomever."""
    words = Path("/proc/stat").read_text().partition("\n")[0].split()
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, words[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def deployed(stack: Stack) -> AbstractContextManager[Deployment]:
    return ours("clients") if stack is Stack.LOCAL else zoned("clients", ("tls.mode", "plain"))


def measure(clients: Sequence[Client], wanted: Sequence[faults.Fault], mode: str, say: Progress) -> Run:
    """All clients at once through each of the faults, in the order of `FAULTS`. By their defaults they are started anew
    for each: one that was left waiting would wait in the next fault, too."""
    outages_s: dict[str, float] = {}
    figures: dict[str, dict[str, Figures]] = {}
    for stack in Stack:
        there = [fault for fault in wanted if fault.stack is stack]
        if not there:
            continue
        with deployed(stack) as deployment:
            # The prober must know the pool that the last fault moves to.
            if stack is Stack.LOCAL:
                deployment.services += list(local_stack(*faults.OTHER_POOL).outputs["discoveryAddresses"])
            for group in [[fault] for fault in there] if mode == DEFAULTS else [there]:
                with drivers_on(deployment, clients, mode) as running:
                    time.sleep(2)
                    with running.phase(faults.CALM):
                        time.sleep(_CALM_S)
                    for fault in group:
                        say(f"{mode}: {fault.text}")
                        fault.cause(running, fault.key)
                    running.end()
                    outages_s |= running.outages()
                    figures |= running.figures()
    order = [key for key in faults.TEXTS if key in figures]
    return Run({key: outages_s[key] for key in order}, {key: figures[key] for key in order})


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.clients", description="Measures clients in faults.")
    keys = [fault.key for fault in faults.FAULTS]
    parser.add_argument("--only", metavar="FAULT,…", help=f"faults, of: {', '.join(keys)}")
    parser.add_argument("--python", action="store_true", help="redis-py and valkey-py alone, which need nothing else")
    parser.add_argument("--runs", metavar="N", type=int, choices=(1, 2, 3), default=3, help="the first so many of them")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name} and the figures it shows")
    options = parser.parse_args(arguments)
    asked = keys if options.only is None else options.only.split(",")
    unknown = sorted(set(asked) - set(keys))
    if unknown:
        parser.error(f"there is no fault {', '.join(unknown)}; faults: {', '.join(keys)}")
    if options.write and (options.only or options.python or options.runs < 3):
        parser.error("--write needs all faults, all clients and all runs: the page shows them all")
    clients = PYTHON if options.python else ALL
    wanted = [fault for fault in faults.FAULTS if fault.key in asked]
    say = Progress()
    began, busy_s = time.monotonic(), processor_s()
    patients = [client.patient() for client in clients]
    runs = (
        (clients, wanted, RECOMMENDED),
        (patients, [fault for fault in wanted if fault.outlasted], RECOMMENDED),
        (clients, wanted, DEFAULTS),
    )
    nothing = [Run({}, {})] * (len(runs) - options.runs)
    recommended, patient, defaults = [*(measure(*run, say) for run in runs[: options.runs]), *nothing]
    versions = {client.name: client.version() for client in clients}
    load = f"{(processor_s() - busy_s) / (time.monotonic() - began) / (os.cpu_count() or 1):.0%}"
    found = Measured(time.strftime("%Y-%m-%d"), machine(), load, versions, recommended, patient, defaults)
    missed = 0
    for name, run, tried in ((RECOMMENDED, recommended, clients), ("patient", patient, patients)):
        for key, by_client in run.figures.items():
            print(f"{name}: {faults.TEXTS[key]} (out for {run.outages_s[key]:.1f} s)")
            for client in tried:
                figures = by_client[client.name]
                met = is_met(key, client, figures)
                missed += not met
                print(f"  {client.name:20} {cell(figures):36} {'met' if met else f'MISSED {dict(figures.errors)}'}")
    for key, by_client in defaults.figures.items():
        print(f"{DEFAULTS}: {faults.TEXTS[key]} (out for {defaults.outages_s[key]:.1f} s)")
        for client in clients:
            print(f"  {client.name:20} {cell(by_client[client.name])}")
    if options.write:
        MEASURED.write_text(found.to_json())
        PAGE.write_text(render(found))
        say(f"wrote {PAGE}")
    return 0 if missed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
