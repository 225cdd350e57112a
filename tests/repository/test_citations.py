"""What a comment or a document refers to is in the repository: a reader can follow every reference."""

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

SUFFIXES = {".awk", ".css", ".csv", ".md", ".py", ".sh", ".toml", ".txt", ".yaml", ".yml", ""}
FILES = sorted(
    path
    for path in [*Path().rglob("*"), *Path(".ci").rglob("*")]
    if path.suffix in SUFFIXES
    and path.is_file()
    and not any((part[0] == "." and part != ".ci") or part == "__pycache__" for part in path.parts)
)
ADRS = {int(path.name[:4]) for path in Path("docs/adr").glob("*.md")}
ABSENT = ("redis-" + "facts", "aws-" + "facts", "engine-" + "facts", "sizing-" + "1tb", "/" + "work/", "DESIGN" + ".md")
"""Names of papers and paths that a reader of this repository cannot open. In two parts, so that this file passes."""


@cache
def text_of(path: Path) -> str:
    """The file in one line, without the signs that begin a comment: references run over the ends of lines."""
    return re.sub(r"\s*\n\s*(?:#|//|\|)?\s*", " ", path.read_text(encoding="utf-8"))


@cache
def headings(path: Path) -> set[str]:
    return set(re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)) if path.exists() else set()


def everywhere(wrong: Callable[[str], list[str]]) -> dict[str, list[str]]:
    """File -> what is wrong in it, for the files in which something is."""
    found = {str(path): wrong(text_of(path)) for path in FILES}
    return {path: names for path, names in found.items() if names}


def test_the_files_are_found() -> None:
    assert {Path("README.md"), Path("Makefile"), Path("components/scripts/start.sh"), Path(".ci/run")} <= set(FILES)


def test_no_file_names_what_the_repository_does_not_have() -> None:
    assert everywhere(lambda text: [name for name in ABSENT if name in text]) == {}


def test_every_document_that_is_cited_exists() -> None:
    def absent(text: str) -> list[str]:
        cited = re.findall(r"(?<![\w/.-])docs/[\w/-]+(?:\.md|\.png)?", text)
        return [name for name in cited if not Path(name).exists() and not list(Path().glob(f"{name}*.md"))]

    assert everywhere(absent) == {}


def test_every_section_that_is_cited_exists() -> None:
    def absent(text: str) -> list[str]:
        cited = re.findall(r"\b(docs/[\w/-]+\.md)`?,? ?(?:\(\"?|\")([A-Z][^\")]*)[\")]", text)
        return [f"{name}: {title}" for name, title in cited if title.rstrip(".,;") not in headings(Path(name))]

    assert everywhere(absent) == {}


def test_every_adr_that_is_cited_exists() -> None:
    assert (
        everywhere(lambda text: [number for number in re.findall(r"\bADR (\d+)\b", text) if int(number) not in ADRS])
        == {}
    )
