"""What lies between the zones: one emulated link that every packet from a pod of one zone to a pod of another goes
through. It takes time, as a cloud's does, and counts the bytes that a cloud bills."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

from sandbox.errors import InvalidError
from sandbox.host.addresses import Family
from sandbox.host.emulated_link import EmulatedLink
from sandbox.host.network import BORDER_PRIORITY, PodNetwork, run_batch
from sandbox.host.process import run_tool

_DEVICE = "border"
_FIRST_TABLE = 200_000


class Border:
    """Absent at first: zones are then as near as pods of one zone. `on_end` is told when the link ends by itself."""

    def __init__(self, family: Family, on_end: Callable[[str], None]) -> None:
        self._family = family
        self._on_end = on_end
        self._link: EmulatedLink | None = None
        self._rules: dict[int, PodNetwork] = {}

    @property
    def is_up(self) -> bool:
        return self._link is not None

    @property
    def bytes_passed(self) -> int | None:
        """IP bytes in both directions, with headers, since it is there; None without one."""
        if self._link is None:
            return None
        (link,) = json.loads(run_tool(["ip", "-json", "-statistics", "link", "show", _DEVICE]))
        return int(link["stats64"]["tx"]["bytes"])

    async def set(self, delay_ms: float | None, pods: Iterable[tuple[PodNetwork, str]]) -> str:
        """Puts it between these pods of zones, or away where no delay is given."""
        if delay_ms is not None and delay_ms < 0:
            raise InvalidError("delay-ms must not be negative")
        await self._take_away()
        if delay_ms is None:
            return "zones are as near as pods of one zone"
        self._link = await EmulatedLink.start(_DEVICE, delay_ms, 0.0, self._ended)
        self.refresh(pods)
        return f"packets between zones take {delay_ms:g} ms more in each direction, and are counted"

    def refresh(self, pods: Iterable[tuple[PodNetwork, str]]) -> None:
        """Leads the packets of these pods. Per pod one routing table holds the addresses of other zones."""
        lines = []
        for number, network in self._rules.items():
            lines += [f"rule del {_rule(network)}", f"route flush table {_FIRST_TABLE + number}"]
        self._rules = {}
        placed = list(pods) if self.is_up else []
        for network, zone in placed:
            beyond = sorted(other.ip for other, elsewhere in placed if elsewhere != zone)
            if beyond:
                lines += [f"route add {ip} dev {_DEVICE} table {_FIRST_TABLE + network.number}" for ip in beyond]
                lines.append(f"rule add {_rule(network)}")
                self._rules[network.number] = network
        if lines:
            run_batch(self._family, "\n".join(lines) + "\n")

    async def _take_away(self) -> None:
        link, self._link = self._link, None
        # The rules go first: the device, and the routes through it, go with the process.
        self.refresh(())
        if link is not None:
            await link.end()

    def _ended(self, message: str) -> None:
        self._link = None
        self.refresh(())
        self._on_end(message)


def _rule(network: PodNetwork) -> str:
    """What comes out of the device has it as its way in, so that no rule leads it in again."""
    return f"priority {BORDER_PRIORITY} iif {network.link} lookup {_FIRST_TABLE + network.number}"
