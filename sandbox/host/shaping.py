"""Slow links: a rate by the kernel's token bucket; delay and loss by an emulated link packets are routed through."""

from __future__ import annotations

import re
from collections.abc import Callable

from sandbox.errors import InvalidError
from sandbox.host.emulated_link import EmulatedLink
from sandbox.host.network import DETOUR_PRIORITY, PodNetwork, run_batch
from sandbox.host.process import run_tool

_RATE = re.compile(r"^\d+(\.\d+)?(k|m|g)?bit$")
_BURST_BYTES = 256 * 1024
_QUEUE_MS = 200
_FIRST_TABLE = 100_000


class Links:
    """The links that were made slow. `on_end` is told when an emulated link ends by itself, and why."""

    def __init__(self, on_end: Callable[[PodNetwork, str], None]) -> None:
        self._on_end = on_end
        self._detours: dict[int, EmulatedLink] = {}

    @property
    def has_detours(self) -> bool:
        """Whether a link has a delay or loses packets."""
        return bool(self._detours)

    async def shape(self, network: PodNetwork, rate: str | None, delay_ms: float, loss_percent: float) -> str:
        """Sets rate, delay and loss of a pod's link in each direction, replacing what was set; all absent restores it.

        Raises UnsupportedError when delay or loss is asked for and the machine has no TUN device.
        """
        if rate is not None and not _RATE.match(rate):
            raise InvalidError(f"rate is {rate!r}; give bits per second, such as 50mbit")
        if not 0 <= loss_percent <= 100 or delay_ms < 0:
            raise InvalidError("loss-percent must be 0 to 100 and delay-ms not negative")
        link = self._detours.get(network.number)
        if link is not None:
            self._remove(network)
            await link.end()
        _limit_rate(network, rate)
        if delay_ms or loss_percent:
            await self._start_detour(network, delay_ms, loss_percent)
        done = [f"rate {rate}"] if rate else []
        done += [f"delay {delay_ms:g} ms"] if delay_ms else []
        done += [f"loss {loss_percent:g} %"] if loss_percent else []
        return f"{', '.join(done)} in each direction" if done else "as fast as the machine"

    async def _start_detour(self, network: PodNetwork, delay_ms: float, loss_percent: float) -> None:
        link = await EmulatedLink.start(
            _device(network), delay_ms, loss_percent, lambda message: self._ended(network, message)
        )
        run_batch(
            network.family,
            f"route add default dev {link.device} table {_FIRST_TABLE + network.number}\n"
            + "".join(f"rule add {rule}\n" for rule in _rules(network)),
        )
        self._detours[network.number] = link
        # The rules must not outlive the pod: its address may be another's at once.
        network.before_delete.append(lambda: self._remove(network))

    def _ended(self, network: PodNetwork, message: str) -> None:
        self._remove(network)
        self._on_end(network, message)

    def _remove(self, network: PodNetwork) -> None:
        """The rules go first: the device, and the routes through it, go with the process."""
        link = self._detours.pop(network.number, None)
        if link is not None:
            run_batch(network.family, "".join(f"rule del {rule}\n" for rule in _rules(network)))
            link.kill()


def _device(network: PodNetwork) -> str:
    return f"slow{network.number}"


def _rules(network: PodNetwork) -> list[str]:
    """To and from the pod by way of the emulated link; what comes out of it goes on as if there were none."""
    device, table = _device(network), _FIRST_TABLE + network.number
    return [
        f"priority {DETOUR_PRIORITY} iif {device} lookup local",
        f"priority {DETOUR_PRIORITY + 1} iif {device} lookup main",
        f"priority {DETOUR_PRIORITY + 2} iif {network.link} lookup {table}",
        f"priority {DETOUR_PRIORITY + 2} to {network.ip} lookup {table}",
    ]


def _limit_rate(network: PodNetwork, rate: str | None) -> None:
    for namespace, device in (([], network.link), (["-n", network.netns], "eth0")):
        queue = ["dev", device, "root"]
        if "tbf" in run_tool(["tc", *namespace, "qdisc", "show", *queue]):
            run_tool(["tc", *namespace, "qdisc", "del", *queue])
        if rate is not None:
            options = ["tbf", "rate", rate, "burst", str(_BURST_BYTES), "latency", f"{_QUEUE_MS}ms"]
            run_tool(["tc", *namespace, "qdisc", "add", *queue, *options])
