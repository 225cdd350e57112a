"""Decide and describe know nothing of Pulumi; wire is the only place that does."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

PURE_PACKAGES = ("config", "plan", "advice", "manifests")
PURE = sorted(
    ".".join(path.with_suffix("").parts)
    for package in PURE_PACKAGES
    for path in Path("components", package).rglob("*.py")
    if path.stem != "__init__"
)


def test_decide_and_describe_import_with_pulumi_out_of_reach() -> None:
    program = "\n".join(
        [
            "import sys",
            "for name in ('pulumi', 'pulumi_aws', 'pulumi_kubernetes', 'pulumi_random', 'redis'):",
            "    sys.modules[name] = None",
            *[f"import {module}" for module in [*PURE, "components.decision"]],
        ]
    )

    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert finished.returncode == 0, finished.stderr


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add((node.module or "").split(".")[0])
    return found


def packages(path: Path) -> set[str]:
    """What a module imports of this project, as `components.plan`, `preview`, …"""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for module in modules:
            parts = module.split(".")
            found.add(".".join(parts[:2]) if parts[0] == "components" and len(parts) > 1 else parts[0])
    return found & {*MAY_USE, "components.decision"}


MAY_USE = {
    "components.config": set(),
    "components.plan": {"components.config"},
    "components.advice": {"components.config", "components.plan"},
    "components.manifests": {"components.config", "components.plan"},
    "components.resources": {
        "components.config",
        "components.plan",
        "components.advice",
        "components.manifests",
        "components.decision",
    },
    "reconciler": set(),
    "loadgen": set(),
    "preview": {"components.config", "components.plan", "components.advice", "components.decision"},
    "sandbox": {"preview"},
}
"""Package -> what of this project it may import beside itself."""


def test_contributing_says_what_a_package_may_import() -> None:
    rows = re.findall(r"^\| `([a-z/]+)/` \| .* \| (.*) \|$", Path("CONTRIBUTING.md").read_text(), re.MULTILINE)
    named = {folder.replace("/", "."): cell for folder, cell in rows}
    others = {package: {name.partition(".")[2] or name for name in names} for package, names in MAY_USE.items()}

    for package, names in others.items():
        if package == "components.resources":
            assert named[package] == "all of `components/`"
            assert {name for name in MAY_USE if name.startswith("components.")} <= MAY_USE[package] | {package}
        else:
            words = set(re.findall(r"[a-z]+", named[package]))
            assert words & {name for every in others.values() for name in every} == names - {"decision"}, package


@pytest.mark.parametrize("package", MAY_USE)
def test_a_package_imports_only_what_its_layer_may(package: str) -> None:
    for path in Path(*package.split(".")).rglob("*.py"):
        assert packages(path) <= MAY_USE[package] | {package}, path


@pytest.mark.parametrize(
    "path", sorted(path for package in ("reconciler", "loadgen") for path in Path(package).rglob("*.py")), ids=str
)
def test_what_travels_to_jobs_imports_only_redis_itself_and_the_standard_library(path: Path) -> None:
    assert imports(path) <= {"redis", path.parts[0], *sys.stdlib_module_names}


def test_the_program_is_a_table_of_contents() -> None:
    tree = ast.parse(Path("__main__.py").read_text())

    assert len(Path("__main__.py").read_text().splitlines()) <= 40
    assert not any(isinstance(node, ast.If | ast.For | ast.While | ast.FunctionDef) for node in ast.walk(tree))
