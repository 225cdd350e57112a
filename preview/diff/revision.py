"""A stack as it is at a Git revision, computed by the program of that revision.

An edit of the program changes a stack as much as an edit of its config does. The program of today with the config of
then would hide the first, so the revision is unpacked into a temporary folder and evaluates itself there
(docs/adr/0022-a-revision-evaluates-itself.md).
"""

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from components.config.load import NAMESPACE
from preview.errors import EvaluationError
from preview.evaluate import PROJECT_DIR, own_config, stack_config
from preview.resources import Resource
from preview.stack_file import encrypted

PROGRAM = ("__main__.py", "components", "loadgen", "reconciler", "Pulumi.yaml", "requirements.txt")
"""What decides, beside a stack's config, what is deployed."""


@dataclass(frozen=True)
class Revision:
    """A stack at a revision. `resources` is empty where it has no plan there."""

    name: str
    """As the caller named it."""
    plan: dict[str, Any]
    """The plan in its machine form (`--json`). Another version of the program may have other keys."""
    resources: tuple[Resource, ...]
    reason: str | None = None
    """Why the stack has no plan there: it did not exist yet, or its config was refused."""
    has_other_program: bool = False
    """Whether the program itself differs from the one of the working tree."""
    encrypted: dict[str, str] = field(default_factory=dict)
    """The encrypted values of its stack file, as they stand there."""
    access: dict[str, Any] | None = None
    """The map `access` of its config; None where there is no plan, or where today's program cannot read the file."""

    @property
    def node_groups(self) -> dict[str, int]:
        """What AWS has of it: name, with an end such as Pulumi makes up -> desired size."""
        return {
            f"{group.name}-0123456": int(group.inputs["scalingConfig"]["desiredSize"])
            for group in self.resources
            if group.kind == "NodeGroup"
        }


def revision(name: str, stack: str, directory: Path = PROJECT_DIR) -> Revision:
    """The stack at a revision of the repository in `directory`: a commit, a branch or a tag.

    Raises EvaluationError when there is no such revision, or when its program does not run with the packages that are
    installed now.
    """
    commit = _commit(name, directory)
    has_other_program = _git(directory, "diff", "--quiet", commit, "--", *PROGRAM).returncode != 0
    with tempfile.TemporaryDirectory(prefix="preview-revision-") as folder:
        _unpack(commit, directory, Path(folder))
        if not Path(folder, f"Pulumi.{stack}.yaml").exists():
            return Revision(name, {}, (), f"There is no stack {stack} at {name}.", has_other_program)
        return _evaluated(name, stack, Path(folder), has_other_program)


def _commit(name: str, directory: Path) -> str:
    # Without its option a name that begins with a hyphen would be an option to Git.
    found = _git(directory, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    if found.returncode == 0:
        return found.stdout.decode().strip()
    inside = _git(directory, "rev-parse", "--is-inside-work-tree")
    if inside.returncode != 0:
        raise EvaluationError(f"--diff {name}: {directory} is in no Git repository: {_last_line(inside.stderr)}")
    listed = _git(directory, "for-each-ref", "--format=%(refname:short)", "--count=8", "refs/heads", "refs/tags")
    there = ", ".join(listed.stdout.decode().split()) or "none"
    raise EvaluationError(
        f"--diff {name}: there is no such commit, branch or tag here; give one, such as HEAD or {there}. "
        "A shallow clone lacks older commits: `git fetch --unshallow` gets them"
    )


def _unpack(commit: str, directory: Path, folder: Path) -> None:
    archive = _git(directory, "archive", "--format=zip", commit)
    if archive.returncode != 0:
        raise EvaluationError(f"--diff: commit {commit} cannot be unpacked: {_last_line(archive.stderr)}")
    # zipfile keeps every member inside the folder. tarfile does so only from Python 3.11.4 on; Debian 12 has 3.11.2.
    with zipfile.ZipFile(BytesIO(archive.stdout)) as content:
        content.extractall(folder)


def _evaluated(name: str, stack: str, folder: Path, has_other_program: bool) -> Revision:
    # PYTHONPATH could put the packages of the working tree before those of the revision.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    finished = subprocess.run(
        [sys.executable, "-m", "preview", "--stack", stack, "--json"],
        cwd=folder,
        env=environment,
        capture_output=True,
        check=False,
    )
    errors = finished.stderr.decode(errors="replace").strip()
    if finished.returncode == 0:
        shown = json.loads(finished.stdout)
        resources = tuple(Resource.from_json(item) for item in shown["resources"])
        secrets = _encrypted(folder / f"Pulumi.{stack}.yaml")
        return Revision(
            name, shown["plan"], resources, None, has_other_program, secrets, _access_of_then(stack, folder)
        )
    if errors.startswith("error: "):
        return Revision(name, {}, (), errors.removeprefix("error: "), has_other_program)
    raise EvaluationError(
        f"--diff {name}: the program of that revision does not run here: {_last_line(finished.stderr)}. It may need "
        "other packages than this one: compare with a later revision"
    )


def access(stack: str, overrides: Mapping[str, str], directory: Path = PROJECT_DIR) -> dict[str, Any]:
    """The map `access` of a stack's config. An encrypted value is a map with its `secure` text, as the file has it."""
    found, written = (
        json.loads(own_config(stack_config(stack, changes, directory)).get("access", "{}"))
        for changes in (overrides, {})
    )
    sealed = encrypted(directory / f"Pulumi.{stack}.yaml")
    return {
        key: {"secure": sealed[path]}
        if (path := f"{NAMESPACE}:access.{key}") in sealed and value == written.get(key)
        else value
        for key, value in found.items()
    }


def _access_of_then(stack: str, folder: Path) -> dict[str, Any] | None:
    try:
        return access(stack, {}, folder)
    except EvaluationError:
        return None


def _encrypted(path: Path) -> dict[str, str]:
    try:
        return encrypted(path)
    except EvaluationError:
        # The program of then took a file that this one refuses. Its plan is there all the same.
        return {}


def _git(directory: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["git", "-C", str(directory), *arguments], capture_output=True, check=False)
    except FileNotFoundError:
        raise EvaluationError("--diff needs the program git, which is not on PATH") from None


def _last_line(output: bytes) -> str:
    lines: Sequence[str] = output.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
