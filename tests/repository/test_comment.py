"""`.ci/comment`: one comment on the pull request, with whatever text an artifact brings."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(".ci/comment").resolve()
SHA = "0123456789abcdef0123456789abcdef01234567"
GH = """#!/usr/bin/env python3
import json, os, sys
arguments = sys.argv[1:]
given = [text for text in arguments if text.startswith("body=@")]
body = open(given[0][6:], encoding="utf-8").read() if given else None
with open(os.environ["CALLS"], "a") as calls:
    calls.write(json.dumps([arguments, body]) + "\\n")
answer = os.environ["NUMBER"] if any(text.endswith("/pulls") for text in arguments) else os.environ["COMMENT"]
if body is None and answer:
    print(answer)
"""


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "gh"
    program.write_text(GH)
    program.chmod(0o755)
    folder = tmp_path / "comment"
    folder.mkdir()
    (folder / "offline.md").write_text("### Change: stack prod\n")
    return folder


def comment(artifact: Path, *, number: str = "7", existing: str = "") -> tuple[list[str], str] | None:
    """The arguments and the body of the one call that writes; None when nothing was written."""
    calls = artifact.parent / "calls"
    calls.write_text("")
    finished = subprocess.run(
        [SCRIPT, artifact],
        env={
            "PATH": f"{artifact.parent / 'bin'}:{os.environ['PATH']}",
            "CALLS": str(calls),
            "NUMBER": number,
            "COMMENT": existing,
            "REPOSITORY": "us/cache",
            "HEAD_OWNER": "them",
            "HEAD_BRANCH": "a branch; rm -rf /",
            "HEAD_SHA": SHA,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    found = [json.loads(line) for line in calls.read_text().splitlines()]
    assert "head=them:a branch; rm -rf /" in found[0][0]
    written = [(arguments, body) for arguments, body in found if body is not None]
    assert len(written) <= 1
    return written[0] if written else None


def test_the_first_run_comments_on_the_pull_request_of_the_event(artifact: Path) -> None:
    written = comment(artifact)
    assert written is not None
    arguments, body = written
    assert arguments[arguments.index("--method") + 1 :][:2] == ["POST", "repos/us/cache/issues/7/comments"]
    assert body.startswith("<!-- redis-image-cache: preview -->\n### Change: stack prod\n")
    assert f"For {SHA}." in body


def test_a_later_run_updates_the_comment_that_is_there(artifact: Path) -> None:
    written = comment(artifact, existing="41\n42")
    assert written is not None
    arguments, _ = written
    assert arguments[arguments.index("--method") + 1 :][:2] == ["PATCH", "repos/us/cache/issues/comments/41"]


def test_a_head_that_is_no_pull_requests_any_more_gets_no_comment(artifact: Path) -> None:
    assert comment(artifact, number="") is None


def test_what_pulumi_says_is_folded_and_cannot_leave_its_block(artifact: Path) -> None:
    (artifact / "pulumi.txt").write_text("Previewing\n~~~~~~~~\n</details> @team\n")
    written = comment(artifact)
    assert written is not None
    block = written[1].partition("~~~~~~~~text\n")[2]
    inside, _, after = block.partition("\n~~~~~~~~\n")
    assert "</details> @team" in inside
    assert "</details>" in after


@pytest.mark.parametrize("linked", ["offline.md", "pulumi.txt", "comment"])
def test_a_link_in_the_artifact_is_not_followed(artifact: Path, linked: str) -> None:
    secret = artifact.parent / "secret"
    secret.mkdir()
    for name in ("token", "offline.md", "pulumi.txt"):
        (secret / name).write_text("GH_TOKEN=hunter2")
    if linked == "comment":
        (artifact / "offline.md").unlink()
        artifact.rmdir()
        artifact.symlink_to(secret)
    else:
        (artifact / linked).unlink(missing_ok=True)
        (artifact / linked).symlink_to(secret / "token")
    written = comment(artifact)
    assert written is not None
    assert "hunter2" not in written[1]


def test_a_comparison_that_said_nothing_is_told(artifact: Path) -> None:
    (artifact / "offline.md").unlink()
    written = comment(artifact)
    assert written is not None
    assert "The comparison ended before it had anything to say" in written[1]


def test_a_long_text_is_cut_between_two_characters_and_says_so(artifact: Path) -> None:
    (artifact / "offline.md").write_text("x" + "ü" * 60_000)
    (artifact / "pulumi.txt").write_text("€" * 60_000)
    written = comment(artifact)
    assert written is not None
    assert len(written[1]) < 65_536
    assert written[1].count("the rest is in the log of the run") == 2
    assert "\ufffd" not in written[1]
