"""The applications of `examples/`: how each is started, and which settings of docs/clients.md it has."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.clients.drivers import ALL, NODE, Client

EXAMPLES = Path(__file__).parents[2] / "examples"
BUILT = Path(__file__).parents[2] / ".examples"
"""Where `make examples` puts what it compiles."""


@dataclass(frozen=True)
class Program:
    """`settings` and `command` of an application; `needs` are the files that `make examples` makes for it."""

    name: str
    settings: Path
    command: tuple[str, ...]
    needs: tuple[Path, ...] = ()

    @property
    def client(self) -> Client:
        """The client library as docs/clients.md has it."""
        return next(client for client in ALL if client.name.lower() == self.name)

    @property
    def is_built(self) -> bool:
        return all(path.exists() for path in self.needs) and shutil.which(self.command[0]) is not None


PROGRAMS = (
    Program("redis-py", EXAMPLES / "redis-py/settings.py", (sys.executable, str(EXAMPLES / "redis-py/app.py"))),
    Program(
        "go-redis",
        EXAMPLES / "go-redis/settings.go",
        (str(BUILT / "go/images"),),
        (BUILT / "go/images",),
    ),
    Program(
        "lettuce",
        EXAMPLES / "lettuce/src/main/java/Settings.java",
        ("java", "-Xmx256m", "-cp", f"{BUILT}/java/classes:{BUILT}/java/lib/*", "App"),
        (BUILT / "java/classes/App.class",),
    ),
    Program(
        "ioredis",
        EXAMPLES / "ioredis/settings.js",
        (NODE, str(EXAMPLES / "ioredis/app.js")),
        (EXAMPLES / "ioredis/node_modules/ioredis",),
    ),
)
