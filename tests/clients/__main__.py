"""`make clients`: drives every client through every fault at once, and writes docs/clients.md.

    python -m tests.clients [--only lost,frozen] [--python] [--write]

Three runs: by the recommended settings through all faults, by the same with more patience through those that it
outlasts, and by the clients' defaults through a lost machine alone.
Exit status 0 when every cell met its goal.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.clients import faults
from tests.clients.drivers import ALL, PYTHON, Client
from tests.clients.page import MEASURED, PAGE, Measured, Run, cell, is_met, render
from tests.clients.running import drivers_on
from tests.faults.deployment import machine
from tests.faults.report import Progress
from tests.faults.stacks import local_stack, ours

_CALM_S = 5.0


def processor_s() -> float:
    """How long the processors of this machine have worked since it started, for whomever."""
    words = Path("/proc/stat").read_text().partition("\n")[0].split()
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, words[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def measure(clients: Sequence[Client], wanted: Sequence[faults.Fault], mode: str, say: Progress) -> Run:
    """All clients at once through each of the faults, in the order of `FAULTS`."""
    with ours("clients") as deployment:
        # The prober must know the pool that the last fault moves to.
        deployment.services += list(local_stack(*faults.OTHER_POOL).outputs["discoveryAddresses"])
        with drivers_on(deployment, clients, mode) as running:
            time.sleep(2)
            with running.phase(faults.CALM):
                time.sleep(_CALM_S)
            for fault in wanted:
                say(f"{mode}: {fault.text}")
                fault.cause(running, fault.key)
            running.end()
            return Run(running.outages(), running.figures())


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.clients", description="Measures clients in faults.")
    keys = [fault.key for fault in faults.FAULTS]
    parser.add_argument("--only", metavar="FAULT,…", help=f"faults, of: {', '.join(keys)}")
    parser.add_argument("--python", action="store_true", help="redis-py and valkey-py alone, which need nothing else")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name} and the figures it shows")
    options = parser.parse_args(arguments)
    asked = keys if options.only is None else options.only.split(",")
    unknown = sorted(set(asked) - set(keys))
    if unknown:
        parser.error(f"there is no fault {', '.join(unknown)}; faults: {', '.join(keys)}")
    if options.write and (options.only or options.python):
        parser.error("--write needs all faults and all clients: the page shows them all")
    clients = PYTHON if options.python else ALL
    wanted = [fault for fault in faults.FAULTS if fault.key in asked]
    say = Progress()
    began, busy_s = time.monotonic(), processor_s()
    recommended = measure(clients, wanted, "recommended", say)
    patients = [client.patient() for client in clients]
    patient = measure(patients, [fault for fault in wanted if fault.outlasted], "recommended", say)
    defaults = measure(clients, [fault for fault in faults.FAULTS if fault.key == "lost"], "defaults", say)
    versions = {client.name: client.version() for client in clients}
    load = f"{(processor_s() - busy_s) / (time.monotonic() - began) / (os.cpu_count() or 1):.0%}"
    found = Measured(time.strftime("%Y-%m-%d"), machine(), load, versions, recommended, patient, defaults)
    missed = 0
    for run, tried in ((recommended, clients), (patient, patients)):
        for key, by_client in run.figures.items():
            print(f"{faults.TEXTS[key]} (out for {run.outages_s[key]:.1f} s)")
            for client in tried:
                figures = by_client[client.name]
                met = is_met(key, client, figures)
                missed += not met
                print(f"  {client.name:20} {cell(figures):36} {'met' if met else f'MISSED {dict(figures.errors)}'}")
    if options.write:
        MEASURED.write_text(found.to_json())
        PAGE.write_text(render(found))
        say(f"wrote {PAGE}")
    return 0 if missed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
