"""What the processes of a load saw together, as one report. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from loadgen.histogram import Histogram


def merged(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The report that `python -m loadgen` prints: latencies in milliseconds from when a request was due."""
    latency: dict[str, Histogram] = {}
    seconds: dict[int, tuple[Histogram, Counter[str]]] = {}
    counts, errors, nodes = Counter[str](), Counter[str](), Counter[str]()
    for part in parts:
        for operation, found in part["latency"].items():
            latency.setdefault(operation, Histogram()).add(Histogram(found))
        for at, second in part["seconds"].items():
            of_all, tally = seconds.setdefault(int(at), (Histogram(), Counter()))
            of_all.add(Histogram(second["latency"]))
            tally.update(failed=second["failed"], bytes_in=second["bytes_in"])
        counts.update(part["counts"])
        errors.update(part["errors"])
        nodes.update(part["bytes_by_node"])
    measured_s = max((part["measured_s"] for part in parts), default=0.0)
    requests = Histogram()
    for found in latency.values():
        requests.add(found)
    answered = latency.get("get", Histogram()).total
    failed = sum(errors.values())
    return {
        "measured_s": measured_s,
        # A miss is one request of the application's: its read. The write that follows is counted as such.
        "requests_per_s": answered / measured_s if measured_s else 0.0,
        "bytes_in_per_s": sum(tally["bytes_in"] for _, tally in seconds.values()) / measured_s if measured_s else 0.0,
        "requests": requests.total + failed,
        "failed": failed,
        "latency": {"all": requests.summary()} | {name: found.summary() for name, found in sorted(latency.items())},
        "counts": dict(counts),
        "errors": dict(errors),
        "bytes_by_node": dict(nodes),
        "seconds": [
            {"at": at, **of_all.summary(), "failed": tally["failed"], "bytes_in": tally["bytes_in"]}
            for at, (of_all, tally) in sorted(seconds.items())
        ],
    }


def text(report: dict[str, Any]) -> str:
    """The report for people, 80 columns wide."""
    lines = [
        f"{report['requests_per_s']:,.0f} images/s, {report['bytes_in_per_s'] / 1e6:,.0f} MB/s for "
        f"{report['measured_s']:.0f} s; {report['failed']} of {report['requests']:,} requests failed",
        f"{'':8}{'count':>10}{'p50':>11}{'p95':>11}{'p99':>11}{'longest':>11}",
    ]
    for name, row in report["latency"].items():
        figures = "".join(_ms(row[key]) for key in ("p50_ms", "p95_ms", "p99_ms", "max_ms"))
        lines.append(f"{name:8}{row['count']:>10,}{figures}")
    lines += [f"{count:>8} x {what}" for what, count in sorted(report["errors"].items())]
    return "\n".join(lines)


def _ms(value: float | None) -> str:
    return f"{'–':>11}" if value is None else f"{value:>8.1f} ms"


def missed(report: dict[str, Any], p95_ms: float | None, rate: float | None) -> list[str]:
    """What a load shows that it should not; empty where all is well. The rate is met at 95 % of what is wanted, since
    a random share of hits is never exact."""
    found = []
    p95 = report["latency"]["all"]["p95_ms"]
    if p95_ms is not None and (p95 is None or p95 > p95_ms):
        found.append(f"p95 is {'unknown' if p95 is None else f'{p95:.1f} ms'}, wanted {p95_ms:g} ms")
    if rate is not None and report["requests_per_s"] < RATE_MET * rate:
        found.append(f"{report['requests_per_s']:.1f} images/s were answered, wanted {rate:g}/s")
    if report["failed"]:
        worst = max(report["errors"], key=report["errors"].__getitem__)
        found.append(f"{report['failed']} of {report['requests']} requests failed, most of them by '{worst}'")
    if report["counts"].get("wrong_values"):
        found.append(f"{report['counts']['wrong_values']} answers were another image")
    return found


RATE_MET = 0.95
