"""Tells a Prometheus Pushgateway what a run does. A Job ends before anybody could scrape it
(docs/adr/0030-jobs-push-their-state.md)."""

from __future__ import annotations

import os
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from urllib.error import URLError

from reconciler.run_report import RunReport, exposition

VARIABLE = "PUSHGATEWAY"
"""The environment variable with its address, host:port. Without it nobody is told."""
JOB = "redis-image-cache"
_EVERY_S = 10.0
_TIMEOUT_S = 2.0
_END_WAIT_S = 4.0
"""A name that does not resolve takes longer than a connection may. The run does not wait for it any longer."""

Tell = Callable[[RunReport], None]


def teller(environment: Mapping[str, str], log: Callable[[str], None]) -> Tell:
    """What is to be told of a run, as the environment says."""
    address = environment.get(VARIABLE, "")
    return _Teller(address, log).tell if address else tells_nobody


def tells_nobody(report: RunReport) -> None:
    """Nobody wants to know."""


class _Teller:
    """Tells at most every few seconds, and always when a run ends. Nobody who listens, or one who answers too late, is
    said once in the log and changes nothing about the run."""

    def __init__(self, address: str, log: Callable[[str], None]) -> None:
        self._address, self._log = address, log
        self._told_at = -_EVERY_S
        self._telling: threading.Thread | None = None
        self._failed = False

    def tell(self, report: RunReport) -> None:
        ended = report.status is not None
        if ended and self._telling is not None:
            # What is under way is older, and must not arrive later.
            self._telling.join(_END_WAIT_S)
        busy = self._telling is not None and self._telling.is_alive()
        if busy or (not ended and time.monotonic() - self._told_at < _EVERY_S):
            return
        self._told_at = time.monotonic()
        # In a thread of its own, which does not keep the program: a resolver may take long to say no.
        self._telling = threading.Thread(target=self._push, args=(report,), daemon=True)
        self._telling.start()
        if ended:
            self._telling.join(_END_WAIT_S)

    def _push(self, report: RunReport) -> None:
        try:
            push(self._address, report)
        except (OSError, URLError) as error:
            if not self._failed:
                self._log(f"{report.phase}: the Pushgateway {self._address} was not told: {error}")
            self._failed = True


def push(address: str, report: RunReport) -> None:
    """Adds the report to its group: what an earlier run told under another name stays, such as when one last ended
    well. Raises OSError."""
    url = f"http://{address}/metrics/job/{JOB}/namespace/{report.pool}/phase/{report.phase}"
    # POST replaces the metrics of the names that it has; PUT would drop all others.
    request = urllib.request.Request(
        url,
        exposition(report, time.time()).encode(),
        {"Content-Type": "text/plain; version=0.0.4"},
        method="POST",
    )
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(request, timeout=_TIMEOUT_S):
        pass


def teller_of_this_process(log: Callable[[str], None]) -> Tell:
    """As `os.environ` says."""
    return teller(os.environ, log)
