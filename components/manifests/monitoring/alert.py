"""One alert, and how much it asks of people."""

from dataclasses import dataclass
from typing import Any

CRITICAL = "critical"
"""Requests fail, or will within minutes: somebody gets up."""
WARNING = "warning"
"""It serves, and is one fault or some growth away from not serving: somebody looks at it the same day."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One alerting rule. `summary` is a template of Prometheus, with the value in it."""

    name: str
    expr: str
    for_seconds: int
    severity: str
    summary: str

    def body(self, runbook_url: str) -> dict[str, Any]:
        """As a rules file has it."""
        return {
            "alert": self.name,
            "expr": self.expr,
            "for": f"{self.for_seconds}s",
            "labels": {"severity": self.severity},
            "annotations": {"summary": self.summary, "runbook_url": f"{runbook_url}#{self.name.lower()}"},
        }
