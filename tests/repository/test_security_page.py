"""docs/security.md: each line of its table can be checked."""

from __future__ import annotations

import re

from tests.repository.written import ROOT

PAGE = (ROOT / "docs/security.md").read_text()


def test_each_line_names_a_check_that_has_commands_and_each_check_is_named() -> None:
    table = PAGE.partition("## From whom\n")[2].partition("\n## ")[0]
    named = {row.rsplit("|", 2)[1].strip() for row in table.splitlines() if row.startswith("| ")} - {"check"}
    checks = PAGE.partition("## Check it\n")[2].partition("\n## ")[0].split("\n### ")[1:]
    titles = {f'"{text.partition(chr(10))[0]}"' for text in checks}
    assert named == titles
    assert all(re.search(r"```sh\n.+```", text, re.DOTALL) for text in checks)
