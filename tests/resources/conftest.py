"""Stack prod, with pods of either size."""

import pytest

from preview.evaluate import Evaluation
from tests.resources.stacks import OPTIONS, stack


@pytest.fixture(params=OPTIONS)
def prod(request: pytest.FixtureRequest) -> Evaluation:
    return stack("prod", podMemory=request.param)
