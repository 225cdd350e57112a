"""`did you mean hitRate? `: what stands in an error behind a name that is nearly one that is allowed."""

import difflib
import re
from collections.abc import Iterable, Mapping

_CUTOFF = 0.6
"""How much alike two names must be, of 1."""


def did_you_mean(given: str, allowed: Iterable[str], meant: Mapping[str, str] | None = None, suffix: str = "") -> str:
    """The nearest of the allowed names as a question with a blank behind it; nothing where none is near.

    on-demand, ON_DEMAND and onDemand are one. `meant` has other words for an allowed name, which
    spelling cannot tell. `suffix` stands behind the name.
    """
    names = tuple(allowed)
    other = (meant or {}).get(_folded(given))
    if other in names:
        return f"did you mean {other}{suffix}? "
    folded = {_folded(name): name for name in names}
    near = difflib.get_close_matches(_folded(given), folded, n=1, cutoff=_CUTOFF)
    return f"did you mean {folded[near[0]]}{suffix}? " if near else ""


def _folded(name: str) -> str:
    """Without what people write in many ways."""
    return re.sub(r"[\s_-]", "", name).lower()
