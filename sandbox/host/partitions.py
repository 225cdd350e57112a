"""Partitions: pods that cannot reach each other, by routes that lead nowhere."""

from __future__ import annotations

from collections.abc import Iterable

from sandbox.host.addresses import Family
from sandbox.host.network import CUT_PRIORITY, PodNetwork, run_batch

_FIRST_TABLE = 1000


class Partitions:
    """The cuts asked for, kept true while pods come and go.

    A side is a set of names, of pods or of zones: pods on different sides of a cut cannot talk, in either direction.
    """

    def __init__(self, family: Family) -> None:
        self._family = family
        self.sides: list[frozenset[str]] = []
        self._rules: dict[int, PodNetwork] = {}

    def refresh(self, pods: Iterable[tuple[PodNetwork, frozenset[str]]]) -> None:
        """Puts the cuts into force for these pods, each with the names it goes by."""
        inside = [(network, [bool(names & side) for side in self.sides]) for network, names in pods]
        pairs = [(one.ip, other.ip) for one, here in inside for other, there in inside if here != there]
        self._block([network for network, _ in inside], pairs)

    def _block(self, networks: Iterable[PodNetwork], pairs: Iterable[tuple[str, str]]) -> None:
        """Replaces what each address cannot reach. Per pod one routing table holds the addresses it cannot reach."""
        lines = []
        for number, network in self._rules.items():
            table = _FIRST_TABLE + number
            lines += [
                f"rule del priority {CUT_PRIORITY} iif {network.link} lookup {table}",
                f"route flush table {table}",
            ]
        self._rules = {}
        by_source: dict[str, set[str]] = {}
        for one, other in pairs:
            by_source.setdefault(one, set()).add(other)
        for network in networks:
            targets = by_source.get(network.ip)
            if targets:
                table = _FIRST_TABLE + network.number
                lines += [f"route add blackhole {target} table {table}" for target in sorted(targets)]
                lines.append(f"rule add priority {CUT_PRIORITY} iif {network.link} lookup {table}")
                self._rules[network.number] = network
        if lines:
            run_batch(self._family, "\n".join(lines) + "\n")
