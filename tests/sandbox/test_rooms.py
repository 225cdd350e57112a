"""The sandbox has four rooms, and none of them reaches into one above it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

MAY_USE = {
    "sandbox.host": {"sandbox.errors"},
    "sandbox.kubernetes": {"sandbox.errors", "sandbox.host", "preview.resources", "preview.changes"},
    "sandbox.monitoring": {"sandbox.errors", "sandbox.host", "sandbox.kubernetes", "components.manifests", "preview"},
    "sandbox.control": {"sandbox.errors", "sandbox.host", "sandbox.kubernetes", "sandbox.monitoring", "preview"},
}
"""Room -> what of this project it may use beside itself: processes know nothing of Kubernetes, and Kubernetes nothing
of the command line."""

MAY_USE_WITHIN_KUBERNETES = {
    "manifests": {"quantity"},
    "kubelet": {"manifests", "cluster", "pods", "nodes", "accounts"},
    "controllers": {"manifests", "cluster", "pods", "nodes", "kubelet"},
    "engine": {"manifests", "cluster", "pods", "controllers"},
}
"""Part of the Kubernetes room -> the others it may use: the engine asks the controllers, never the other way round."""


def used(package: str) -> dict[Path, set[str]]:
    """Module of a package -> full names of everything of this project that it imports."""
    found: dict[Path, set[str]] = {}
    for path in (ROOT / package.replace(".", "/")).rglob("*.py"):
        names: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names |= {f"{node.module}.{alias.name}" for alias in node.names}
        found[path] = {
            name for name in names if name.split(".")[0] in ("sandbox", "preview", "components", "reconciler")
        }
    assert found, f"there is no package {package}"
    return found


def inside(name: str, packages: set[str]) -> bool:
    return any(f"{name}.".startswith(f"{package}.") for package in packages)


@pytest.mark.parametrize("room", MAY_USE)
def test_a_room_uses_only_itself_and_those_below_it(room: str) -> None:
    for path, names in used(room).items():
        assert {name for name in names if not inside(name, MAY_USE[room] | {room})} == set(), path


@pytest.mark.parametrize("part", MAY_USE_WITHIN_KUBERNETES)
def test_a_part_of_the_kubernetes_room_uses_only_those_below_it(part: str) -> None:
    allowed = {f"sandbox.kubernetes.{name}" for name in {part, "quantity"} | MAY_USE_WITHIN_KUBERNETES[part]}
    for path, names in used(f"sandbox.kubernetes.{part}").items():
        own = {name for name in names if name.startswith("sandbox.kubernetes.") and name.count(".") > 1}
        assert {name for name in own if not inside(name, allowed)} == set(), path


def test_every_package_of_the_sandbox_has_its_rule() -> None:
    rooms = {f"sandbox.{path.parent.name}" for path in (ROOT / "sandbox").glob("*/__init__.py")}
    assert rooms == set(MAY_USE)
    parts = {path.parent.name for path in (ROOT / "sandbox/kubernetes").glob("*/__init__.py")}
    assert parts == set(MAY_USE_WITHIN_KUBERNETES)


def test_no_module_is_longer_than_a_reader_holds_in_mind() -> None:
    assert {path.name for path in (ROOT / "sandbox").rglob("*.py") if len(path.read_text().splitlines()) > 300} == set()
