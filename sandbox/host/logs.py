"""What a container wrote, kept in memory within a bound."""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque

_LIMIT_BYTES = 10 * 1024**2
"""The kubelet's default containerLogMaxSize."""


class LogBuffer:
    """The latest output of one container run; the oldest goes when the bound is reached."""

    def __init__(self) -> None:
        self._chunks: deque[tuple[float, bytes]] = deque()
        self._size = 0
        self._dropped = 0
        self._grown = asyncio.Event()
        self.closed = False

    def append(self, chunk: bytes) -> None:
        self._chunks.append((time.time(), chunk))
        self._size += len(chunk)
        while self._size > _LIMIT_BYTES and len(self._chunks) > 1:
            gone = len(self._chunks.popleft()[1])
            self._size -= gone
            self._dropped += gone
        self._wake()

    def close(self) -> None:
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        self._grown.set()
        self._grown = asyncio.Event()

    @property
    def end(self) -> int:
        """Bytes written since the start, also those no longer kept."""
        return self._dropped + self._size

    def since(self, position: int) -> bytes:
        data = b"".join(chunk for _, chunk in self._chunks)
        return data[max(0, position - self._dropped) :]

    def tail(self, lines: int) -> str:
        text = b"".join(chunk for _, chunk in self._chunks).decode(errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    async def grown(self, position: int) -> None:
        """Returns once there is output beyond `position`, or no more will come."""
        while self.end <= position and not self.closed:
            await self._grown.wait()


class PipeReader:
    """Moves what is written to a pipe into a buffer; `fd` is the end to hand to the child."""

    def __init__(self, buffer: LogBuffer) -> None:
        self._buffer = buffer
        self._read_fd, self.fd = os.pipe()
        os.set_blocking(self._read_fd, False)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._read_fd, self._on_readable)
        self._open = True

    def started(self) -> None:
        """The child has its copy of the writing end: close ours, or the end of the output is never seen."""
        os.close(self.fd)

    def _on_readable(self) -> None:
        try:
            chunk = os.read(self._read_fd, 65536)
        except BlockingIOError:
            return
        if chunk:
            self._buffer.append(chunk)
        else:
            self.close()

    def close(self) -> None:
        """Takes what is still in the pipe and stops reading."""
        if not self._open:
            return
        self._open = False
        self._loop.remove_reader(self._read_fd)
        while True:
            try:
                chunk = os.read(self._read_fd, 65536)
            except BlockingIOError:
                break
            if not chunk:
                break
            self._buffer.append(chunk)
        os.close(self._read_fd)
        self._buffer.close()
