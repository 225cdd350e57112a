"""A stack at a Git revision, as the program of that revision sees it; and the command that shows what differs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.config.formats import usd
from preview import command
from preview.diff import revision as under_test
from preview.diff.edit import Edit
from preview.diff.revision import Revision, revision
from preview.diff.sections import difference
from preview.errors import EvaluationError
from preview.evaluate import evaluate

PARTS = (
    *("components", "loadgen", "preview", "reconciler"),
    *("__main__.py", "Pulumi.yaml", "Pulumi.local.yaml", "requirements.txt"),
)
GIT = ("git", "-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project at two commits and one tag: `first` has stack local alone and another port of Redis."""
    folder = tmp_path_factory.mktemp("project")
    for part in PARTS:
        source = Path(part)
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / part)

    def git(*arguments: str) -> None:
        subprocess.run([*GIT, "-C", str(folder), *arguments], check=True, capture_output=True)

    names = folder / "components/manifests/names.py"
    today = names.read_text()
    names.write_text(today.replace("REDIS_PORT = 6379", "REDIS_PORT = 6400"))
    assert names.read_text() != today
    git("init", "-q", "-b", "main")
    git("add", "-A")
    git("commit", "-qm", "first")
    git("tag", "first")
    names.write_text(today)
    shutil.copy("Pulumi.prod.yaml", folder / "Pulumi.prod.yaml")
    git("add", "-A")
    git("commit", "-qm", "second")
    return folder


def test_a_revision_is_computed_by_its_own_program(repository: Path) -> None:
    found = revision("first", "local", repository)

    ports = {
        port["port"]
        for item in found.resources
        if item.kind == "Service"
        for port in item.inputs["spec"].get("ports", ())
    }
    assert 6400 in ports
    assert 6379 not in ports
    assert found.plan["pool"] == "redis-256mb"
    assert found.has_other_program
    assert found.reason is None


def test_the_same_commit_is_the_same_stack_and_has_its_node_groups(repository: Path) -> None:
    found = revision("HEAD", "prod", repository)
    now = evaluate("prod", {}, node_groups=found.node_groups)

    assert not found.has_other_program
    assert sum(found.node_groups.values()) == 9
    assert found.access == {"allowFromNamespaces": ["images"]}
    through_json = [under_test.Resource.from_json(json.loads(json.dumps(item.to_json()))) for item in now.resources]
    changed = Edit.between(found.resources, through_json).changed
    # The password is masked on one side alone here; `--diff` masks both.
    assert {item.kind for item in changed} <= {"Secret", "kubernetes", "RandomPassword"}


def test_a_stack_that_was_not_there_yet_is_new(repository: Path) -> None:
    found = revision("first", "prod", repository)
    assert found.reason == "There is no stack prod at first."
    assert (found.plan, found.resources) == ({}, ())


def test_a_config_that_was_refused_there_has_its_reasons(repository: Path) -> None:
    stack_file = repository / "Pulumi.local.yaml"
    good = stack_file.read_text()
    stack_file.write_text(good.replace("totalMemory: 768MB", "totalMemory: 512MB"))
    subprocess.run([*GIT, "-C", str(repository), "commit", "-qam", "bad"], check=True, capture_output=True)
    try:
        found = revision("HEAD", "local", repository)
    finally:
        subprocess.run([*GIT, "-C", str(repository), "reset", "-q", "--hard", "HEAD~1"], check=True)
    assert found.reason is not None
    assert "the number of masters would be 2" in found.reason


@pytest.mark.parametrize("name", ["nowhere", "--all", "HEAD^{tree}", ""])
def test_what_is_no_commit_is_refused_with_what_is_there(name: str, repository: Path) -> None:
    with pytest.raises(
        EvaluationError, match=r"no such commit, branch or tag here; give one, such as HEAD or main, fir"
    ):
        revision(name, "prod", repository)


def test_a_folder_outside_git_is_named(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="is in no Git repository"):
        revision("HEAD", "prod", tmp_path)


def test_a_program_that_does_not_run_here_is_no_traceback(repository: Path) -> None:
    entry = repository / "preview/__main__.py"
    good = entry.read_text()
    entry.write_text("import a_package_of_then\n")
    subprocess.run([*GIT, "-C", str(repository), "commit", "-qam", "old"], check=True, capture_output=True)
    try:
        with pytest.raises(EvaluationError, match="does not run here: ModuleNotFoundError: No module named 'a_package"):
            revision("HEAD", "local", repository)
    finally:
        entry.write_text(good)
        subprocess.run([*GIT, "-C", str(repository), "reset", "-q", "--hard", "HEAD~1"], check=True)


