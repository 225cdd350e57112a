"""Decide and describe know nothing of Pulumi; wire is the only place that does."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

WIRE = {"cluster", "node_groups", "pool", "sdk", "stack"}
PURE = sorted(path.stem for path in Path("components").glob("*.py") if path.stem not in {*WIRE, "__init__"})


def test_decide_and_describe_import_with_pulumi_out_of_reach() -> None:
    program = "\n".join(
        [
            "import sys",
            "for name in ('pulumi', 'pulumi_aws', 'pulumi_kubernetes', 'pulumi_random', 'redis'):",
            "    sys.modules[name] = None",
            *[f"import components.{module}" for module in PURE],
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


@pytest.mark.parametrize("path", sorted(Path("reconciler").glob("*.py")), ids=lambda path: path.name)
def test_the_reconciler_imports_only_redis_itself_and_the_standard_library(path: Path) -> None:
    assert imports(path) <= {"redis", "reconciler", *sys.stdlib_module_names}


@pytest.mark.parametrize("path", sorted(Path("sandbox").glob("*.py")), ids=lambda path: path.name)
def test_only_evaluating_and_showing_a_plan_know_the_component(path: Path) -> None:
    assert "components" not in imports(path) or path.name.startswith(("evaluate", "plan_", "report_"))


def test_the_program_is_a_table_of_contents() -> None:
    tree = ast.parse(Path("__main__.py").read_text())

    assert len(Path("__main__.py").read_text().splitlines()) <= 40
    assert not any(isinstance(node, ast.If | ast.For | ast.While | ast.FunctionDef) for node in ast.walk(tree))
