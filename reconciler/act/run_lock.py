"""A lock that keeps two runs of the reconciler from changing the cluster at the same time.

While slots move, a slot has no owner for a moment. A second run that acts then would give it to somebody else.
"""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.connection import Connection, Network, ReplyError, UnreachableError, text
from reconciler.observe.node import run_names
from reconciler.observe.observation import NodeReport

PATIENCE_S = 2.0
"""How long a run waits for another that wants the lock at the same moment, and gives way, to do so."""

POLL_S = 0.1


class RunLock:
    """Held by connections to all masters that carry the run's name. It ends with the process, however that ends.

    Each run names its connections first, and then looks who else has some. Of two runs at least one sees the other, so
    never do both hold the lock. If both see each other, the one whose name sorts first waits for the other to give way.
    """

    def __init__(self, network: Network, name: str) -> None:
        self._network = network
        self._name = name
        self._connections: list[Connection] = []
        self.is_held = False

    def acquire(self, reports: Iterable[NodeReport]) -> bool:
        """Whether the lock is held now. False when another run holds it, or takes it at this moment."""
        self.release()
        masters = [report for report in reports if report.is_master]
        self._connections = [self._network.connect((report.ip, report.port)) for report in masters]
        end = self._network.now() + PATIENCE_S
        while others := self._other_names():
            if min(others) < self._name or self._network.now() >= end:
                self.release()
                return False
            self._network.sleep(POLL_S)
        self.is_held = True
        return True

    def _other_names(self) -> set[str]:
        """Names of other runs. A master that went away since it was asked has no say: the others are enough."""
        names: set[str] = set()
        for connection in self._connections:
            try:
                names |= run_names(text(connection.call("CLIENT", "LIST")))
            except (UnreachableError, ReplyError):
                continue
        return names - {self._name}

    def release(self) -> None:
        for connection in self._connections:
            connection.close()
        self._connections = []
        self.is_held = False
