"""Where DNS leads from the host names that nodes announce: which nodes may be pods of this cluster."""

from __future__ import annotations

import re
from collections.abc import Iterable

from reconciler.connection import Address, Connections, NameNotResolvedError, NoSuchNameError
from reconciler.observe.cluster_nodes import NodeEntry
from reconciler.observe.observation import MissingPod, NodeReport
from reconciler.topology import Topology


class HostNames:
    """DNS's answers for one observation, each name asked once. Only names that a pod could have are looked up: what
    else a stranger announces is not passed on to anybody's DNS server."""

    def __init__(self, connections: Connections, desired: Topology) -> None:
        self._connections = connections
        self._pod_hosts = None if desired.pod_hosts is None else re.compile(desired.pod_hosts)
        self._answers: dict[str, frozenset[str] | None] = {}

    def learn(self, name: str, answer: Address | MissingPod) -> None:
        """What was found out about the name of a wanted pod, which need not be asked again."""
        if not isinstance(answer, MissingPod):
            self._answers[name] = frozenset({answer[0]})
        else:
            self._answers[name] = frozenset() if answer.no_such_name else None

    def look_up(self, entries: Iterable[NodeEntry]) -> None:
        """Asks for all names of these that were not asked yet, many at once."""
        names = {entry.hostname for entry in entries} - set(self._answers)
        new = sorted(name for name in names if self._could_be_a_pods(name))
        self._answers |= dict(zip(new, self._connections.map(self._addresses, new), strict=True))

    def is_pod(self, entry: NodeEntry) -> bool:
        """Whether DNS leads from the node's name to the node. True where nothing is said about the names of pods."""
        if self._pod_hosts is None:
            return True
        return entry.ip in (self._answers.get(entry.hostname) or ())

    def others(self, reports: Iterable[NodeReport]) -> dict[str, frozenset[str] | None]:
        """What DNS answers for the names in the tables of these nodes: addresses, none where there is no such name,
        None where it did not answer."""
        self.look_up(entry for report in reports for entry in report.entries)
        return dict(self._answers)

    def _could_be_a_pods(self, name: str) -> bool:
        return self._pod_hosts is not None and self._pod_hosts.fullmatch(name) is not None

    def _addresses(self, name: str) -> frozenset[str] | None:
        try:
            return frozenset(self._connections.network.resolve(name))
        except NoSuchNameError:
            return frozenset()
        except NameNotResolvedError:
            return None
