"""Slow links, with what this machine's kernel offers."""

from __future__ import annotations

import re

from sandbox.errors import InvalidError, SandboxError, UnsupportedError
from sandbox.network import PodNetwork
from sandbox.process import run_tool

_RATE = re.compile(r"^\d+(\.\d+)?(k|m|g)?bit$")
_BURST_BYTES = 256 * 1024
_QUEUE_MS = 200


def shape(network: PodNetwork, rate: str | None, delay_ms: float, loss_percent: float) -> str:
    """Sets the link's rate, delay and loss in both directions, replacing what was set; all absent restores it.

    Raises UnsupportedError when the kernel has no netem for delay and loss.
    """
    if rate is not None and not _RATE.match(rate):
        raise InvalidError(f"rate is {rate!r}; give bits per second, such as 50mbit")
    if not 0 <= loss_percent <= 100 or delay_ms < 0:
        raise InvalidError("loss-percent must be 0 to 100 and delay-ms not negative")
    sides = [["tc", "qdisc", "{}", "dev", network.link], ["tc", "-n", network.netns, "qdisc", "{}", "dev", "eth0"]]
    for side in sides:
        _clear(side)
    if delay_ms or loss_percent:
        _netem(sides, rate, delay_ms, loss_percent)
    elif rate is not None:
        for side in sides:
            run_tool(
                [
                    *_verb(side, "add"),
                    "root",
                    "tbf",
                    "rate",
                    rate,
                    "burst",
                    str(_BURST_BYTES),
                    "latency",
                    f"{_QUEUE_MS}ms",
                ]
            )
    done = [f"rate {rate}"] if rate else []
    done += [f"delay {delay_ms:g} ms"] if delay_ms else []
    done += [f"loss {loss_percent:g} %"] if loss_percent else []
    return f"{', '.join(done)} in each direction" if done else "as fast as the machine"


def _verb(side: list[str], verb: str) -> list[str]:
    return [verb if part == "{}" else part for part in side]


def _clear(side: list[str]) -> None:
    shown = run_tool([*_verb(side, "show"), "root"])
    if "tbf" in shown or "netem" in shown:
        run_tool([*_verb(side, "del"), "root"])


def _netem(sides: list[list[str]], rate: str | None, delay_ms: float, loss_percent: float) -> None:
    options = ["delay", f"{delay_ms}ms", "loss", f"{loss_percent}%"] + (["rate", rate] if rate else [])
    try:
        for side in sides:
            run_tool([*_verb(side, "add"), "root", "netem", "limit", "20000", *options])
    except SandboxError as error:
        if "unknown" in str(error) or "not found" in str(error):
            raise UnsupportedError(
                "this machine's kernel has no netem queue (CONFIG_NET_SCH_NETEM), so a link can have a rate "
                "(--rate 50mbit) but no delay or loss; on a stock Debian kernel: modprobe sch_netem"
            ) from None
        raise