def test_without_git_the_program_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(EvaluationError, match="needs the program git"):
        revision("HEAD", "local")


FIGURES = st.just(0.0) | st.floats(0.5, 1e9)
"""A little more than nothing is shown as `under 1`, with which nobody calculates."""


@given(before=FIGURES, after=FIGURES)
def test_who_subtracts_the_shown_figures_finds_the_shown_difference(before: float, after: float) -> None:
    first, second = (int(usd(value).replace(",", "")) for value in (before, after))
    shown = difference(before, after).partition(" (")[0]
    assert (0 if shown == "as before" else int(shown.replace(",", ""))) == second - first


def test_a_difference_is_one_of_what_is_shown() -> None:
    assert difference(16_200.4, 16_197.6) == "-2"
    assert difference(16_200.4, 16_212.6) == "+13"


@pytest.fixture
def prod_at_head(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Revision]:
    """Stack prod of the working tree in the place of a revision, whatever state the checkout is in."""

    def stand_in(name: str, stack: str) -> Revision:
        shown = command.as_json(evaluate(stack, {}))
        resources = json.loads(json.dumps(shown["resources"]))
        return Revision(
            name,
            json.loads(json.dumps(shown["plan"])),
            tuple(under_test.Resource.from_json(item) for item in resources),
            access=under_test.access(stack, {}),
        )

    monkeypatch.setattr(under_test, "revision", stand_in)
    return lambda name: stand_in(name, "prod")


