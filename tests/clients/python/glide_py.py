"""Valkey GLIDE under load (see paced.py)."""

from __future__ import annotations

import asyncio
import os
import time

import paced

# settings: begin
from glide import (
    AdvancedGlideClusterClientConfiguration,
    BackoffStrategy,
    GlideClusterClient,
    GlideClusterClientConfiguration,
    NodeAddress,
    ServerCredentials,
)


async def connect(host: str, port: int, password: str) -> GlideClusterClient:
    return await GlideClusterClient.create(
        GlideClusterClientConfiguration(
            addresses=[NodeAddress(host, port)],
            credentials=ServerCredentials(password),
            request_timeout=2000,  # with all retries. The default, 250 ms, gives up while a node is learned anew
            reconnect_strategy=BackoffStrategy(num_of_retries=3, factor=100, exponent_base=2),  # at most 0.8 s apart
            advanced_config=AdvancedGlideClusterClientConfiguration(
                connection_timeout=500,  # connecting to a lost node holds up the others' requests for as long
            ),
        )
    )


# settings: end


async def by_defaults(host: str, port: int, password: str) -> GlideClusterClient:
    return await GlideClusterClient.create(
        GlideClusterClientConfiguration([NodeAddress(host, port)], credentials=ServerCredentials(password))
    )


async def main() -> None:
    given = paced.Given.read()
    client = await (connect if given.recommended else by_defaults)(given.host, given.port, given.password)
    running: set[asyncio.Task[None]] = set()

    async def one(number: int, op: str, key: str, began: float) -> None:
        error = None
        try:
            await (client.set(key, given.value) if op == "set" else client.get(key))
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
