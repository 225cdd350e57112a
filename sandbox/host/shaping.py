"""Slow links: a rate by the kernel's token bucket; delay and loss by an emulated link packets are routed through."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable
from pathlib import Path

from sandbox.errors import InvalidError, SandboxError, UnsupportedError
from sandbox.host.logs import LogBuffer, PipeReader
from sandbox.host.network import DETOUR_PRIORITY, PodNetwork
from sandbox.host.process import Process, run_tool, spawn

_RATE = re.compile(r"^\d+(\.\d+)?(k|m|g)?bit$")
_BURST_BYTES = 256 * 1024
_QUEUE_MS = 200
_FIRST_TABLE = 100_000
_START_TIMEOUT_S = 10.0


class Links:
    """The links that were made slow. `on_end` is told when an emulated link ends by itself, and why."""

    def __init__(self, on_end: Callable[[PodNetwork, str], None]) -> None:
        self._on_end = on_end
        self._detours: dict[int, Process] = {}
        self._watches: set[asyncio.Task[None]] = set()

    async def shape(self, network: PodNetwork, rate: str | None, delay_ms: float, loss_percent: float) -> str:
        """Sets rate, delay and loss of a pod's link in each direction, replacing what was set; all absent restores it.

        Raises UnsupportedError when delay or loss is asked for and the machine has no TUN device.
        """
        if rate is not None and not _RATE.match(rate):
            raise InvalidError(f"rate is {rate!r}; give bits per second, such as 50mbit")
        if not 0 <= loss_percent <= 100 or delay_ms < 0:
            raise InvalidError("loss-percent must be 0 to 100 and delay-ms not negative")
        process = self._detours.get(network.number)
        if process is not None:
            self._remove(network)
            await process.wait()
        _limit_rate(network, rate)
        if delay_ms or loss_percent:
            await self._start_detour(network, delay_ms, loss_percent)
        done = [f"rate {rate}"] if rate else []
        done += [f"delay {delay_ms:g} ms"] if delay_ms else []
        done += [f"loss {loss_percent:g} %"] if loss_percent else []
        return f"{', '.join(done)} in each direction" if done else "as fast as the machine"

    async def _start_detour(self, network: PodNetwork, delay_ms: float, loss_percent: float) -> None:
        if not Path("/dev/net/tun").exists():
            raise UnsupportedError("this machine has no /dev/net/tun, so a link can have a rate but no delay or loss")
        device, table = f"slow{network.number}", _FIRST_TABLE + network.number
        output = LogBuffer()
        argv = [sys.executable, "-m", "sandbox.host.emulated_link", device, str(delay_ms), str(loss_percent)]
        with PipeReader(output) as writer:
            process = spawn(argv, stdout=writer, stderr=writer)
        async with asyncio.timeout(_START_TIMEOUT_S):
            await output.grown(0)
        if output.tail(1) != "ready":
            process.kill()
            raise SandboxError(f"the emulated link did not start: {output.tail(3)}")
        # What the sandbox itself sends comes back in with its own address as the source.
        Path(f"/proc/sys/net/ipv4/conf/{device}/accept_local").write_text("1")
        run_tool(
            ["ip", "-batch", "-"],
            f"link set {device} mtu 9001 txqueuelen 10000 up\nroute add default dev {device} table {table}\n"
            + "".join(f"rule add {rule}\n" for rule in _rules(network)),
        )
        self._detours[network.number] = process
        # The rules must not outlive the pod: its address may be another's at once.
        network.before_delete.append(lambda: self._remove(network))
        watch = asyncio.create_task(self._watch(network, process, output))
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)

    async def _watch(self, network: PodNetwork, process: Process, output: LogBuffer) -> None:
        await process.wait()
        if self._detours.get(network.number) is process:
            self._remove(network)
            self._on_end(network, f"the emulated link ended: {output.tail(3)}")

    def _remove(self, network: PodNetwork) -> None:
        """The rules go first: the device, and the routes through it, go with the process."""
        process = self._detours.pop(network.number, None)
        if process is not None:
            run_tool(["ip", "-batch", "-"], "".join(f"rule del {rule}\n" for rule in _rules(network)))
            process.kill()


def _rules(network: PodNetwork) -> list[str]:
    """To and from the pod by way of the emulated link; what comes out of it goes on as if there were none."""
    device, table = f"slow{network.number}", _FIRST_TABLE + network.number
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
