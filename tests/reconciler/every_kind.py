"""Values of every kind of Redis under odd names, and what a move must keep of them."""

from __future__ import annotations

from typing import Any

from redis.utils import str_if_bytes

ODD_NAMES = (b"", b"\0\r\n\xff\xfe", b"n" * 60_000, b"{", b"}{", b"{}x", b"{{a}}b", b"a{b}{c}", b" $1 *2 'q' \"")
HOUR_MS = 3_600_000


def write_every_kind(client: Any) -> dict[bytes, bytes]:
    """Values of every kind of Redis, and odd names, half of them with an expiry. Returns each as DUMP gives it."""
    client.set("text", "")
    client.setbit("bits", 70_000, 1)
    client.pfadd("cardinality", *range(5000))
    client.rpush("list", *range(300), b"\0" * 5000)
    client.sadd("integers", *range(100))
    client.zadd("scores", {f"member {index}": index / 3 for index in range(50)} | {"most": float("inf")})
    client.hset("hash", mapping={f"field {index}": index for index in range(20)} | {"": ""})
    client.geoadd("places", (13.361389, 38.115556, "Palermo"))
    for index in range(250):
        client.xadd("stream", {"number": index})
    client.xgroup_create("stream", "group", id="0")
    client.xreadgroup("group", "consumer", {"stream": ">"}, count=3)
    client.xdel("stream", *[entry for entry, _ in client.xrange("stream", count=2)])
    for name in ODD_NAMES:
        client.set(name, name)
    kinds = (b"text", b"bits", b"cardinality", b"list", b"integers", b"scores", b"hash", b"places", b"stream")
    for name in (*kinds, *ODD_NAMES)[::2]:
        client.pexpire(name, HOUR_MS)
    return {name: client.dump(name) for name in (*kinds, *ODD_NAMES)}


def stream(client: Any) -> Any:
    """What a Valkey that moves slots by itself keeps of the stream: not when a consumer was active, and not what is
    still pending of entries that are gone."""
    told = client.xinfo_stream("stream", full=True)
    for group in told["groups"]:
        group["pending"] = [(entry, consumer, times) for entry, consumer, _, times in group["pending"]]
        group["pending"] = [pending for pending in group["pending"] if pending[0] in told["entries"]]
        group["consumers"] = [
            str_if_bytes(consumer.get("name", consumer.get(b"name"))) for consumer in group["consumers"]
        ]
        del group["pel-count"]
    return told
