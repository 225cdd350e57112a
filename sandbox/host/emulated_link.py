"""A slow, lossy link in user space: packets routed into a TUN device come back out later, or never.

Stock kernels have netem for this; this works on any kernel with TUN. Each link is relayed by a process of its own, and
its device goes with that.

usage: python -m sandbox.host.emulated_link DEVICE DELAY_MS LOSS_PERCENT
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import random
import select
import struct
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from sandbox.errors import SandboxError, UnsupportedError
from sandbox.host.logs import LogBuffer, PipeReader
from sandbox.host.process import Process, run_tool, spawn

_TUNSETIFF = 0x400454CA
_IFF_TUN = 0x0001
_IFF_NO_PI = 0x1000
_PACKET_BYTES = 65536
_QUEUE_BYTES = 64 * 1024**2
"""What the link holds in flight; beyond it packets are dropped, as a full queue does."""
_START_TIMEOUT_S = 10.0


class EmulatedLink:
    """One under way, as the supervisor sees it: packets that are routed into `device` come out of it again."""

    def __init__(self, device: str, process: Process, output: LogBuffer, on_end: Callable[[str], None]) -> None:
        self.device = device
        self._process = process
        self._is_wanted = True
        self._watch = asyncio.create_task(self._until_end(output, on_end))

    @classmethod
    async def start(
        cls, device: str, delay_ms: float, loss_percent: float, on_end: Callable[[str], None]
    ) -> EmulatedLink:
        """Up, and without routes. `on_end` is told why it ended, unless somebody ended it.

        Raises UnsupportedError when the machine has no TUN device.
        """
        if not Path("/dev/net/tun").exists():
            raise UnsupportedError("this machine has no /dev/net/tun, so a link can have a rate but no delay or loss")
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
        run_tool(["ip", "link", "set", device, "mtu", "9001", "txqueuelen", "10000", "up"])
        return cls(device, process, output, on_end)

    def kill(self) -> None:
        self._is_wanted = False
        self._process.kill()

    async def end(self) -> None:
        """The device is gone when this returns."""
        self.kill()
        await self._process.wait()

    async def _until_end(self, output: LogBuffer, on_end: Callable[[str], None]) -> None:
        await self._process.wait()
        if self._is_wanted:
            on_end(f"the emulated link ended: {output.tail(3)}")


def open_tun(device: str) -> int:
    """A descriptor that reads and writes the IP packets of a new device. Raises OSError."""
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", device.encode(), _IFF_TUN | _IFF_NO_PI))
    return fd


def relay(fd: int, delay_s: float, loss: float, chance: random.Random) -> None:
    """Sends every packet back into the device `delay_s` after it came, in order, except the share `loss` of them.
    Runs until the device is gone (OSError)."""
    held: deque[tuple[float, bytes]] = deque()
    held_bytes = 0
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    while True:
        now = time.monotonic()
        while held and held[0][0] <= now:
            _, packet = held.popleft()
            held_bytes -= len(packet)
            os.write(fd, packet)
        wait_ms = None if not held else max(0.0, (held[0][0] - now) * 1000)
        if not poller.poll(wait_ms):
            continue
        try:
            packet = os.read(fd, _PACKET_BYTES)
        except BlockingIOError:
            continue
        if chance.random() >= loss and held_bytes + len(packet) <= _QUEUE_BYTES:
            held.append((time.monotonic() + delay_s, packet))
            held_bytes += len(packet)


def main(device: str, delay_ms: float, loss_percent: float) -> None:
    fd = open_tun(device)
    # The parent routes packets here once it has seen this line.
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    relay(fd, delay_ms / 1000, loss_percent / 100, random.Random())  # noqa: S311 (which packets are lost is no secret)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]))
