"""Packages are installed by digest: what Jobs get of them in a cluster, and what this machine builds and tests with."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import subprocess
import zipfile
from functools import cache
from importlib import metadata
from pathlib import Path
from xml.etree import ElementTree

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from components.manifests import bundle, jobs, validation

WRITTEN = sorted(Path().glob("*.in")) + sorted(
    path for folder in ("sandbox", "tests") for path in Path(folder).rglob("*.in") if "node_modules" not in path.parts
)
INSTALLERS = (
    *("Makefile", "sandbox/setup.sh", "sandbox/servers.sh", "tests/clients/setup.sh", "tests/examples/setup.sh"),
    *sorted(str(path) for path in Path(".github/workflows").glob("*.yaml")),
    *sorted(str(path) for path in Path(".ci").iterdir()),
)
SOURCES = ("tests", "examples")
NODE = sorted(
    path for folder in SOURCES for path in Path(folder).rglob("package.json") if "node_modules" not in path.parts
)
JAVA = sorted(path for folder in SOURCES for path in Path(folder).rglob("pom.xml"))
SETUPS = ("tests/clients/setup.sh", "tests/examples/setup.sh")
POM = "{http://maven.apache.org/POM/4.0.0}"
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


@cache
def locked(path: Path) -> dict[str, str]:
    """Name -> version of what a lock installs. Every entry must have a version and the digest of a file."""
    text = re.sub(r"\\\n\s*", "", path.read_text())
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            entry, *digests = re.split(r"\s+(?=--hash=)", line)
            assert digests, f"{path}: {entry} has no digest"
            assert all(HASH.fullmatch(digest.strip()) for digest in digests), entry
            wanted = Requirement(entry)
            (version,) = wanted.specifier
            assert version.operator == "==", entry
            found[canonicalize_name(wanted.name)] = version.version
    return found


def lock_of(path: Path) -> Path:
    return path.with_suffix(".txt")


def installed(path: Path) -> dict[str, str]:
    """Name -> version, of a lock's packages that are in the environment of this test."""
    there = {canonicalize_name(found.metadata["Name"]): found.version for found in metadata.distributions()}
    return {name: there[name] for name in locked(path) if name in there}


@pytest.mark.parametrize("path", WRITTEN, ids=str)
def test_what_a_list_asks_for_is_locked_at_its_version_and_by_digest(path: Path) -> None:
    lines = [line.partition("#")[0].strip() for line in path.read_text().splitlines()]
    asked = [Requirement(line) for line in lines if line]
    assert asked
    lock = locked(lock_of(path))
    for wanted in asked:
        name = canonicalize_name(wanted.name)
        assert f"=={lock.get(name)}" == str(wanted.specifier), f"{path} asks for {wanted}: run `make lock`"


@pytest.mark.parametrize("path", [Path("requirements.txt"), Path("tests/requirements.txt")], ids=str)
def test_a_lock_has_all_that_its_packages_need_so_that_pip_installs_it_by_digest(path: Path) -> None:
    """pip refuses a whole list where one package that another needs has no digest."""
    lock, lacking = locked(path), []
    assert len(installed(path)) > 0.8 * len(lock)
    for name in installed(path):
        for text in metadata.distribution(name).requires or ():
            need = Requirement(text)
            # Needs of an extra count where a list asks for that extra; none does.
            is_needed = need.marker is None or need.marker.evaluate({**default_environment(), "extra": ""})
            if is_needed and canonicalize_name(need.name) not in lock:
                lacking.append(f"{name} needs {need}")
    assert lacking == []


@pytest.mark.parametrize("path", [Path("requirements.txt"), Path("tests/requirements.txt")], ids=str)
def test_what_is_installed_here_is_what_is_locked(path: Path) -> None:
    lock = locked(path)
    assert {name: (lock[name], version) for name, version in installed(path).items() if version != lock[name]} == {}


def test_one_package_has_one_version_in_all_locks_of_one_environment() -> None:
    program = locked(Path("requirements.txt"))
    for path in ("tests/requirements.txt", "sandbox/requirements.txt", "tests/clients/requirements.txt"):
        other = locked(Path(path))
        assert {name: other[name] for name in program.keys() & other.keys() if program[name] != other[name]} == {}


