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
        self._chunks: deque[bytes] = deque()
        self._written_at: deque[float] = deque()
        self._size = 0
        self._dropped = 0
        self._grown = asyncio.Event()
        self.closed = False

    def append(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self._written_at.append(time.time())
        self._size += len(chunk)
        while self._size > _LIMIT_BYTES and len(self._chunks) > 1:
            gone = len(self._chunks.popleft())
            self._written_at.popleft()
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
        data = b"".join(self._chunks)
        return data[max(0, position - self._dropped) :]

    def start(self, *, tail: int | None, since_s: float | None) -> int:
        """The position from which `since` gives at most so many lines, and none older than so many seconds."""
        kept = [
            chunk
            for chunk, at in zip(self._chunks, self._written_at, strict=True)
            if since_s is None or time.time() - at <= since_s
        ]
        data = b"".join(kept)
        if tail is not None:
            data = b"".join(data.splitlines(keepends=True)[-tail:]) if tail else b""
        return self.end - len(data)

    def tail(self, lines: int) -> str:
        text = b"".join(self._chunks).decode(errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    async def grown(self, position: int) -> None:
        """Returns once there is output beyond `position`, or no more will come."""
        while self.end <= position and not self.closed:
            await self._grown.wait()


class PipeReader:
    """Moves what is written to a pipe into a buffer.

    As a context manager it gives the end to hand to the child, and closes ours on exit: the child has its copy then,
    and with ours open the end of the output would never be seen.
    """

    def __init__(self, buffer: LogBuffer) -> None:
        self._buffer = buffer
        self._read_fd, self._write_fd = os.pipe()
        os.set_blocking(self._read_fd, False)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._read_fd, self._on_readable)

    def __enter__(self) -> int:
        return self._write_fd

    def __exit__(self, *exception: object) -> None:
        os.close(self._write_fd)

    def _on_readable(self) -> None:
        """One chunk, so that a container that writes without end does not keep the loop from everything else."""
        if self._take() == b"":
            self.close()

    def _take(self) -> bytes | None:
        """The next chunk, now in the buffer; empty at the end of the output, None when there is nothing yet."""
        try:
            chunk = os.read(self._read_fd, 65536)
        except BlockingIOError:
            return None
        if chunk:
            self._buffer.append(chunk)
        return chunk

    def close(self) -> None:
        """Takes what is still in the pipe and stops reading."""
        if self._buffer.closed:
            return
        self._loop.remove_reader(self._read_fd)
        while self._take():
            pass
        os.close(self._read_fd)
        self._buffer.close()
