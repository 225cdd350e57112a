"""Moves slots between living masters."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from reconciler.actions import Move
from reconciler.link import Network
from reconciler.topology import Desired
from reconciler.views import Observed


class Mover:
    def __init__(
        self,
        network: Network,
        observed: Observed,
        desired: Desired,
        log: Callable[[str], None],
        deadline: float,
        name: str,
    ) -> None:
        self._network = network

    def move(self, moves: Sequence[Move]) -> list[str]:
        raise NotImplementedError
