"""Measures what a GET, a SET and its replication take of Redis's one core, by size: `make calibrate`.

The time is that of the server's main thread alone, as the kernel counts it, so neither the client nor what else runs
on the machine is in it. Every figure takes about half a second, all of them less than two minutes. The whole table is
written or nothing.
"""

import argparse
import csv
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import redis

SIZES = (10_000, 100_000, 1_000_000, 5_000_000, 10_000_000)
REPLICAS = (0, 1, 2, 3)
SECONDS_PER_FIGURE = 0.5
_KEYS = 20
_LINK_SECONDS_MAX = 30


class Server:
    """A redis-server on loopback without persistence."""

    def __init__(self, directory: Path, master_port: int | None = None) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        command = ["redis-server", "--port", f"{self.port}", "--bind", "127.0.0.1", "--save", "", "--dir", directory]
        command += ["--repl-diskless-sync-delay", "0", "--client-output-buffer-limit", "replica 4gb 4gb 0"]
        if master_port is not None:
            command += ["--replicaof", f"127.0.0.1 {master_port}"]
        self.process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL)
        self.client = redis.Redis(port=self.port)
        wait_until(self._answers)

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.ConnectionError:
            return False

    def core_seconds(self) -> float:
        """What the main thread has run so far."""
        pid = self.process.pid
        nanoseconds = Path(f"/proc/{pid}/task/{pid}/schedstat").read_text(encoding="ascii").split()[0]
        return int(nanoseconds) / 10**9

    def stop(self) -> None:
        self.client.close()
        self.process.kill()
        self.process.wait()


def wait_until(holds: Callable[[], bool]) -> None:
    """Raises TimeoutError when it does not hold in time."""
    deadline = time.monotonic() + _LINK_SECONDS_MAX
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{holds} does not hold after {_LINK_SECONDS_MAX} s")
        time.sleep(0.05)


def microseconds_each(server: Server, ask: Callable[[int], object], settled: Callable[[], bool]) -> float:
    """Core time of one request, all that it causes included: replication has arrived before the clock is read."""
    for number in range(_KEYS):
        ask(number)
    wait_until(settled)
    began, until, asked = server.core_seconds(), time.monotonic() + SECONDS_PER_FIGURE, 0
    while time.monotonic() < until:
        ask(asked)
        asked += 1
    wait_until(settled)
    return (server.core_seconds() - began) / asked * 10**6


def measure(directory: Path) -> list[dict[str, int]]:
    """One row for each size."""
    master = Server(directory)
    replicas: list[Server] = []
    rows: list[dict[str, int]] = [{"object_bytes": size} for size in SIZES]

    def in_sync() -> bool:
        found = master.client.info("replication")
        links = [found[f"slave{number}"] for number in range(len(replicas)) if f"slave{number}" in found]
        wanted = found["master_repl_offset"]
        return len(links) == len(replicas) and all(
            link["state"] == "online" and link["offset"] >= wanted for link in links
        )

    try:
        for number in REPLICAS:
            if number:
                replicas.append(Server(directory, master.port))
                wait_until(in_sync)
            for row in rows:
                value = b"x" * row["object_bytes"]

                def write(count: int, value: bytes = value) -> object:
                    return master.client.set(f"image:{count % _KEYS}", value, ex=300)

                row[f"set_{number}_us"] = round(microseconds_each(master, write, in_sync))
                if not number:
                    row["get_us"] = round(
                        microseconds_each(master, lambda count: master.client.get(f"image:{count % _KEYS}"), in_sync)
                    )
    finally:
        for server in (*replicas, master):
            server.stop()
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="the table that the planner reads")
    target = parser.parse_args().write
    with tempfile.TemporaryDirectory() as directory:
        rows = measure(Path(directory))
    told = subprocess.run(["redis-server", "--version"], capture_output=True, text=True, check=True).stdout
    version = told.split()[2]
    head = (
        "# Microseconds of Redis's core for one GET, and for one SET with 0 to 3 replicas, by the size of the value.\n"
        f"# Measured by `make calibrate` on {datetime.now(UTC):%Y-%m-%d}, Redis {version[2:]}, over loopback.\n"
    )
    columns = ["object_bytes", "get_us", *(f"set_{number}_us" for number in REPLICAS)]
    with target.open("w", encoding="utf-8", newline="") if target else sys.stdout as out:
        out.write(head)
        writer = csv.DictWriter(out, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
