"""From raw config to settings and plan, once: the program decides, and whoever evaluates it asks for the same."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from components.config_errors import load_settings
from components.plan import Plan, derive_plan
from components.settings import Settings


@dataclass(frozen=True, slots=True)
class Decision:
    """What a stack's config comes to, before anything is registered."""

    settings: Settings
    plan: Plan


def decide(raw: Mapping[str, str]) -> Decision:
    """Raises ConfigErrors or PlanRefused, with every reason at once."""
    return _decide(frozenset(raw.items()))


@lru_cache(maxsize=4)
def _decide(items: frozenset[tuple[str, str]]) -> Decision:
    settings = load_settings(dict(items))
    return Decision(settings, derive_plan(settings))