@pytest.mark.usefixtures("prod_at_head")
class TestTheCommand:
    """`--diff`, with stack prod of the working tree as the revision."""

    def test_an_edit_is_told_in_figures_warnings_and_steps(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert command.main(["--diff", "main", "--set", "podMemory=128GB"]) == 0

        shown = capsys.readouterr().out
        titles = [line.partition(":")[0] for line in shown.splitlines() if line[:1].isupper()]
        assert titles == ["CHANGE", "FIGURES", "WARNINGS", "UPDATE", "RESOURCES"]
        assert "redis-64gb  redis-128gb" in shown
        assert "new        several-connections" in shown
        assert "Until the old pool goes, both are paid" in shown

    def test_the_same_stack_is_told_in_a_few_lines_and_says_so(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert command.main(["--diff", "main"]) == 0

        shown = capsys.readouterr().out
        assert "`pulumi up` changes nothing." in shown
        assert "FIGURES" not in shown
        assert "RESOURCES" not in shown

    def test_every_figure_that_is_compared_exists_in_the_plan(self, capsys: pytest.CaptureFixture[str]) -> None:
        from preview.diff.sections import GROUPS, value_at

        plan = evaluate("prod", {}).plan.to_json()
        paths = [figure.path for figures in GROUPS.values() for figure in figures]
        assert [path for path in paths if value_at(plan, path) is None] == []

    def test_markdown_is_the_same_in_tables_with_the_resources_folded(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert command.main(["--diff", "main", "--set", "podMemory=128GB", "--markdown"]) == 0

        shown = capsys.readouterr().out
        assert shown.startswith("### Change: stack prod\n\n|  |  |\n| :-- | :-- |\n| compared with | main |\n")
        assert "| pool | redis-64gb | redis-128gb |  |" in shown
        assert "### ⚠️ Warnings: 4 new, 1 gone" in shown
        assert shown.count("<details>") == shown.count("</details>") == 1
        # A minute of reading or two: what is not folded, with the warnings of a core that is not enough.
        assert len(re.findall(r"\w+", shown.partition("<details>")[0])) < 550

    def test_a_refused_edit_is_told_in_the_comment_too(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert command.main(["--diff", "main", "--set", "podMemory=3TB", "--markdown"]) == 1

        shown = capsys.readouterr()
        assert "and a Redis Cluster needs at least 3; make podMemory smaller" in shown.out
        assert shown.out.startswith("### ⚠️ Refused: stack prod")
        assert shown.err.startswith("error: ")

    def test_what_is_not_kept_stands_first_and_gives_status_3(self, capsys: pytest.CaptureFixture[str]) -> None:
        asked = ["--fail-on", "cost=10000", "--fail-on", "capacity=1.5", "--fail-on", "warning=several-connections"]
        assert command.main(["--diff", "main", "--set", "podMemory=128GB", *asked]) == 3

        shown = capsys.readouterr()
        assert shown.out.startswith("NOT KEPT")
        assert [line.partition(":")[0] for line in shown.err.splitlines()] == ["--fail-on"] * 3

    def test_a_changed_password_is_a_change_and_is_never_shown(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert command.main(["--diff", "main", "--set", "access.password=correct-horse-battery", "--markdown"]) == 1

        shown = capsys.readouterr().out
        assert "| update | refused by the Job release: access.password changes in one edit |" in shown
        assert "has the two edits" in shown
        assert "one after the other" not in shown
        assert "correct-horse" not in shown

    def test_a_password_that_is_accepted_beside_the_former_one_rolls_the_pods(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert command.main(["--diff", "main", "--set", "access.alsoAccepted=correct-horse-battery"]) == 0

        shown = " ".join(capsys.readouterr().out.split())
        assert "16 pods are replaced, one after the other" in shown
        assert "Clients may give either of access.password and access.alsoAccepted from now on." in shown
        assert "*" not in shown

    @pytest.mark.parametrize("edit", ["eks.clusterName=other", "clusterDomain=corp.example", "tls.issuer=redis-ca"])
    def test_what_is_no_update_of_this_cache_has_a_headline_and_nothing_of_an_update(
        self, edit: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        # Whether a domain is the cluster's own nobody can read offline.
        assert command.main(["--diff", "main", "--set", edit]) == (not edit.startswith("clusterDomain"))

        shown, why = capsys.readouterr()
        assert why.startswith("error: no update of this cache: ") == (not edit.startswith("clusterDomain"))
        assert re.search("^  update +(makes a second cache|refused by the Job (check|release))", shown, re.MULTILINE)
        assert "UPDATE: no steps\n  danger  " in shown
        for wrong in ("The cache serves meanwhile", "Taking it back", "1 kubernetes", "pods are replaced", "at once"):
            assert wrong not in shown
        assert ("RESOURCES" in shown) == ("were it not refused" in shown) == ("refused" in shown.partition("UPDATE")[0])

    def test_the_price_of_other_volumes_is_said_to_be_none_of_those_that_exist(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert command.main(["--diff", "main", "--set", "storage.iops=4000"]) == 0

        shown = " ".join(capsys.readouterr().out.split())
        assert "+160 (+1 %), with volumes made anew: those that exist keep their price" in shown
        assert "Volumes that exist keep their parameters and their price" in shown

    def test_a_mark_alone_is_a_change_without_resources(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert command.main(["--diff", "main", "--set", "protect=false"]) == 0

        shown = capsys.readouterr().out
        assert "changes nothing" not in shown
        assert "4 resources no longer protected" in shown
        assert "RESOURCES" not in shown

    def test_another_encrypted_value_is_noted_and_not_shown(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        key = "redis-image-cache:access.password"
        monkeypatch.setattr("preview.stack_file.encrypted", lambda _: {key: "v1:ciphertext"})
        assert command.main(["--diff", "main"]) == 0

        shown = " ".join(capsys.readouterr().out.split())
        assert f"{key}: another encrypted value. It cannot be read offline" in shown
        assert "ciphertext" not in shown

    @pytest.mark.parametrize(
        ("texts", "headline"),
        [
            (
                ({"password": "v1:a"}, {"password": "v1:b"}),
                "refused by the Job release: access.password changes in one edit, unless it is the same password, "
                "encrypted anew",
            ),
            (
                ({"password": "v1:a", "alsoAccepted": "v1:b"}, {"password": "v1:c", "alsoAccepted": "v1:d"}),
                "`pulumi up` changes nothing that can be read offline.",
            ),
        ],
    )
    def test_another_encrypted_password_is_a_danger_though_every_resource_looks_the_same(
        self,
        texts: tuple[dict[str, str], dict[str, str]],
        headline: str,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        sides = iter({key: {"secure": text} for key, text in side.items()} for side in texts)
        monkeypatch.setattr(under_test, "access", lambda *_: next(sides))
        assert command.main(["--diff", "main"]) == 0

        shown = " ".join(capsys.readouterr().out.split())
        assert f"update {headline} capacity" in shown
        assert "danger access.password changes" in shown
        assert "RESOURCES" not in shown
        assert "v1:" not in shown

    def test_nodes_that_are_too_many_are_noted(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pinned = {"nodes.instanceType": "r7g.4xlarge", "workload.requestsPerSecond": "4000"}

        def stand_in(name: str, stack: str) -> Revision:
            shown = command.as_json(evaluate(stack, pinned))
            resources = [under_test.Resource.from_json(item) for item in json.loads(json.dumps(shown["resources"]))]
            return Revision(name, json.loads(json.dumps(shown["plan"])), tuple(resources))

        monkeypatch.setattr(under_test, "revision", stand_in)
        sets = [
            text for key, value in (pinned | {"totalMemory": "512GB"}).items() for text in ("--set", f"{key}={value}")
        ]
        assert command.main(["--diff", "main", *sets]) == 0
        assert "more than its pods need" in " ".join(capsys.readouterr().out.split())
