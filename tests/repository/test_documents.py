"""What README and docs say is what the program does, and what they name exists."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from components.advice.figures import derive_figures
from components.config.settings import Settings
from components.config.units import GIB
from tests.golden.render import decision
from tests.plan.stacks import option_1
from tests.resources.stacks import stack

README = Path("README.md").read_text()
CONTRIBUTING = Path("CONTRIBUTING.md").read_text()
DOCUMENTS = [*sorted(Path().glob("*.md")), *sorted(Path("docs").rglob("*.md")), Path("examples/README.md")]
PROJECT = tomllib.loads(Path("pyproject.toml").read_text())

FOLDERS = sorted(
    path.name for path in Path().iterdir() if path.is_dir() and path.name[0] not in "._" and any(path.rglob("*.*"))
)


def block_with(fragment: str) -> str:
    """The fenced block of the README that contains a text."""
    blocks = [block for block in re.findall(r"```[a-z]*\n(.*?)```", README, re.DOTALL) if fragment in block]
    assert len(blocks) == 1, fragment
    return str(blocks[0])


def test_the_plan_in_the_readme_is_the_plan_of_stack_prod() -> None:
    assert block_with("PLAN: stack prod").rstrip() == decision(stack("prod"))


def test_the_transcript_in_the_readme_creates_what_the_local_stack_renders() -> None:
    created = set(re.findall(r"create (\w+) (\S+) in", block_with("$ make up")))
    named = {(kind, re.sub(r"(-[0-9a-f]{8})+$", "", name)) for kind, name in created}

    rendered = set()
    for resource in stack("local").resources:
        if resource.is_kubernetes:
            metadata = resource.inputs["metadata"]
            name = re.sub(r"(-[0-9a-f]{8})+$", "", metadata["name"])
            rendered.add((resource.kind, "/".join(filter(None, (metadata.get("namespace"), name)))))
    assert named == rendered


def test_the_fault_table_in_the_readme_is_the_one_that_was_measured() -> None:
    measured = [line for line in Path("docs/faults.md").read_text().splitlines() if line.startswith("|")]

    assert len(measured) > 10
    assert "\n".join(measured) in README


def test_the_figures_in_the_references_are_those_of_the_plan() -> None:
    figures = derive_figures(option_1())
    assert figures.cost is not None
    of_1_mib = derive_figures(option_1(objectBytes=1_048_576))
    about_sizing, about_aws = (Path(f"docs/reference/{name}.md").read_text() for name in ("sizing-document", "aws"))

    assert f"cost {figures.cost.nodes_on_demand_usd:,.0f} USD" in about_sizing
    assert f"predicts {figures.latency.p95_ms:.0f} ms" in about_sizing
    assert f"break-even is {figures.working_set.break_even_hit_rate:.1%}".replace("%", " %") in about_sizing
    assert f"and {of_1_mib.working_set.break_even_hit_rate:.0%}".replace("%", " %") in about_sizing
    for case in figures.working_set.scenarios:
        row = f"| {case.hit_rate:.0%} | {case.writes_per_second:,.0f} | {case.images:,} |".replace("% |", " % |", 1)
        assert row in about_sizing
        assert f"{case.size_bytes / GIB:,.0f} GiB" in about_sizing
    for clients in figures.cost.cross_zone:
        assert f"| {clients.total_usd:,.0f} |" in about_aws


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_every_file_that_is_named_exists(document: Path) -> None:
    text = document.read_text()
    linked = [(document.parent / target).resolve() for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)]
    quoted = [
        Path(name)
        for name in re.findall(r"`([\w./-]+)`", text)
        if name.startswith(tuple(f"{folder}/" for folder in FOLDERS))
    ]

    assert [str(path) for path in [*linked, *quoted] if not path.exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_every_config_key_that_is_named_exists(document: Path) -> None:
    sections = {}
    for field in Settings.model_fields.values():
        kinds = [field.annotation, *getattr(field.annotation, "__args__", ())]
        model = next((kind for kind in kinds if hasattr(kind, "model_fields")), None)
        sections[field.alias] = {inner.alias for inner in model.model_fields.values()} if model else set()
    named = re.findall(rf"\b({'|'.join(filter(None, sections))})\.([a-z][A-Za-z0-9]*)\b(?!\.\w)", document.read_text())
    files = {("nodes", "conf"), ("tls", "crt"), ("tls", "key")}

    assert [".".join(pair) for pair in named if pair not in files and pair[1] not in sections[pair[0]]] == []


def make_help() -> set[str]:
    """The verbs that `make help` prints, each with its line."""
    finished = subprocess.run(["make", "--no-print-directory", "help"], capture_output=True, text=True, check=True)
    return set(re.findall(r"^  make ([a-z0-9-]+) +\S", finished.stdout, re.MULTILINE))


def test_make_help_names_every_verb_with_one_line() -> None:
    makefile = Path("Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)

    assert phony is not None
    assert make_help() == set(phony[1].split())
    assert make_help() == set(re.findall(r"^([a-z0-9-]+):(?!=)", makefile, re.MULTILINE))


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_every_make_verb_that_is_named_exists(document: Path) -> None:
    text = document.read_text()
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL))
    named = re.findall(r"`make ([a-z0-9-]+)", text) + re.findall(r"^make ([a-z0-9-]+)", blocks, re.MULTILINE)

    assert set(named) <= make_help()


def test_the_readme_names_every_folder_and_contributing_every_package() -> None:
    packages = [f"components/{path.name}/" for path in Path("components").iterdir() if path.is_dir()]

    assert [folder for folder in FOLDERS if f"`{folder}/`" not in README] == []
    assert [name for name in packages if "__" not in name and f"`{name}`" not in CONTRIBUTING] == []


def test_contributing_names_every_marker_of_the_tests() -> None:
    markers = [line.partition(":")[0] for line in PROJECT["tool"]["pytest"]["ini_options"]["markers"]]

    assert [marker for marker in markers if f"| `{marker}` |" not in CONTRIBUTING] == []


def test_the_changelog_begins_with_the_version_of_the_project() -> None:
    versions = re.findall(r"^## \[(.+)\] - ", Path("CHANGELOG.md").read_text(), re.MULTILINE)

    assert versions[0] == PROJECT["project"]["version"]


def test_the_license_is_the_one_that_the_project_declares() -> None:
    assert PROJECT["project"]["license"] == "Apache-2.0"
    assert "Version 2.0, January 2004" in Path("LICENSE").read_text()
