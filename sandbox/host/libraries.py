"""Shared libraries of programs, for the images that these programs go into."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from sandbox.errors import SandboxError


def copy_libraries(root: Path, binaries: Iterable[str], brought: str = "") -> None:
    """Put into an image what its binaries need besides, but what they find in the folder `brought`.

    Raises `SandboxError` when this machine lacks a library.
    """
    for library in _libraries(binaries, brought):
        if brought and library.startswith(brought):
            continue
        target = root / library.lstrip("/")
        # A library outside the linker's default path (Python's own) is moved onto it.
        if not library.startswith(("/lib", "/usr/lib")):
            target = root / "usr/lib" / Path(library).name
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(os.path.realpath(library), target)


def _libraries(binaries: Iterable[str], brought: str = "") -> set[str]:
    """Paths of all shared libraries and the dynamic loader the binaries need, as `ldd` resolves them. Those in the
    folder `brought` go first."""
    found: set[str] = set()
    env = os.environ | ({"LD_LIBRARY_PATH": brought} if brought else {})
    done = subprocess.run(["ldd", *binaries], capture_output=True, text=True, timeout=30, check=False, env=env)
    for line in done.stdout.splitlines():
        match = re.search(r"(?:=> )?(/\S+) \(0x", line)
        if match:
            found.add(match[1])
        elif "not found" in line:
            raise SandboxError(f"a library is missing on this machine: {line.strip()}")
    return found
