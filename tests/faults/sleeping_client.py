"""An ordinary redis-py cluster client that sleeps: HOST PORT READY AWAKE REQUESTS.

Makes the file READY once it is connected to every node, sleeps until the file AWAKE is there, then sends the requests.
Prints as JSON how many were answered, and what connecting cost before: datagrams that this network's stack took in
(half of them DNS queries, half answers) and the milliseconds of a first request.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from redis.cluster import RedisCluster
from redis.exceptions import RedisClusterException, RedisError


def datagrams() -> int:
    rows = [line.split() for line in Path("/proc/net/snmp").read_text().splitlines() if line.startswith("Udp:")]
    return int(rows[1][rows[0].index("InDatagrams")])


def main(host: str, port: str, ready: str, awake: str, requests: str) -> None:
    before, began = datagrams(), time.monotonic()
    client = RedisCluster(
        host=host,
        port=int(port),
        username=os.environ.get("REDIS_USER") or None,
        password=os.environ.get("REDIS_PASSWORD") or None,
        socket_connect_timeout=0.2,
        socket_timeout=2,
    )
    client.set("first", b"x")
    first_ms = (time.monotonic() - began) * 1000
    keys = [f"image:{number}" for number in range(int(requests))]
    for key in keys:
        client.set(key, b"x")
    received = datagrams() - before
    Path(ready).touch()
    while not Path(awake).exists():
        time.sleep(0.05)
    answered = 0
    for key in keys:
        try:
            client.set(key, b"y")
            answered += 1
        except (RedisError, RedisClusterException, OSError):
            pass
    print(json.dumps({"answered": answered, "datagrams": received, "firstMs": first_ms}))


if __name__ == "__main__":
    main(*sys.argv[1:])
