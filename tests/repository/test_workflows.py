"""The workflows of GitHub: correct, pinned, and with no more rights than they need."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

WORKFLOWS = sorted(Path(".github/workflows").glob("*.yaml"))
NAMES = {path.stem for path in WORKFLOWS}
LINTER = Path(sys.prefix) / "bin" / "actionlint"
UNTRUSTED = ("pull_request", "workflow_run")
"""Events whose code, or whose artifacts, anybody with a fork can write."""


def content(path: Path) -> dict[Any, Any]:
    found = yaml.safe_load(path.read_text())
    assert isinstance(found, dict)
    return found


def events(path: Path) -> set[str]:
    # YAML 1.1 reads the key `on` as true.
    return set(content(path)[True])


def jobs(path: Path) -> dict[str, dict[str, Any]]:
    return dict(content(path)["jobs"])


def steps(path: Path) -> Iterator[dict[str, Any]]:
    for job in jobs(path).values():
        yield from job["steps"]


def lint(*paths: Path) -> subprocess.CompletedProcess[str]:
    assert LINTER.exists(), "actionlint is not installed: run `make .venv/actionlint`"
    return subprocess.run([LINTER, *map(str, paths)], capture_output=True, text=True, check=False)


def test_actionlint_finds_nothing() -> None:
    finished = lint(*WORKFLOWS)
    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_actionlint_would_find_something(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text(WORKFLOWS[0].read_text().replace("runs-on: ubuntu-24.04", "runs-on: ubuntu-24.40"))
    finished = lint(broken)
    assert finished.returncode == 1
    assert "ubuntu-24.40" in finished.stdout


@pytest.mark.parametrize("verb", ["test", "test-fast", "check"])
def test_make_installs_actionlint_where_its_test_runs(verb: str) -> None:
    (line,) = re.findall(rf"^{verb}:(.*?)##", Path("Makefile").read_text(), re.MULTILINE)
    assert ".venv/actionlint" in line.split()


def test_there_are_the_workflows_that_the_documents_name() -> None:
    assert {"check", "preview", "comment", "deploy", "e2e"} == NAMES
    named = set(re.findall(r"`\.github/workflows/(\w+)\.yaml`", Path("docs/ci.md").read_text()))
    assert named == NAMES


def test_every_action_is_pinned_by_a_digest_with_its_version_and_by_the_same_everywhere() -> None:
    pins: dict[str, set[str]] = {}
    for path in WORKFLOWS:
        for line in re.findall(r"^ *-? *uses: (.*)$", path.read_text(), re.MULTILINE):
            match = re.fullmatch(r"([\w.-]+/[\w.-]+)@([0-9a-f]{40}) # v\d+\.\d+\.\d+", line)
            assert match is not None, f"{path}: {line}"
            pins.setdefault(match[1], set()).add(line)
    assert len(pins) >= 6
    assert {name: lines for name, lines in pins.items() if len(lines) != 1} == {}
    table = Path("docs/ci.md").read_text()
    assert [line for lines in pins.values() for line in lines if line.partition("@")[2].split()[0] not in table] == []


def test_one_version_of_the_pulumi_cli_is_used() -> None:
    versions = {
        step["with"]["pulumi-version"]
        for path in WORKFLOWS
        for step in steps(path)
        if str(step.get("uses")).startswith("pulumi/actions@")
    }
    assert len(versions) == 1


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
class TestEachWorkflow:
    """What holds for every one of them."""

    def test_it_has_no_right_by_default_but_to_read(self, path: Path) -> None:
        assert content(path)["permissions"] in ({}, {"contents": "read"})

    def test_it_ends_by_itself(self, path: Path) -> None:
        assert all(0 < job["timeout-minutes"] <= 360 for job in jobs(path).values())

    def test_it_never_runs_a_forks_code_with_rights(self, path: Path) -> None:
        assert "pull_request_target" not in events(path)
        if "workflow_run" in events(path):
            checkouts = [step for step in steps(path) if str(step.get("uses")).startswith("actions/checkout@")]
            assert all("ref" not in step["with"] and "repository" not in step["with"] for step in checkouts)

    def test_a_checkout_leaves_no_token_behind(self, path: Path) -> None:
        for step in steps(path):
            if str(step.get("uses")).startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False

    def test_no_script_is_put_together_from_what_others_wrote(self, path: Path) -> None:
        scripts = [step["run"] for step in steps(path) if "run" in step]
        expressions = [text for script in scripts for text in re.findall(r"\$\{\{(.*?)\}\}", script)]
        assert [text for text in expressions if not text.strip().startswith("inputs.long ")] == []

    def test_only_what_must_may_write(self, path: Path) -> None:
        for name, job in jobs(path).items():
            rights = job.get("permissions", content(path)["permissions"])
            writes = {right for right, level in rights.items() if level == "write"}
            assert writes <= ({"pull-requests"} if path.stem == "comment" else {"id-token"}), name
            if "id-token" in writes:
                # Credentials of AWS: of a protected environment, and never for a fork.
                assert job["environment"] in ("preview", "production")
                if "pull_request" in events(path):
                    assert "github.event.pull_request.head.repo.full_name == github.repository" in job["if"]
                else:
                    assert not events(path) & set(UNTRUSTED)
                    assert "github.ref == 'refs/heads/main'" in job["if"]

    def test_a_secret_is_only_where_credentials_are(self, path: Path) -> None:
        for job in jobs(path).values():
            if "secrets." in str(job):
                assert job["permissions"].get("id-token") == "write"


def test_a_deployment_is_never_cancelled_and_never_beside_another() -> None:
    deploy = content(Path(".github/workflows/deploy.yaml"))
    assert deploy["concurrency"] == {"group": "deploy", "cancel-in-progress": False}
    (job,) = deploy["jobs"].values()
    assert job["environment"] == "production"
    (credentials,) = [step for step in job["steps"] if "configure-aws-credentials" in str(step.get("uses"))]
    assert credentials["with"]["role-duration-seconds"] == 60 * job["timeout-minutes"]


def test_a_deployment_follows_whatever_decides_what_is_deployed() -> None:
    from preview.diff.revision import PROGRAM

    paths = set(content(Path(".github/workflows/deploy.yaml"))[True]["push"]["paths"])
    assert {*PROGRAM} <= {path.removesuffix("/**") for path in paths}
    assert "Pulumi.prod.yaml" in paths
