"""How nodes are reached: with TLS, without, or whichever of the two a node has."""

from __future__ import annotations

from dataclasses import dataclass

MODES = ("plain", "both", "required")


@dataclass(frozen=True)
class Tls:
    """How nodes take connections.

    `mode` is plain (no TLS), required (TLS alone) or both: nodes have two ports, or are about to. Nodes are known by
    one port, the topology's; `port` is where they take TLS, where that is another one.

    A node's certificate must be signed by the authority in `ca_file`, and by no other. It must have the name `name`,
    which is that of the whole cache, because nodes are reached by addresses; None: any name. `cert_file` and `key_file`
    are what is shown to nodes that want to see a certificate.
    """

    mode: str = "plain"
    port: int | None = None
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    name: str | None = None

    def doors(self, port: int) -> tuple[tuple[int, bool], ...]:
        """The ports at which a node known by `port` may be reached, and whether each has TLS."""
        doors = ((port, False), (self.port or port, True))
        return tuple(door for door in doors if self.mode == "both" or door[1] == (self.mode == "required"))

    def other_door(self, port: int) -> int | None:
        """The port of a node that was started in the opposite mode. None where the mode has no opposite, or where both
        would have the same port."""
        if self.mode == "both" or self.port is None or self.port == port:
            return None
        return self.port if self.mode == "plain" else port

    def known_port(self, announced: int, port: int) -> int:
        """The port that a node which announces one is known by. Which of its two it announces depends on how it was
        asked."""
        return port if announced == self.port else announced

    def bus_port(self, port: int, has_tls: bool) -> int:
        """The port of a node known by `port` that nodes use whose bus has TLS, or has not."""
        return self.port if has_tls and self.port is not None else port


NO_TLS = Tls()
"""Nodes that have no port for TLS."""