def test_packages_that_travel_to_the_cluster_are_ours_or_locked_and_as_their_digests_say() -> None:
    ours = {path.name for path in Path().iterdir() if (path / "__init__.py").exists()}
    foreign = {name for name in (*jobs.PACKAGES, *validation.PACKAGES) if name not in ours}
    assert foreign == {"redis"}
    lock, seen = locked(Path("requirements.txt")), set()
    owners = metadata.packages_distributions()
    for name in foreign:
        archive = zipfile.ZipFile(io.BytesIO(base64.b64decode(bundle.package_zip_base64(name))))
        for packed in archive.namelist():
            (owner,) = set(owners[packed.partition("/")[0]])
            assert canonicalize_name(owner) in lock
            # Of the file as the locked package brought it; pip has written it down.
            (file,) = [item for item in metadata.files(owner) or () if str(item) == packed]
            assert file.hash is not None
            digest = hashlib.new(file.hash.mode, archive.read(packed)).digest()
            assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == file.hash.value, packed
            seen.add(owner)
    assert len(seen) == 2


@pytest.mark.parametrize("path", INSTALLERS)
def test_pip_installs_from_locks_alone(path: str) -> None:
    text = Path(path).read_text().replace("\\\n", "")
    commands = re.findall(r"^.*\bpip3? (?:install|download)\b.*$", text, re.MULTILINE)
    for command in commands:
        assert re.search(r"--require-hashes .*-r \S+", command), command
    assert commands or path not in ("sandbox/setup.sh", "sandbox/servers.sh", *SETUPS)


def test_every_list_is_one_that_make_lock_writes() -> None:
    (lists,) = re.findall(r"^LISTS='(.*)'$", Path("sandbox/setup.sh").read_text(), re.MULTILINE)
    assert sorted(f"{name}.in" for name in lists.split()) == sorted(map(str, WRITTEN))


@pytest.mark.parametrize("path", NODE, ids=str)
def test_packages_of_node_are_locked_by_digest_and_no_address_stands_in_the_lock(path: Path) -> None:
    asked = json.loads(path.read_text())["dependencies"]
    packages = json.loads((path.parent / "package-lock.json").read_text())["packages"]
    assert packages.pop("")["dependencies"] == asked
    for name, version in asked.items():
        assert packages[f"node_modules/{name}"]["version"] == version
    for name, package in packages.items():
        assert re.fullmatch(r"sha512-[A-Za-z0-9+/]{86}==", package["integrity"]), name
        assert "resolved" not in package, name


@pytest.mark.parametrize("path", JAVA, ids=str)
def test_libraries_of_java_are_listed_with_their_digests(path: Path) -> None:
    lines = (path.parent / "jars.sha256").read_text().splitlines()
    listed = [line.partition("  ")[2] for line in lines if re.match(r"[0-9a-f]{64}  \S+\.jar$", line)]
    assert len(set(listed)) == len(lines)
    for wanted in ElementTree.parse(path).iter(f"{POM}dependency"):  # noqa: S314  it is our own
        parts = [wanted.findtext(f"{POM}{part}") for part in ("artifactId", "version", "classifier")]
        assert f"{'-'.join(filter(None, parts))}.jar" in listed


@pytest.mark.parametrize("path", SETUPS)
def test_node_and_java_install_by_digest_alone(path: str) -> None:
    text = Path(path).read_text()
    assert re.findall(r"\bnpm (\w+)", text) == ["ci"]
    commands = [line for line in text.splitlines() if not line.startswith("#")]
    # Nothing of what Maven brought is compiled against or run before it has been looked at.
    (brought,) = [number for number, line in enumerate(commands) if "dependency:copy-dependencies" in line]
    assert re.match(r"sh \S*jars\.sh \S+ \S+/jars\.sha256$", commands[brought + 1]), commands[brought + 1]


def test_go_has_a_sum_beside_each_module() -> None:
    modules = sorted(path for folder in SOURCES for path in Path(folder).rglob("go.mod"))
    assert len(modules) == 2
    assert all((path.parent / "go.sum").exists() for path in modules)


@pytest.mark.parametrize(
    ("changes", "is_refused"),
    [
        ({}, False),
        ({"a.jar": b"other bytes"}, True),
        ({"more.jar": b"not listed"}, True),
        ({"b.jar": None}, True),
    ],
)
def test_a_library_that_is_changed_missing_or_unknown_ends_the_build(
    tmp_path: Path, changes: dict[str, bytes | None], is_refused: bool
) -> None:
    folder, list_ = tmp_path / "lib", tmp_path / "jars.sha256"
    folder.mkdir()
    files = {"a.jar": b"a", "b.jar": b"b"}
    list_.write_text("".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in files))
    for name, content in {**files, **changes}.items():
        if content is not None:
            (folder / name).write_bytes(content)
    done = subprocess.run(["sh", "tests/clients/jars.sh", folder, list_], capture_output=True, text=True, check=False)
    assert (done.returncode != 0) == is_refused, done.stderr
    assert bool(done.stderr) == is_refused
