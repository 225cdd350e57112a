"""What `make bench` prints: 80 columns, so that it reads the same in any terminal. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from math import floor, log10
from typing import Any

WIDTH = 80
GENERATOR_SHARE_MIN = 0.8
"""Of what redis-benchmark drives, so that the load generator is not what is measured."""
_LATENCIES = ("p50_ms", "p95_ms", "p99_ms", "max_ms")


def _ms(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.1f} ms" if value < 100 else f"{value:,.0f} ms"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], first: int) -> list[str]:
    """The first column has `first` characters and is wrapped; the others share the rest and stand to the right."""
    wide = (WIDTH - 2 - first) // (len(head) - 1)
    lines = []
    for row in (head, *rows):
        names = textwrap.wrap(row[0], first) or [""]
        lines.append("  " + names[0].ljust(first) + "".join(cell.rjust(wide) for cell in row[1:]))
        lines += ["  " + name for name in names[1:]]
    return lines


def latencies(name: str, report: Mapping[str, Any]) -> list[str]:
    row = report["latency"]["all"]
    return [name, f"{report['requests_per_s']:,.0f}/s", f"{report['failed']}", *(_ms(row[key]) for key in _LATENCIES)]


def render(bench: Mapping[str, Any]) -> str:
    ours, plain = bench["ours"], bench.get("plain", {})
    lines = textwrap.wrap(f"BENCH, {bench['date']}: {bench['machine']}", WIDTH)
    if side := ours.get("side_by_side"):
        limit = side["one core that only sends"]["gets_per_s"]
        lines += ["", "GET of 1 MB, one client with 4 connections, over one pod's link"]
        lines += table(
            ["", "GETs/s", "of core", "p50", "p95", "longest"],
            [
                [name, f"{row['gets_per_s']:,.0f}", f"{100 * row['gets_per_s'] / limit:.0f} %"]
                + [_ms(row[key]) for key in ("p50_ms", "p95_ms", "max_ms")]
                for name, row in side.items()
            ],
            24,
        )
    rows = []
    for name, found in (("this stack", ours), ("plain", plain)):
        if "saturation" in found:
            rows.append(latencies(f"{name}: as much as it carries", found["saturation"]))
            rows.append(latencies(f"{name}: as much on one master", found["one_master"]))
            rows.append(latencies(f"{name}: {found['rate']:g}/s on one master", found["master_rate"]))
    if rows:
        lines += ["", "Images of 1 MB at a hit rate of 80 %, latency from when a request was due"]
        lines += table(["", "images", "failed", "p50", "p95", "p99", "longest"], rows, 20)
        if min(found["rate"] for found in (ours, plain) if "rate" in found) < bench["document_rate"]:
            lines += [f"  The document's {bench['document_rate']:g}/s of a master are beyond this machine."]
    if generator := plain.get("generator"):
        own, other = generator["loadgen_gets_per_s"], generator["redis_benchmark_gets_per_s"]
        lines += [
            f"  The load generator drives {own:,.0f} GETs/s, redis-benchmark {other:,.0f}: {100 * own / other:.0f} %."
        ]
    if expiry := ours.get("expiry"):
        gone = "never" if expiry["gone_after_s"] is None else f"{expiry['gone_after_s']:.1f} s after the load had ended"
        lines += ["", f"TTL of {expiry['ttl_s']} s at {expiry['writes_per_s']:.0f} writes/s"]
        lines += [f"  {expiry['keys_on_the_plateau']:,.0f} images on the plateau; all gone {gone}."]
    if eviction := ours.get("eviction"):
        lines += ["", f"{eviction['images']:,} images of mixed sizes, twice what fits"]
        lines += [
            f"  {eviction['evicted_keys']:,} evicted, {eviction['failed']} requests failed.",
            f"  used {eviction['used_of_maxmemory']:.2f}x maxmemory, resident {eviction['rss_of_maxmemory']:.2f}x, "
            f"limit {eviction['limit_of_maxmemory']:.2f}x.",
        ]
    if changes := ours.get("changes"):
        lines += ["", f"Under {changes['rate']:g} images/s"]
        rows = [
            [mark["name"], f"{mark['until'] - mark['from']:.0f} s", str(mark["failed"]), _ms(mark["max_ms"])]
            for mark in changes["marks"]
        ]
        lines += table(["", "took", "failed", "longest"], rows, 40)
    if found := bench.get("predictions"):
        lines += ["", "Predicted and measured"]
        rows = [
            [f"{row['what']}, {row['unit']}", _figure(row["predicted"]), _figure(row["measured"]), _off(row)]
            for row in found
        ]
        lines += table(["", "predicted", "measured", ""], rows, 42)
    missed = wrong(bench)
    lines += ["", "Missed:" if missed else "Nothing was missed."]
    lines += [line for item in missed for line in textwrap.wrap(f"- {item}", WIDTH, subsequent_indent="  ")]
    return "\n".join(lines)


def _figure(value: float) -> str:
    """Three digits that mean something: 37,000, 909, 8.82."""
    if not value:
        return "0"
    digits = 2 - floor(log10(abs(value)))
    return f"{round(value, digits):,.{max(0, digits)}f}"


def _off(row: Mapping[str, Any]) -> str:
    if not row["predicted"] or not row["measured"]:
        return "none !"
    return f"{row['measured'] / row['predicted']:.2f}x" + ("" if row["holds"] else " !")


def _words_off(row: Mapping[str, Any]) -> str:
    if not row["predicted"] or not row["measured"]:
        return "nothing was predicted" if not row["predicted"] else "nothing was measured"
    return f"{row['measured'] / row['predicted']:.2f} times what was predicted"


def wrong(bench: Mapping[str, Any]) -> list[str]:
    """What must not be, in words; empty where all is well."""
    ours, found = bench["ours"], []
    if generator := bench.get("plain", {}).get("generator"):
        share = generator["loadgen_gets_per_s"] / generator["redis_benchmark_gets_per_s"]
        if share < GENERATOR_SHARE_MIN:
            found.append(f"The load generator drives {100 * share:.0f} % of what redis-benchmark does.")
    if expiry := ours.get("expiry"):
        if expiry["gone_after_s"] is None or expiry["gone_after_s"] > 2 * expiry["ttl_s"]:
            found.append("Images outlived their TTL.")
        if expiry["failed"]:
            found.append(f"{expiry['failed']} writes with a TTL failed.")
    if eviction := ours.get("eviction"):
        if not eviction["evicted_keys"]:
            found.append("Nothing was evicted, so nothing was shown.")
        if eviction["failed"]:
            found.append(f"{eviction['failed']} requests failed while images were evicted.")
        if eviction["rss_of_maxmemory"] > eviction["limit_of_maxmemory"]:
            found.append("A pod's memory is beyond its limit.")
    for mark in ours.get("changes", {}).get("marks", []):
        if mark["failed"] and "lost" not in mark["name"]:
            found.append(f"{mark['failed']} requests failed: {mark['name']}.")
    for row in bench.get("predictions", []):
        if not row["holds"]:
            found.append(f"{row['what']}: {_words_off(row)}.")
    return found
