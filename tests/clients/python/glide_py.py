"""Valkey GLIDE under load (see paced.py)."""

from __future__ import annotations

import time

import paced

# settings: begin
import asyncio
import os
from collections.abc import Awaitable, Callable
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

PATIENCE_S = float(os.environ.get("REDIS_PATIENCE_S", "2"))  # 2 outlasts a crash, 15 a failover
ATTEMPT_S = 1.0
PAUSE_S = 0.2


async def connect(host: str, port: int, password: str) -> GlideClusterClient:
    return await GlideClusterClient.create(
        GlideClusterClientConfiguration(
            addresses=[NodeAddress(host, port)],
            credentials=ServerCredentials(password, "app"),
            request_timeout=int(ATTEMPT_S * 2000),  # request() waits less. By default it is 250 ms
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
        self._replacing = asyncio.Lock()

    async def request(self, send: Callable[[GlideClusterClient], Awaitable[Any]]) -> Any:
        silent, failure = None, None
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    client = await self._other_than(silent)
                    try:
                        return await asyncio.wait_for(send(client), ATTEMPT_S)
                    except TimeoutError as error:
                        silent, failure = client, error
                    except GlideError as error:  # of the cluster; other errors are your program's
                        failure = error
                    await asyncio.sleep(PAUSE_S)
        except TimeoutError:
            raise TimeoutError(f"tried for {PATIENCE_S:g} s") from failure

    async def _other_than(self, silent: GlideClusterClient | None) -> GlideClusterClient:
        """The client; a new one only if nobody has replaced the one that gave no answer."""
        async with self._replacing:
            if self._client is silent:
                self._client = await connect(*self._given)
                if silent is not None:
                    # In a thread, since closing waits for look-ups of names that are under way.
                    loop = asyncio.get_running_loop()
                    loop.call_later(2 * ATTEMPT_S, loop.run_in_executor, None, asyncio.run, silent.close())
        return self._client


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
