"""Measures what a GET, a SET and its replication take of Redis's one core, by size, without TLS and with it:
`make calibrate`.

The time is that of the server's main thread alone, as the kernel counts it, so neither the client nor what else runs
on the machine is in it. Every figure takes about half a second, all of them about two minutes. A whole table is
written or nothing.
"""

import argparse
import csv
import io
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import redis

from components.manifests.authority import certificate_files

SIZES = (10_000, 100_000, 1_000_000, 5_000_000, 10_000_000)
REPLICAS = (0, 1, 2, 3)
SECONDS_PER_FIGURE = 0.5
_KEYS = 20
_LINK_SECONDS_MAX = 30


class Server:
    """A redis-server on loopback without persistence. With a folder of certificate files it speaks TLS alone, to
    clients and for replication."""

    def __init__(self, directory: Path, master_port: int | None = None, certificate: Path | None = None) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        command = ["redis-server", "--bind", "127.0.0.1", "--save", "", "--dir", directory]
        command += ["--repl-diskless-sync-delay", "0", "--client-output-buffer-limit", "replica 4gb 4gb 0"]
        if certificate is None:
            command += ["--port", self.port]
        else:
            command += ["--port", 0, "--tls-port", self.port, "--tls-replication", "yes", "--tls-auth-clients", "no"]
            for option, file in (("cert", "tls.crt"), ("key", "tls.key"), ("ca-cert", "ca.crt")):
                command += [f"--tls-{option}-file", certificate / file]
        if master_port is not None:
            command += ["--replicaof", f"127.0.0.1 {master_port}"]
        self.process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL)
        tls = {} if certificate is None else {"ssl": True, "ssl_ca_certs": str(certificate / "ca.crt")}
        self.client: Any = redis.Redis(host="127.0.0.1", port=self.port, **tls)
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


class Side:
    """A master and its replicas, which all speak TLS or all do not, and what was measured of them."""

    def __init__(self, directory: Path, certificate: Path | None = None) -> None:
        self._directory, self._certificate = directory, certificate
        self.master = Server(directory, certificate=certificate)
        self.replicas: list[Server] = []
        self.rows: list[dict[str, int]] = [{"object_bytes": size} for size in SIZES]

    def in_sync(self) -> bool:
        """Whether every replica has all that was written."""
        found = self.master.client.info("replication")
        links = [found[f"slave{number}"] for number in range(len(self.replicas)) if f"slave{number}" in found]
        wanted = found["master_repl_offset"]
        return len(links) == len(self.replicas) and all(
            link["state"] == "online" and link["offset"] >= wanted for link in links
        )

    def add_replica(self) -> None:
        self.replicas.append(Server(self._directory, self.master.port, self._certificate))
        wait_until(self.in_sync)

    def measure(self, row: dict[str, int]) -> None:
        """A SET of the row's size with the replicas that there are, and without any a GET."""
        value, client = b"x" * row["object_bytes"], self.master.client

        def write(count: int) -> object:
            return client.set(f"image:{count % _KEYS}", value, ex=300)

        row[f"set_{len(self.replicas)}_us"] = round(microseconds_each(self.master, write, self.in_sync))
        if not self.replicas:
            row["get_us"] = round(
                microseconds_each(self.master, lambda count: client.get(f"image:{count % _KEYS}"), self.in_sync)
            )

    def stop(self) -> None:
        for server in (*self.replicas, self.master):
            server.stop()


def measure(
    directory: Path, certificate: Path | None = None, replicas: Sequence[int] = REPLICAS
) -> list[list[dict[str, int]]]:
    """One row for each size: without TLS, and with a certificate with it too. The two are measured in turn, figure by
    figure, so that what else runs on the machine slows both alike."""
    sides = [Side(directory)]
    try:
        if certificate is not None:
            sides.append(Side(directory, certificate))
        for number in replicas:
            for side in sides if number else ():
                side.add_replica()
            for rows in zip(*(side.rows for side in sides), strict=True):
                for side, row in zip(sides, rows, strict=True):
                    side.measure(row)
    finally:
        for side in sides:
            side.stop()
    return [side.rows for side in sides]


def middle(runs: Sequence[Sequence[Mapping[str, int]]]) -> list[dict[str, int]]:
    """Of several tables, the middle one of each figure: a moment in which the machine was slow is in none of them."""
    return [
        {column: round(median(row[column] for row in same_size)) for column in same_size[0]}
        for same_size in zip(*runs, strict=True)
    ]


def certificate_in(directory: Path) -> Path:
    """The directory, with the files of a certificate for loopback."""
    for name, text in certificate_files("only this measurement", ["localhost"], datetime.now(UTC).date()).items():
        (directory / name).write_text(text)
    return directory


def times_longer(plain: list[dict[str, int]], tls: list[dict[str, int]]) -> list[dict[str, object]]:
    """How many times as long a request takes with TLS as without. A ratio of one run holds on other machines too."""
    return [
        {
            key.replace("_us", "_times"): value if key == "object_bytes" else f"{with_tls[key] / value:.2f}"
            for key, value in without.items()
        }
        for without, with_tls in zip(plain, tls, strict=True)
    ]


def table(head: str, rows: Sequence[Mapping[str, object]]) -> str:
    """As CSV, with comments before it."""
    columns = ["object_bytes", *sorted(key for key in rows[0] if key != "object_bytes")]
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return head + out.getvalue()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="the table that the planner reads")
    parser.add_argument("--write-tls", type=Path, help="the table of what TLS adds, which it reads too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        plain, tls = measure(Path(directory), certificate_in(Path(directory)))
    told = subprocess.run(["redis-server", "--version"], capture_output=True, text=True, check=True).stdout
    run = f"`make calibrate` on {datetime.now(UTC):%Y-%m-%d}, Redis {told.split()[2][2:]}, over loopback.\n"
    for target, text in (
        (
            options.write,
            table(
                "# Microseconds of Redis's core for one GET, and for one SET with 0 to 3 replicas, by the size of the "
                f"value.\n# Measured by {run}",
                plain,
            ),
        ),
        (
            options.write_tls,
            table(
                "# How many times as long Redis's core takes for them with TLS, for clients and replication, as "
                f"without.\n# Both measured in turn by {run}",
                times_longer(plain, tls),
            ),
        ),
    ):
        if target is None:
            sys.stdout.write(text)
        else:
            target.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
