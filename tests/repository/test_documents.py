"""What README and docs say is what the program does."""

import re
from pathlib import Path

import pytest

from components.config.settings import Settings
from tests.golden.render import decision
from tests.resources.stacks import stack

README = Path("README.md").read_text()
DOCUMENTS = [Path("README.md"), *sorted(Path("docs").rglob("*.md"))]


def block_with(fragment: str) -> str:
    """The fenced block of the README that contains a text."""
    blocks = [block for block in re.findall(r"```[a-z]*\n(.*?)```", README, re.DOTALL) if fragment in block]
    assert len(blocks) == 1, fragment
    return str(blocks[0])


def test_the_plan_in_the_readme_is_the_plan_of_stack_prod() -> None:
    assert block_with("PLAN: stack prod").rstrip() == decision(stack("prod"))


def test_the_transcript_in_the_readme_creates_what_the_local_stack_renders() -> None:
    created = set(re.findall(r"create (\w+) (\S+) in", block_with("$ make up")))
    named = {(kind, re.sub(r"-[0-9a-f]{8}$", "", name)) for kind, name in created}

    rendered = set()
    for resource in stack("local").resources:
        if resource.is_kubernetes:
            metadata = resource.inputs["metadata"]
            name = re.sub(r"-[0-9a-f]{8}$", "", metadata["name"])
            rendered.add((resource.kind, "/".join(filter(None, (metadata.get("namespace"), name)))))
    assert named == rendered


def test_the_fault_table_in_the_readme_is_the_one_that_was_measured() -> None:
    measured = [line for line in Path("docs/faults.md").read_text().splitlines() if line.startswith("|")]

    assert len(measured) > 10
    assert "\n".join(measured) in README


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_every_file_that_is_named_exists(document: Path) -> None:
    text = document.read_text()
    linked = [(document.parent / target).resolve() for target in re.findall(r"\]\(([^)#:]+)\)", text)]
    quoted = [
        Path(name)
        for name in re.findall(r"`([\w./-]+)`", text)
        if name.startswith(("components/", "tests/", "sandbox/", "reconciler/", "docs/"))
    ]

    assert [str(path) for path in [*linked, *quoted] if not path.exists() and not list(Path().glob(f"{path}*"))] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_every_config_key_that_is_named_exists(document: Path) -> None:
    sections = {}
    for field in Settings.model_fields.values():
        kinds = [field.annotation, *getattr(field.annotation, "__args__", ())]
        model = next((kind for kind in kinds if hasattr(kind, "model_fields")), None)
        sections[field.alias] = {inner.alias for inner in model.model_fields.values()} if model else set()
    named = re.findall(rf"\b({'|'.join(filter(None, sections))})\.([a-z]\w+)\b", document.read_text())

    assert [f"{section}.{key}" for section, key in named if key not in sections[section]] == []
