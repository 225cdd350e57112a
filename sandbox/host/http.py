"""The little of an HTTP server that the sandbox's own services need: one answer for each connection."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

_REQUEST_BYTES_MAX = 64 * 1024


@dataclass(frozen=True)
class Request:
    """What was asked for; names of header fields in lower case."""

    method: str
    target: str
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    status: HTTPStatus
    content: bytes
    content_type: str = "application/json"


async def serve(
    host: str, port: int, answer: Callable[[Request], Answer], context: ssl.SSLContext | None = None
) -> asyncio.Server:
    """Answers until it is closed. `answer` must not wait."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line, *headers = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, target, _ = line.split(" ", 2)
            pairs = (header.partition(":") for header in headers if header)
            found = answer(Request(method, target, {name.lower(): value.strip() for name, _, value in pairs}))
            head = f"HTTP/1.1 {found.status} {found.status.phrase}\r\nContent-Type: {found.content_type}\r\n"
            head += f"Connection: close\r\nContent-Length: {len(found.content)}\r\n\r\n"
            writer.write(head.encode() + found.content)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return
        finally:
            writer.close()

    return await asyncio.start_server(handle, host, port, ssl=context, limit=_REQUEST_BYTES_MAX)
