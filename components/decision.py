"""From a stack's config to its settings and its plan. The program and the preview that runs it ask for the same one,
so it is computed once."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from components.advice.advice import Advice, derive_advice
from components.advice.remedies import pod_memory_instead
from components.config.load import ConfigErrors, load_settings
from components.config.rules import masters_within_limits
from components.config.settings import Settings
from components.config.units import MIB, format_size, parse_size
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
    raw, types = dict(items), [kind.name for kind in load_catalogue().types]
    try:
        settings = load_settings(raw, region, types)
    except ConfigErrors as refusal:
        option = _pod_memory_instead(raw, region) if len(refusal.messages) == 1 else None
        if option is None:
            raise
        raise ConfigErrors([f"{refusal.messages[0]}; tried, and planned: {option}"]) from None
    return Decision(settings, derive_advice(settings))


def _pod_memory_instead(raw: Mapping[str, str], region: str | None) -> str | None:
    """Where the number of masters is all that is wrong, the nearest size of a pod with which there is a plan."""
    defaults = Settings.model_fields
    try:
        pod = parse_size(raw.get("podMemory", format_size(defaults["pod_memory"].default)))
        total = parse_size(raw.get("totalMemory", format_size(defaults["total_memory"].default)))
        if not any(masters_within_limits(pod, total)):
            return None
        # A fifth of the memory, or all that a pod can be written with.
        allowed = load_settings({**raw, "podMemory": format_size(max(MIB, total // 5 // MIB * MIB))}, region)
    except (ValueError, ConfigErrors):
        return None
    return pod_memory_instead(allowed, pod)
