"""Files in memory, by which commands are given their input and give their output."""

from __future__ import annotations

import contextlib
import os
from typing import BinaryIO


def scratch_file(stack: contextlib.ExitStack, data: bytes = b"") -> BinaryIO:
    """A file in memory, for commands to read or to write, with its position at the start."""
    file = stack.enter_context(os.fdopen(os.memfd_create("sandbox"), "r+b", buffering=0))
    file.write(data)
    file.seek(0)
    return file


def text_of(file: BinaryIO) -> str:
    file.seek(0)
    return file.read().decode()
