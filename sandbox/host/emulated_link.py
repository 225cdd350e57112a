"""A slow, lossy link in user space: packets routed into a TUN device come back out later, or never.

Stock kernels have netem for this; this works on any kernel with TUN. It runs as a process of its own, one per link,
and the device goes with it.

usage: python -m sandbox.host.emulated_link DEVICE DELAY_MS LOSS_PERCENT
"""

from __future__ import annotations

import fcntl
import os
import random
import select
import struct
import sys
import time
from collections import deque

_TUNSETIFF = 0x400454CA
_IFF_TUN = 0x0001
_IFF_NO_PI = 0x1000
_PACKET_BYTES = 65536
_QUEUE_BYTES = 64 * 1024**2
"""What the link holds in flight; beyond it packets are dropped, as a full queue does."""


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
