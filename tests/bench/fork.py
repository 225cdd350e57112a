"""How long a fork stops a Redis on this machine, for what it holds."""

from __future__ import annotations

import os
from pathlib import Path
from statistics import median

from tests.plan.calibrate import Server, wait_until

DATA_BYTES = 500_000_000
_VALUE_BYTES = 1_000_000
_FORKS = 5


def measure(folder: Path) -> dict[str, float]:
    """How long a fork stops a plain Redis without data (`empty_ms`), and with so much (`bytes`, `ms`)."""
    server = Server(folder)
    try:
        server.client.config_set("rdbcompression", "no")
        empty_ms = _stall_ms(server)
        for number in range(DATA_BYTES // _VALUE_BYTES):
            server.client.set(f"image:{number}", os.urandom(_VALUE_BYTES))
        return {"empty_ms": empty_ms, "bytes": float(DATA_BYTES), "ms": _stall_ms(server)}
    finally:
        server.stop()


def _stall_ms(server: Server) -> float:
    """The middle one of some forks."""
    stalls_us = []
    for _ in range(_FORKS):
        server.client.bgsave()
        wait_until(lambda: not server.client.info("persistence")["rdb_bgsave_in_progress"])
        stalls_us.append(int(server.client.info("stats")["latest_fork_usec"]))
    return median(stalls_us) / 1000
