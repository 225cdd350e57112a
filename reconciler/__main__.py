"""`python -m reconciler form|repair|release --topology FILE`: exit 0 when done, 1 when not in time, 2 when refused."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from functools import partial
from pathlib import Path

from reconciler.connection import RealNetwork
from reconciler.credentials import FILE, read_credentials
from reconciler.decide.phases import PHASES
from reconciler.exit_status import ExitStatus
from reconciler.loop import Run
from reconciler.shown_certificate import shown_certificate
from reconciler.tell import teller_of_this_process, tells_nobody
from reconciler.topology import TopologyError, read_topology


def _log(line: str) -> None:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    print(f"{stamp} {line}", flush=True)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m reconciler", description="Forms, repairs and resizes a Redis Cluster."
    )
    parser.add_argument("phase", choices=sorted(PHASES))
    parser.add_argument("--topology", type=Path, required=True, help="the JSON file of the wanted topology")
    parser.add_argument("--deadline", type=float, metavar="SECONDS", help="instead of the topology's deadlineSeconds")
    options = parser.parse_args(arguments)
    try:
        desired = read_topology(options.topology)
        credentials = read_credentials()
    except TopologyError as error:
        print(error, file=sys.stderr)
        return ExitStatus.REFUSED
    except (OSError, ValueError, KeyError) as error:
        # Without the file's content: it has passwords.
        print(f"the file that {FILE} names cannot be read ({type(error).__name__})", file=sys.stderr)
        return ExitStatus.REFUSED
    deadline_s = desired.deadline_seconds if options.deadline is None else options.deadline

    def network(name: str) -> RealNetwork:
        return RealNetwork(credentials, desired.tls, name)

    tell = teller_of_this_process(_log)
    # *Repair* tells how long certificates hold: it looks each minute, and that is often enough. An update's Jobs look
    # whether they are of the right authority. With TLS alone a connection says so by itself.
    looks = tell is not tells_nobody if options.phase == "repair" else desired.tls.mode == "both"
    run = Run(
        options.phase,
        desired,
        network(f"reconciler-{options.phase}"),
        network,
        _log,
        deadline_s,
        tell=tell,
        certificate=partial(shown_certificate, desired.tls) if looks else None,
    )
    try:
        return run.run()
    except KeyboardInterrupt:
        _log(f"{options.phase}: stopped; run this again to go on")
        return 130


def _stopped(signum: int, frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    # A kubelet sends SIGTERM before it kills. It is treated as Ctrl-C, so that moves under way end properly.
    signal.signal(signal.SIGTERM, _stopped)
    sys.exit(main())
