"""The whole of stack prod, for both options, as files: a change of what would be deployed shows in review."""

import pytest

from tests.golden.render import FOLDER, STACKS, golden
from tests.resources.stacks import stack


@pytest.mark.parametrize("name", STACKS)
def test_stack_prod_is_what_the_golden_file_says(name: str) -> None:
    expected = (FOLDER / f"{name}.yaml").read_text()

    assert golden(stack("prod", podMemory=STACKS[name])) == expected, (
        "the rendered resources changed; if that is meant, run `python -m tests.golden.render` and review its diff"
    )


def test_no_secret_stands_in_a_golden_file() -> None:
    for name in STACKS:
        secrets = [
            value
            for resource in stack("prod", podMemory=STACKS[name]).resources
            for key in resource.secrets
            for value in resource.inputs[key].values()
        ]
        assert secrets
        assert not any(secret in (FOLDER / f"{name}.yaml").read_text() for secret in secrets)
