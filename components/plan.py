"""The derived plan: everything a stack comes to, from its settings alone. Pure; the same settings give the same plan."""

from dataclasses import asdict, dataclass
from typing import Any

from components.names import pool_name
from components.settings import Settings
from components.sizing import Sizing, derive_sizing


@dataclass(frozen=True, slots=True)
class Plan:
    """The figures of one stack, grouped by topic."""

    pool: str
    sizing: Sizing
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Every derived figure, snake_case with units in the names."""
        return {"pool": self.pool, **asdict(self.sizing)}


def derive_plan(settings: Settings) -> Plan:
    """The plan of a stack. Raises PlanRefused when no plan holds."""
    return Plan(pool=pool_name(settings), sizing=derive_sizing(settings), warnings=())
