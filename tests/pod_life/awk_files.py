"""The awk programs as the image runs them, and nodes.conf files for them."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import strategies as st

from tests.pod_life.pods import SCRIPTS


def awk(program: str, *files: Path, **variables: object) -> subprocess.CompletedProcess[str]:
    return _run([*_command(program, variables), *map(str, files)], None)


def awk_on(program: str, text: str, **variables: object) -> subprocess.CompletedProcess[str]:
    """The program with `text` as its standard input."""
    return _run(_command(program, variables), text)


def _command(program: str, variables: Mapping[str, object]) -> list[str]:
    command = ["busybox", "awk"]
    for name, value in variables.items():
        command += ["-v", f"{name}={value}"]
    return [*command, "-f", str(SCRIPTS / program)]


def _run(command: list[str], text: str | None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=20, check=False)


@dataclass(frozen=True)
class Node:
    """One line of nodes.conf."""

    id: str
    ip: str
    host: str
    aux: str
    flags: tuple[str, ...]
    master: str
    epoch: int
    slots: tuple[str, ...]

    def line(self) -> str:
        address = f"{self.ip}:6379@16379" if self.ip else ":0@0"
        rest = f",{self.host}{self.aux}" if self.host or self.aux else ""
        parts = [self.id, address + rest, ",".join(self.flags), self.master, "0", "0", str(self.epoch), "connected"]
        return " ".join([*parts, *self.slots])


@dataclass(frozen=True)
class Table:
    """A nodes.conf."""

    nodes: tuple[Node, ...]
    current_epoch: int
    last_vote_epoch: int
    me: str = field(default="")

    def text(self) -> str:
        lines = [node.line() for node in self.nodes]
        lines.append(f"vars currentEpoch {self.current_epoch} lastVoteEpoch {self.last_vote_epoch}")
        return "\n".join(lines) + "\n"

    @staticmethod
    def parse(text: str) -> "Table":
        *lines, last = text.splitlines()
        nodes = []
        for line in lines:
            id_, place, flags, master, _, _, epoch, _, *slots = line.split(" ")
            address, _, rest = place.partition(",")
            host, comma, aux = rest.partition(",")
            nodes.append(
                Node(
                    id_,
                    address.rpartition(":")[0],
                    host,
                    comma + aux,
                    tuple(flags.split(",")),
                    master,
                    int(epoch),
                    tuple(slots),
                )
            )
        words = last.split(" ")
        me = next(node.id for node in nodes if "myself" in node.flags)
        return Table(tuple(nodes), int(words[2]), int(words[4]), me)


def _id(n: int) -> str:
    return f"{n:040x}"


def ipv4(third: int, fourth: int) -> str:
    return f"10.0.{third}.{fourth}"


def ipv6(third: int, fourth: int) -> str:
    """One whose last part could be taken for a port."""
    return f"fd00:10:244::{third:x}:{6370 + fourth}"


families = st.sampled_from((ipv4, ipv6))
"""How the addresses of a cluster's pods look."""


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """Clusters of 1 to 5 shards with 0 to 2 replicas each, as Redis 7.0 and as 7.2 and later write them, of either
    family."""
    address = draw(families)
    shards = draw(st.integers(1, 5))
    has_aux = draw(st.booleans())
    edges = sorted(draw(st.sets(st.integers(1, 16383), min_size=shards - 1, max_size=shards - 1)))
    bounds = [0, *edges, 16384]
    nodes: list[Node] = []
    for shard in range(shards):
        first, last = bounds[shard], bounds[shard + 1] - 1
        aux = f",tls-port=0,shard-id={shard + 100:040x}" if has_aux else ""
        master = _id(shard * 10 + 1)
        slots: tuple[str, ...] = (str(first),) if first == last else (f"{first}-{last}",)
        health = draw(st.sampled_from([(), ("fail?",), ("fail",)]))
        nodes.append(Node(master, address(shard, 1), f"m-{shard}.x", aux, ("master", *health), "-", shard + 1, slots))
        for replica in range(draw(st.integers(0, 2))):
            ip = draw(st.sampled_from([address(shard, replica + 2), ""]))
            nodes.append(
                Node(
                    _id(shard * 10 + 2 + replica),
                    ip,
                    f"r{replica}-{shard}.x",
                    aux,
                    ("slave",) if ip else ("slave", "noaddr"),
                    master,
                    shard + 1,
                    (),
                )
            )
    order = draw(st.permutations(nodes))
    at = draw(st.integers(0, len(order) - 1))
    mine = order[at]
    health_free = tuple(flag for flag in mine.flags if flag in ("master", "slave"))
    slots = mine.slots
    is_migrating = draw(st.booleans())
    if slots and is_migrating:
        slots = (*slots, f"[{bounds[0]}->-{_id(999)}]")
    order[at] = Node(
        mine.id, mine.ip or address(9, 9), mine.host, mine.aux, ("myself", *health_free), mine.master, mine.epoch, slots
    )
    current = draw(st.integers(shards, 10**6))
    return Table(tuple(order), current, draw(st.integers(0, current)), mine.id)
