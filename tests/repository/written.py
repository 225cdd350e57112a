"""Every command that the documents show, as it is written there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
_DOCUMENTS = (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "examples/README.md")
_FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_OURS = ("make ", "python -m ", "kubectl ", "pulumi ", "redis-cli ")
_BETWEEN = re.compile(r""";(?=(?:[^'"]|'[^']*'|"[^"]*")*$)""")
"""A semicolon that no quotes enclose."""
_INLINE = re.compile(rf"`((?:{'|'.join(_OURS)})[^`]+)`")


def _commands() -> Iterator[str]:
    for document in _DOCUMENTS:
        text = document.read_text()
        for language, block in _FENCED.findall(text):
            for line in block.replace("\\\n", " ").splitlines():
                if language == "sh":
                    yield from (part.strip() for part in _BETWEEN.split(line.partition(" #")[0]))
                elif not language and line.strip().startswith(_OURS):
                    # What a command prints may show others, each with its meaning some spaces beside it.
                    yield re.split(r" {3,}", line.strip())[0]
        yield from _INLINE.findall(_FENCED.sub("", text))


WRITTEN = sorted(set(_commands()) - {""})
"""Lines of blocks of shell, lines of other blocks that begin as ours do, and what stands inline and begins so."""


INSIDE = [
    line
    for line in WRITTEN
    if line.startswith(("kubectl ", "python -m sandbox exec"))
    and " exec " in line
    and " -- " in line
    and "…" not in line
]
"""Commands that run in a container of a pod, and are written whole."""


def beginning_with(start: str) -> list[str]:
    return [line for line in WRITTEN if line.startswith(start)]


def simple_commands(line: str) -> list[list[str]]:
    """The words of each command of a line; `|`, `&&` and `<` come between them."""
    words = shlex.shlex(line, posix=True, punctuation_chars=True)
    words.whitespace_split = True
    found: list[list[str]] = [[]]
    for word in words:
        if word in ("|", "&&", "<", ">"):
            found.append([])
        else:
            found[-1].append(word)
    return found


def commands_of(program: str) -> list[str]:
    """The program's commands, each alone, with its words as a shell would divide them."""
    lines = [words for line in WRITTEN for words in simple_commands(line) if words[:1] == [program]]
    return sorted({shlex.join(words) for words in lines})
