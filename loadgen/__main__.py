"""Load of images on a Redis Cluster.

    python -m loadgen HOST:PORT --rate 500 --duration 30

The user is taken from REDIS_USER, and the password from the file that REDIS_PASSWORD_FILE names: all of it, with a
line's end if there is one. Without such a file REDISCLI_AUTH is the password, as for redis-cli.
What was measured is printed for people, or as JSON (--json).
Exit status 0; 1 when what --p95-ms or --met asks for was missed, or the cluster cannot be reached; 2 for a wrong call.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import multiprocessing
import os
import sys
import traceback
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import redis

from loadgen.report import merged, missed, text
from loadgen.request import Share
from loadgen.topology import READS_FROM, Target
from loadgen.worker import Worker
from loadgen.workload import Popularity, Sizes, WrongWorkload

_END_S = 30.0
"""For what is under way when a load's time is over."""


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m loadgen", description="Load of images on a Redis Cluster.")
    parser.add_argument("endpoint", metavar="HOST:PORT", help="any node, or the name of them all")
    parser.add_argument(
        "--rate", type=float, default=0, help="images/s, whether or not earlier ones have come; 0: as many as possible"
    )
    parser.add_argument(
        "--hit-rate", type=float, default=0.8, help="share of reads of images that were written (default 0.8)"
    )
    parser.add_argument("--images", type=int, default=300, help="images that are alive at a time (default 300)")
    parser.add_argument("--popularity", default="uniform", help="uniform, or zipf:EXPONENT")
    parser.add_argument("--sizes", default="1000000", help="bytes, lognormal:MEDIAN:SIGMA, or BYTES=SHARE,…")
    parser.add_argument("--ttl", type=int, default=300, metavar="SECONDS")
    parser.add_argument("--connections", type=int, default=4, help="to each node, of each process (default 4)")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--warm-up", type=float, default=1, metavar="SECONDS")
    parser.add_argument("--duration", type=float, default=10, metavar="SECONDS")
    parser.add_argument("--stop-file", metavar="PATH", help="end when this file is there")
    parser.add_argument("--fill-seconds", type=float, default=300, help="give up when filling the cache takes longer")
    parser.add_argument("--prefix", default="load:", help="of all keys (default load:)")
    parser.add_argument("--reads-from", default="master", choices=READS_FROM)
    parser.add_argument(
        "--zone", default="", metavar="CIDR,…", help="address ranges of the own zone, for --reads-from zone"
    )
    parser.add_argument("--ca-file", help="speak TLS, and trust this authority")
    parser.add_argument("--cert-file", help="show this certificate")
    parser.add_argument("--key-file", help="the certificate's private key")
    parser.add_argument("--p95-ms", type=float, help="fail when p95 is longer")
    parser.add_argument("--met", action="store_true", help="fail when the rate was not met, or any request failed")
    parser.add_argument("--json", action="store_true")
    return parser


def password_given() -> str | None:
    """Raises OSError when the file that is named cannot be read, and ValueError when it is not text or empty."""
    file = os.environ.get("REDIS_PASSWORD_FILE")
    if not file:
        return os.environ.get("REDISCLI_AUTH") or None
    try:
        password = Path(file).read_bytes().decode()
    except UnicodeDecodeError as error:
        raise WrongWorkload(f"{file}, which REDIS_PASSWORD_FILE names, is no text: {error}") from error
    if not password:
        raise WrongWorkload(f"{file}, which REDIS_PASSWORD_FILE names, is empty; it must have the password")
    return password


def target_of(options: argparse.Namespace) -> Target:
    host, _, port = options.endpoint.rpartition(":")
    # An IPv6 address stands in brackets before its port.
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdigit():
        raise WrongWorkload(f"the endpoint is {options.endpoint}; it must be HOST:PORT")
    zone = tuple(ipaddress.ip_network(part) for part in options.zone.split(",") if part)
    return Target(
        host,
        int(port),
        password_given(),
        options.ca_file,
        options.reads_from,
        zone,
        os.environ.get("REDIS_USER") or None,
        options.cert_file,
        options.key_file,
    )


def shares_of(options: argparse.Namespace) -> list[Share]:
    """The load in equal parts, each with images of its own."""
    if options.processes < 1 or options.images < options.processes or options.connections < 1:
        raise WrongWorkload("there must be at least one process, one connection, and one image for each process")
    if not 0 <= options.hit_rate <= 1 or options.rate < 0 or options.duration <= 0 or options.ttl < 1:
        raise WrongWorkload("the hit rate is from 0 to 1, a rate not negative, and duration and TTL more than 0")
    Popularity(options.popularity, 1)
    # Of this run alone, or what an earlier one wrote would be found where a miss is meant.
    run = os.urandom(4).hex()
    return [
        Share(
            number,
            options.rate / options.processes,
            options.hit_rate,
            options.images // options.processes,
            options.popularity,
            Sizes.parse(options.sizes),
            options.ttl,
            options.connections,
            options.warm_up,
            options.duration,
            f"{options.prefix}{run}:{number}:",
            options.stop_file,
            options.fill_seconds,
        )
        for number in range(options.processes)
    ]


def _work(target: Target, share: Share, result: Connection) -> None:
    try:
        worker = Worker(target, share)
        worker.run()
        result.send(worker.report())
    except (OSError, redis.RedisError) as error:
        result.send(f"{type(error).__name__}: {error}")
    except Exception:
        # A fault of this program's own. The process that waits raises it, with the place that only this one knows.
        result.send(traceback.format_exc())


def run(target: Target, shares: Sequence[Share]) -> dict[str, Any]:
    """All shares at once, each in a process of its own. Raises OSError with what a process could not do."""
    context = multiprocessing.get_context("fork")
    running = []
    for share in shares:
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(target, share, theirs), daemon=True)
        process.start()
        theirs.close()
        running.append((process, ours, share))
    parts: list[dict[str, Any]] = []
    try:
        for process, result, share in running:
            allowed_s = share.fill_s + share.warm_up_s + share.duration_s + _END_S
            if not result.poll(allowed_s):
                raise OSError(f"a process of the load did not end within {allowed_s:.0f} s")
            try:
                part = result.recv()
            except EOFError as error:
                raise OSError(f"a process of the load died: {process.exitcode}") from error
            if isinstance(part, str):
                raise OSError(part)
            parts.append(part)
    finally:
        for process, _, _ in running:
            process.kill()
            process.join()
    return merged(parts)


def main(given: Sequence[str] | None = None) -> int:
    options = arguments().parse_args(given)
    try:
        target, shares = target_of(options), shares_of(options)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    try:
        report = run(target, shares)
    except OSError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    print(json.dumps(report) if options.json else text(report))
    wrong = missed(report, options.p95_ms, options.rate or None) if options.met or options.p95_ms else []
    for line in wrong:
        sys.stderr.write(f"missed: {line}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
