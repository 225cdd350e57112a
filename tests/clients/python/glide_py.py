"""Valkey GLIDE under load (see paced.py)."""

from __future__ import annotations

import asyncio
import os
import time

import paced

# settings: begin
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from glide import (
    AdvancedGlideClusterClientConfiguration,
    BackoffStrategy,
    GlideClusterClient,
    GlideClusterClientConfiguration,
    GlideError,
    NodeAddress,
    PeriodicChecksManualInterval,
    ServerCredentials,
)

ATTEMPT_S = 1.0


async def connect(host: str, port: int, password: str) -> GlideClusterClient:
    return await GlideClusterClient.create(
        GlideClusterClientConfiguration(
            addresses=[NodeAddress(host, port)],
            credentials=ServerCredentials(password, "app"),
            request_timeout=int(ATTEMPT_S * 1000),  # the default, 250 ms, gives up while a node is learned anew
            reconnect_strategy=BackoffStrategy(num_of_retries=3, factor=100, exponent_base=2),  # at most 0.8 s apart
            periodic_checks=PeriodicChecksManualInterval(2),  # s; asks who owns which slot. The default is 60
            lazy_connect=True,  # without this, create() stops the event loop until it has connected
            advanced_config=AdvancedGlideClusterClientConfiguration(connection_timeout=500),  # the default is 2 s
        )
    )


class Cache:
    """A client that is replaced when it gives no answer. By itself, GLIDE waits for a stopped node's view."""

    def __init__(self, host: str, port: int, password: str) -> None:
        self._given = host, port, password
        self._client: GlideClusterClient | None = None
        self._replacing: asyncio.Task[None] | None = None

    async def request(self, send: Callable[[GlideClusterClient], Awaitable[Any]]) -> Any:
        if self._client is None:
            self._client = await connect(*self._given)
        try:
            return await asyncio.wait_for(send(self._client), ATTEMPT_S)
        except (TimeoutError, GlideError):  # no answer, or an error of the cluster; other errors are your program's
            if self._replacing is None:
                self._replacing = asyncio.create_task(self._replace())
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._replacing), ATTEMPT_S / 2)
            return await asyncio.wait_for(send(self._client), ATTEMPT_S)

    async def _replace(self) -> None:
        old = self._client
        with suppress(Exception):  # the next request that gets no answer tries again
            self._client = await asyncio.wait_for(connect(*self._given), ATTEMPT_S)
            if old is not None:
                asyncio.get_running_loop().call_later(2 * ATTEMPT_S, lambda: asyncio.ensure_future(old.close()))
        self._replacing = None


# use: image = await cache.request(lambda client: client.get(key))
# settings: end


async def by_defaults(host: str, port: int, password: str) -> GlideClusterClient:
    return await GlideClusterClient.create(
        GlideClusterClientConfiguration([NodeAddress(host, port)], credentials=ServerCredentials(password, "app"))
    )


async def main() -> None:
    given = paced.Given.read()
    cache = Cache(given.host, given.port, given.password)
    client = None if given.recommended else await by_defaults(given.host, given.port, given.password)
    running: set[asyncio.Task[None]] = set()

    async def one(number: int, op: str, key: str, began: float) -> None:
        error = None
        try:

            def send(to: GlideClusterClient) -> Awaitable[Any]:
                return to.set(key, given.value) if op == "set" else to.get(key)

            await (cache.request(send) if client is None else send(client))
        except Exception as raised:
            error = f"{type(raised).__name__}: {raised}"[:160]
        paced.ended(number, began, error)

    due, number = time.monotonic(), 0
    while not given.is_over:
        due += 1 / given.rate
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        if given.sleeps:
            due = time.monotonic()
            continue
        op, key = paced.request(number)
        number += 1
        began = paced.sent(number)
        if len(running) >= paced.IN_FLIGHT:
            paced.ended(number, began, "not sent: too many unanswered")
            continue
        task = asyncio.create_task(one(number, op, key, began))
        running.add(task)
        task.add_done_callback(running.discard)
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
