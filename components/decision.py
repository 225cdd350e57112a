"""From a stack's config to its settings and its plan. The program and the preview that runs it ask for the same one,
so it is computed once."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from components.advice.advice import Advice, derive_advice
from components.config.load import load_settings
from components.config.settings import Settings
from components.plan.nodes.catalogue import load_catalogue


@dataclass(frozen=True, slots=True)
class Decision:
    """What a stack's config leads to, before any resource is registered."""

    settings: Settings
    advice: Advice
    """The plan, and what is said about it."""


def decide(raw: Mapping[str, str], region: str | None) -> Decision:
    """Of the program's own keys, and of the stack's `aws:region`. Raises ConfigErrors or PlanRefused, with every reason
    at once."""
    return _decide(frozenset(raw.items()), region)


@lru_cache(maxsize=4)
def _decide(items: frozenset[tuple[str, str]], region: str | None) -> Decision:
    settings = load_settings(dict(items), region, [kind.name for kind in load_catalogue().types])
    return Decision(settings, derive_advice(settings))
